//! TLS towards KDC proxies: rustls on aws-lc-rs, the system's roots and the configured ones.

mod asked;
mod pins;
mod witness;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

pub(super) use self::asked::Asked;
use self::asked::Shows;
pub use self::pins::Pin;
use self::pins::Pinned;
pub(crate) use self::pins::Unpinned;
pub(crate) use self::witness::{Presented, Witness};
use super::proxy_options::{MinTls, ProxyOptions};

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

    /// TLS that trusts these roots and `extra`, as `options` wants it: X25519MLKEM768 offered first, HTTP/2 before HTTP/1.1.
    ///
    /// # Errors
    /// If the provider supports none of the versions, which is a bug, or `extra` holds what is no certificate.
    pub fn client(
        &self,
        extra: &[CertificateDer<'static>],
        options: &ProxyOptions,
    ) -> Result<ClientTls, rustls::Error> {
        let mut roots = Arc::clone(&self.store);
        for certificate in extra {
            Arc::make_mut(&mut roots).add(certificate.clone())?;
        }
        let versions = match options.min_tls {
            MinTls::Tls12 => &[&TLS13, &TLS12][..],
            MinTls::Tls13 => &[&TLS13],
        };
        let asked = Asked::default();
        let shows = Shows {
            certified: options
                .client_certificate
                .as_ref()
                .map(|own| Arc::clone(own.certified())),
            asked: asked.clone(),
        };
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(versions)?
                .with_root_certificates(Arc::clone(&roots))
                .with_client_cert_resolver(Arc::new(shows));
        if !options.pins.is_empty() {
            let verifier = Arc::new(Pinned::new(Arc::clone(&roots), options.pins.clone())?);
            config.dangerous().set_certificate_verifier(verifier);
        }
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(ClientTls {
            config,
            asked,
            roots,
        })
    }
}

/// TLS towards one KDC proxy.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(super) config: ClientConfig,
    pub(super) asked: Asked,
    roots: Arc<RootCertStore>,
}
