//! TLS towards KDC proxies: rustls on aws-lc-rs, the system's roots and the configured ones.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Has the random generator gather its entropy: AWS-LC takes a tenth of a second for that at its first use, which would
/// otherwise be the first handshake, with a user waiting.
pub fn warm_up() {
    let mut octet = [0];
    if aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut octet)
        .is_err()
    {
        tracing::error!("the random generator of the TLS library does not work");
    }
}

/// The system's roots, read once for all upstreams. Equal if they were read from the same certificates.
#[derive(Clone, Debug)]
pub struct SystemRoots {
    store: Arc<RootCertStore>,
    fingerprint: u64,
}

impl PartialEq for SystemRoots {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for SystemRoots {}

impl Hash for SystemRoots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl SystemRoots {
    /// Reads the roots of the system; those that cannot be read are left out, since others may do.
    #[must_use]
    pub fn load() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system root certificate was left out");
        }
        let mut hasher = DefaultHasher::new();
        found.certs.hash(&mut hasher);
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self {
            store: Arc::new(roots),
            fingerprint: hasher.finish(),
        }
    }

    /// A client configuration that trusts these roots and `extra`: TLS 1.2 and 1.3, X25519MLKEM768 offered first,
    /// HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// If the provider supports none of the versions, which is a bug, or `extra` holds what is no certificate.
    pub fn client_config(
        &self,
        extra: &[CertificateDer<'static>],
    ) -> Result<ClientConfig, rustls::Error> {
        let mut roots = Arc::clone(&self.store);
        for certificate in extra {
            Arc::make_mut(&mut roots).add(certificate.clone())?;
        }
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
