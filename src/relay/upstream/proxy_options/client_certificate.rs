//! The certificate that a KDC proxy is shown when it asks for one, and its key.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// A certificate, those that lead to its root, and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Where the certificate was read from.
    pub file: PathBuf,
    /// What TLS signs with.
    pub(in crate::relay::upstream) certified: Arc<CertifiedKey>,
}

impl ClientCertificate {
    /// # Errors
    /// The key is of a kind that TLS cannot use, or is not that of the first certificate in `chain`.
    pub fn new(
        file: PathBuf,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        Ok(Self {
            file,
            certified: Arc::new(certified),
        })
    }
}

/// Certificates that are the same have the same key.
impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.certified.cert == other.certified.cert
    }
}

impl Eq for ClientCertificate {}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.file.display())
    }
}
