//! The certificate for a KDC proxy that asks for one; if it asks, that decides what it means that it refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// The certificate that there is, if any, and what the server did about it.
#[derive(Debug)]
pub(in crate::relay::upstream) struct ClientAuth {
    certified: Option<Arc<CertifiedKey>>,
    requested: AtomicBool,
    served: AtomicBool,
}

impl ClientAuth {
    pub(super) fn new(certified: Option<Arc<CertifiedKey>>) -> Self {
        Self {
            certified,
            requested: AtomicBool::new(false),
            served: AtomicBool::new(false),
        }
    }

    /// The server has asked for a certificate.
    pub(in crate::relay::upstream) fn was_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// It has served a request, without a certificate perhaps: what else it refuses is for another reason.
    pub(in crate::relay::upstream) fn set_served(&self) {
        self.served.store(true, Ordering::Release);
    }

    /// It has asked, and nothing shows that it is content with what it got.
    pub(in crate::relay::upstream) fn may_be_missing(&self) -> bool {
        self.was_requested() && !self.served.load(Ordering::Acquire)
    }
}

impl ResolvesClientCert for ClientAuth {
    /// The authorities that the server names are not looked at: the list is often wrong, and there is one certificate to choose.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.requested.store(true, Ordering::Release);
        let certified = self.certified.as_ref()?;
        certified.key.choose_scheme(schemes)?;
        Some(Arc::clone(certified))
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}
