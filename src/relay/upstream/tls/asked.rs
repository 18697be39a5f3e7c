//! Whether a KDC proxy asks for a certificate, which decides what it means that it refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// Whether a server has asked for a certificate, and whether it was content with what it was shown.
#[derive(Clone, Debug, Default)]
pub(in crate::relay::upstream) struct Asked(Arc<State>);

#[derive(Debug, Default)]
struct State {
    was: AtomicBool,
    served: AtomicBool,
}

impl Asked {
    pub(in crate::relay::upstream) fn was(&self) -> bool {
        self.0.was.load(Ordering::Acquire)
    }

    /// It was content, with none perhaps: what else it refuses is for another reason.
    pub(in crate::relay::upstream) fn served(&self) {
        self.0.served.store(true, Ordering::Release);
    }

    /// Whether it may not be content.
    pub(in crate::relay::upstream) fn in_earnest(&self) -> bool {
        self.was() && !self.0.served.load(Ordering::Acquire)
    }
}

/// Shows the certificate that there is, if any, and remembers that it was asked for.
#[derive(Debug)]
pub(super) struct Shows {
    pub(super) certified: Option<Arc<CertifiedKey>>,
    pub(super) asked: Asked,
}

impl ResolvesClientCert for Shows {
    /// Whoever the server says that it believes: the list is often wrong, and there is one certificate to choose.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.0.was.store(true, Ordering::Release);
        let certified = self.certified.as_ref()?;
        certified.key.choose_scheme(schemes)?;
        Some(Arc::clone(certified))
    }

    fn has_certs(&self) -> bool {
        self.certified.is_some()
    }
}
