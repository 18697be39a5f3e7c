//! TLS towards KDC proxies: rustls on aws-lc-rs, the system's roots and the configured ones.

mod client_auth;
mod pin;
mod verifier;

use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};

pub(super) use self::client_auth::ClientAuth;
pub use self::pin::Pin;
use self::verifier::Verifier;
pub(crate) use self::verifier::{Presented, Unpinned};
use super::proxy_options::{MinTls, ProxyOptions};

/// Has the random generator gather its entropy: AWS-LC takes a tenth of a second for that at its first use, which would
/// otherwise be the first handshake, with a user waiting.
pub fn warm_up() {
    // That it does not work shows in the first handshake.
    let _ = aws_lc_rs::default_provider().secure_random.fill(&mut [0]);
}

/// The system's roots, read once for all upstreams.
#[derive(Clone, Debug)]
pub struct SystemRoots(Arc<RootCertStore>);

impl PartialEq for SystemRoots {
    fn eq(&self, other: &Self) -> bool {
        self.0.roots == other.0.roots
    }
}

impl Eq for SystemRoots {}

impl SystemRoots {
    /// Reads the roots of the system; those that cannot be read are left out, since others may do.
    #[must_use]
    pub fn load() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a system root certificate was left out");
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        Self(Arc::new(roots))
    }

    /// What a server presents with this chain, its own certificate first: by which of these roots it is believed, if by any.
    pub(crate) fn judge(&self, certificates: Vec<CertificateDer<'static>>) -> Presented {
        let verifier = Verifier {
            roots: Arc::clone(&self.0),
            algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
            pins: Vec::new(),
            presented: Mutex::new(certificates),
        };
        verifier.presented()
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
        let mut roots = Arc::clone(&self.0);
        for certificate in extra {
            Arc::make_mut(&mut roots).add(certificate.clone())?;
        }
        let versions = match options.min_tls {
            MinTls::Tls12 => &[&TLS13, &TLS12][..],
            MinTls::Tls13 => &[&TLS13],
        };
        let provider = aws_lc_rs::default_provider();
        let verifier = Arc::new(Verifier {
            roots,
            algorithms: provider.signature_verification_algorithms,
            pins: options.pins.clone(),
            presented: Mutex::default(),
        });
        let certificate = options.client_certificate.as_ref();
        let certified = certificate.map(|own| Arc::clone(&own.certified));
        let client_auth = Arc::new(ClientAuth::new(certified));
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as _)
            .with_client_cert_resolver(Arc::clone(&client_auth) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(ClientTls {
            config,
            client_auth,
            verifier,
        })
    }
}

/// TLS towards one KDC proxy.
#[derive(Clone, Debug)]
pub struct ClientTls {
    pub(crate) config: ClientConfig,
    pub(super) client_auth: Arc<ClientAuth>,
    verifier: Arc<Verifier>,
}

impl ClientTls {
    /// What the server presented in the last handshake.
    pub(crate) fn presented(&self) -> Presented {
        self.verifier.presented()
    }

    /// The server has asked for a client certificate.
    pub(crate) fn was_certificate_requested(&self) -> bool {
        self.client_auth.was_requested()
    }
}
