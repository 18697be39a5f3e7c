//! Ways out.

mod addresses;
mod body;
pub(crate) mod certificate;
pub mod dns;
mod fault;
#[cfg(feature = "negotiate")]
pub mod gssapi;
pub mod kdc;
pub mod kkdcp;
mod link;
mod names;
pub mod negotiate;
pub(crate) mod pool;
pub mod proxy_options;
mod refusal;
#[cfg(test)]
pub(crate) mod tests;
pub mod tls;

use crate::wire::{self, KerberosMessage, Reply};

pub(crate) use addresses::look_up;
pub use body::SendState;
pub use fault::{
    CertificateFault, ConnectError, Credential, Fault, ForwardProxyFault, NotReply, Unsent,
};
pub use link::ConnReuse;

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

/// One copy of a request, and the terms that it goes out on.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The request.
    pub message: KerberosMessage,
    /// What a proxy is told that the request is for ([MS-KKDCP] 2.2.2).
    pub target_domain: String,
    /// What a proxy is told about the KDC that is wanted ([MS-KKDCP] 2.2.2).
    pub dclocator_hint: Option<u32>,
    /// Which kept connections it may go over.
    pub reuse: ConnReuse,
    /// Where to say that octets may have left.
    pub sent: SendState,
    /// Whether there is another to go on to.
    pub others: bool,
}

impl Upstream {
    /// Where it is, for the log.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Proxy(proxy) => proxy.name(),
            Self::Kdc(kdc) => kdc.name(),
            #[cfg(test)]
            Self::Scripted(scripted) => scripted.name(),
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
        #[cfg(test)]
        if let Self::Scripted(scripted) = self {
            return scripted.send(outgoing).await;
        }
        let Outgoing {
            message,
            target_domain,
            dclocator_hint,
            reuse,
            sent,
            others,
        } = outgoing;
        match self {
            Self::Proxy(proxy) => {
                let envelope =
                    wire::kkdcp::encode_request(&message.framed(), &target_domain, dclocator_hint)
                        .into();
                proxy
                    .send(kkdcp::Post {
                        message,
                        envelope,
                        reuse,
                        sent,
                    })
                    .await
            }
            Self::Kdc(kdc) => kdc.send(&message, reuse, &sent, others).await,
            #[cfg(test)]
            Self::Scripted(_) => unreachable!(),
        }
    }
}
