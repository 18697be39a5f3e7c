//! The other end of the tunnel: the way out to a KDC that does what a script says, and to a real one.
//!
//! Nothing here sleeps to wait, and no port is fixed outside a network of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in tests but not in what they call"
)]
#![allow(
    unreachable_pub,
    reason = "nothing is exported from here: pub says what other modules use"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../support/patience.rs"]
#[allow(dead_code, reason = "each test binary uses its own share of this")]
mod patience;

#[path = "../walk/der.rs"]
#[allow(dead_code, reason = "each test binary uses its own share of this")]
mod der;
#[path = "../walk/messages.rs"]
#[allow(dead_code, reason = "each test binary uses its own share of this")]
mod messages;

#[allow(dead_code, reason = "the tests of scars use it too")]
mod scripted;
mod zone;

mod addresses;
mod away;
mod bounds;
mod datagrams;
mod discovery;
mod health;
mod kdc;
mod kept;
mod names;
mod proxies;
mod real_kdc;
mod restarts;
mod status;

use loopkdc::relay::upstream::kdc::{Kdc, Transport};
use loopkdc::relay::upstream::{ConnReuse, Fault, Outgoing};
use loopkdc::wire::{KerberosMessage, Reply};

use messages::{Kind, REALM, Request};
use patience::{eventually, within};

fn parsed(request: &Request) -> KerberosMessage {
    KerberosMessage::parse(request.service, request.bytes.clone().into()).unwrap()
}

/// As the exchange would send it that has another upstream to go on to.
fn outgoing(message: KerberosMessage, reuse: ConnReuse) -> Outgoing {
    Outgoing {
        others: true,
        ..Outgoing::new(message, reuse)
    }
}

/// Sends a new request of this kind as the exchange would.
async fn ask(kdc: &Kdc, kind: Kind) -> Result<Reply, Fault> {
    ask_over(kdc, kind, ConnReuse::Any).await
}

async fn ask_over(kdc: &Kdc, kind: Kind, reuse: ConnReuse) -> Result<Reply, Fault> {
    let message = parsed(&kind.request(REALM));
    within(kdc.send(&outgoing(message, reuse))).await
}

const BOTH: [Transport; 2] = [Transport::TcpFirst, Transport::UdpFirst];
