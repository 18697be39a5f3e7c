//! The gateway's way in, each status and each drop: raw octets over TLS, HTTP/2 by the h2 crate, and a KDC that does what
//! a script says.
//!
//! Nothing here sleeps to wait, and no port is fixed. Where a deadline is what is tested, it is a fraction of a second.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows them in tests but not in what they call"
)]
#![allow(
    unreachable_pub,
    dead_code,
    reason = "nothing is exported from here, and the messages are made for the walk's tests too"
)]

#[path = "../walk/certificates.rs"]
mod certificates;
#[path = "../walk/der.rs"]
mod der;
#[path = "../walk/messages.rs"]
mod messages;
#[path = "../support/patience.rs"]
mod patience;
#[path = "../support/process.rs"]
mod process;

mod clients;
mod gateway;
mod kdc;

mod access_log;
mod bodies;
mod crowds;
mod deadlines;
mod endings;
mod health;
mod lengths;
mod let_in;
mod memory;
mod metrics;
mod paths;
mod policy;
mod proxy_protocol;
mod replaced;
mod rests;
mod throttle;
mod untaken;
mod verdicts;

use patience::{PATIENCE, eventually, within};
