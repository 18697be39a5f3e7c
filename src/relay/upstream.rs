//! Ways out: to a KDC proxy over HTTPS ([`kkdcp`]), and to a KDC over TCP and UDP ([`kdc`]).
//!
//! [`proxy_options`] lists what a new way to authenticate to a KDC proxy touches.

mod addresses;
pub(crate) mod certificate;
mod conn_pool;
pub mod dns;
mod fault;
#[cfg(feature = "negotiate")]
pub mod gssapi;
pub mod kdc;
pub mod kkdcp;
pub mod negotiate;
mod places;
pub(crate) mod pool;
pub mod proxy_options;
mod refusal;
mod send_state;
#[cfg(test)]
pub(crate) mod tests;
pub mod tls;
pub(crate) mod tls_errors;
mod user_shares;

use std::time::{Duration, Instant};

use crate::relay::shares::Holder;
use crate::wire::{self, KerberosMessage, Reply};

pub(crate) use addresses::look_up;
pub use conn_pool::ConnReuse;
pub use fault::{
    CertificateFault, ConnectError, Credential, Fault, ForwardProxyFault, NotReply, OwnWords,
    TlsFault, Unsent,
};
pub use send_state::SendState;
pub(crate) use user_shares::{UserShares, UserTurn};

/// What requests to KDC proxies call themselves, where `headers` says nothing else.
pub(crate) const OUR_USER_AGENT: &str = concat!("loopkdc/", env!("CARGO_PKG_VERSION"));
/// Where a server of HTTP/1.1 says for how long it keeps an idle connection, and where a gateway of ours says so over HTTP/2.
pub(crate) const KEEP_ALIVE: &str = "keep-alive";
pub(crate) const OUR_KEEP_ALIVE: &str = "loopkdc-keep-alive";
/// So many long replies are read from one upstream at once: others wait for their turn, until their deadline. One that promises much
/// and ends nothing would have each request hold as much as the longest reply.
const LONG_REPLIES: usize = 8;
/// What is no longer needs no turn.
const SHORT_REPLY: usize = 16 * 1024;
/// The system ends a connection on which nobody acknowledges what was sent. Where it does not, one that is dead looks like one whose
/// other end thinks.
const TCP_TELLS_OF_SILENCE: bool = cfg!(target_os = "linux");

/// A way out.
#[derive(Debug)]
pub enum Upstream {
    /// A KDC proxy over HTTPS.
    Proxy(Box<kkdcp::KdcProxy>),
    /// A KDC, or its password service.
    Kdc(Box<kdc::Kdc>),
    /// One that does what a test says.
    #[cfg(test)]
    Scripted(tests::scripted::Scripted),
}

/// One copy of a request, and how it goes out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The request.
    pub message: KerberosMessage,
    /// What a proxy is told that the request is for ([MS-KKDCP] 2.2.2).
    pub target_domain: String,
    /// What a proxy is told about the KDC that is wanted ([MS-KKDCP] 2.2.2).
    pub dclocator_hint: Option<u32>,
    /// Who holds the place that it takes at a KDC.
    pub holder: Holder,
    /// Which kept connections it may go over.
    pub reuse: ConnReuse,
    /// Where to say that octets may have left.
    pub sent: SendState,
    /// There is another upstream to go on to.
    pub others: bool,
    /// Until when an answer is waited for, if that is known.
    pub deadline: Option<Instant>,
}

impl Upstream {
    /// Where it is, for the log.
    pub fn name(&self) -> &str {
        match self {
            Self::Proxy(proxy) => proxy.name(),
            Self::Kdc(kdc) => kdc.name(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.name(),
        }
    }

    /// What the users of this machine share of it, if it can't tell them apart. A KDC does not look at whose a request is.
    pub(crate) fn user_shares(&self) -> Option<&UserShares> {
        match self {
            Self::Proxy(proxy) => Some(proxy.user_shares()),
            Self::Kdc(_) => None,
            #[cfg(test)]
            Self::Scripted(_) => None,
        }
    }

    /// Forgets its connections and how it was reached: the network is another one.
    pub fn forget(&self) {
        match self {
            Self::Proxy(proxy) => proxy.forget(),
            Self::Kdc(kdc) => kdc.forget(),
            #[cfg(test)]
            Self::Scripted(_) => {}
        }
    }

    /// Sends one copy and reads its reply. The time is the caller's, who drops the future when it is up.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Reply, Fault> {
        match self {
            Self::Proxy(proxy) => proxy.send(outgoing, |_| ()).await,
            Self::Kdc(kdc) => kdc.send(&outgoing).await,
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.send(outgoing).await,
        }
    }
}

impl Outgoing {
    /// A copy of `message` by itself: addressed to its realm, with no other upstream to go on to, and nobody's in particular.
    pub fn new(message: KerberosMessage, reuse: ConnReuse) -> Self {
        Self {
            target_domain: message.realm().as_str().to_owned(),
            message,
            dclocator_hint: None,
            holder: Holder::Unknown,
            reuse,
            sent: SendState::default(),
            others: false,
            deadline: None,
        }
    }

    /// True if it is known that as much time is left after a wait as it takes: else its end would be told as silence.
    fn has_time_for(&self, wait: Duration) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() + 2 * wait < deadline)
    }

    /// The KDC-PROXY-MESSAGE ([MS-KKDCP] 2.2.2).
    fn envelope(&self) -> Vec<u8> {
        let framed = self.message.framed();
        wire::kkdcp::encode_request(&framed, &self.target_domain, self.dclocator_hint)
    }
}
