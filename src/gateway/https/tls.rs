//! The gateway's side of TLS: certificate, key and the clients' authorities become a [`ServerConfig`].

mod replace;

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{Error, RootCertStore, ServerConfig};

use crate::config::ConfigError;
use crate::config::gateway::{ServerIdentity, TlsFile, TlsFileError, TlsFiles, TlsPems};

pub use self::replace::watch;
pub use crate::relay::upstream::certificate::Validity;

/// What HTTP/2 over TLS is called by ALPN (RFC 9113 3.1).
pub(super) const HTTP2: &[u8] = b"h2";
/// And HTTP/1.1 (RFC 7301 6).
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// What a listener speaks TLS with.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Certificate, key and versions; HTTP/2 or HTTP/1.1.
    pub any_http: Arc<ServerConfig>,
    /// The same for HTTP/1.1 alone.
    pub http1: Arc<ServerConfig>,
    /// When the certificate is valid, if that can be read.
    pub validity: Option<Validity>,
}

/// What was read from [`TlsFiles`].
#[derive(Debug)]
pub struct LoadedTls {
    /// What came of it.
    pub tls: ServerTls,
    pems: TlsPems,
}

impl ServerTls {
    /// TLS with `config`, whatever protocols it names.
    #[must_use]
    pub fn new(config: ServerConfig, validity: Option<Validity>) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Self {
            any_http: offering(&[HTTP2, HTTP1]),
            http1: offering(&[HTTP1]),
            validity,
        }
    }

    /// Reads the files and checks that they fit together.
    ///
    /// # Errors
    /// They can't be read or do not; a certificate that is not valid at the moment is none, see [`ServerTls::warning`].
    pub fn load(files: &TlsFiles) -> Result<LoadedTls, TlsFileError> {
        let pems = files.read()?;
        let tls = Self::build(files, &pems)?;
        Ok(LoadedTls { tls, pems })
    }

    /// What is wrong with the certificate for the time being, in words: it may be renewed while clients wait.
    #[must_use]
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        self.validity.and_then(|validity| validity.warning(now))
    }

    fn build(files: &TlsFiles, pems: &TlsPems) -> Result<Self, TlsFileError> {
        let identity = files.identity(pems)?;
        let validity = identity.certified.cert.first();
        let validity = validity.and_then(|leaf| Validity::of(leaf));
        let bug = |error: Error| TlsFileError {
            file: TlsFile::Certificate,
            error: ConfigError::new(format!("TLS: {error}")),
        };
        let config = server_config(identity, files.require_client_cert).map_err(bug)?;
        Ok(Self::new(config, validity))
    }
}

fn server_config(
    identity: ServerIdentity,
    require_client_cert: bool,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match identity.client_roots {
        Some(roots) => {
            let verifier = verifier(roots, require_client_cert, provider)?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let certified = SingleCertAndKey::from(identity.certified);
    let mut config = builder.with_cert_resolver(Arc::new(certified));
    // Tickets hold the state of sessions, so that resuming costs no memory here.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

fn verifier(
    roots: RootCertStore,
    require_client_cert: bool,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if require_client_cert {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    // Fails without roots only, and there are some.
    builder
        .build()
        .map_err(|error| Error::General(error.to_string()))
}

#[cfg(test)]
mod tests;
