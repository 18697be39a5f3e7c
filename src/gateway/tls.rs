//! The gateway's side of TLS: certificate, key and the clients' authorities become a [`ServerConfig`], and again when their
//! files are replaced.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, ServerConfig};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::ConfigError;
use crate::config::gateway::{ServerIdentity, TlsFiles, TlsPems};
use crate::gateway::files::WatchedFiles;
use crate::relay::failure::Failure;

pub use crate::relay::upstream::certificate::Validity;

/// What HTTP/2 over TLS is called by ALPN (RFC 9113 3.1).
pub(super) const HTTP2: &[u8] = b"h2";
/// And HTTP/1.1 (RFC 7301 6).
pub(super) const HTTP1: &[u8] = b"http/1.1";

/// Where the current certificates are: each connection takes the ones that are there when it is accepted.
pub type Certificates = watch::Receiver<Arc<ServerTls>>;

/// What a listener speaks TLS with.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Certificate, key and versions; HTTP/2 or HTTP/1.1.
    pub any_http: Arc<ServerConfig>,
    /// The same for HTTP/1.1 alone.
    pub http1: Arc<ServerConfig>,
    /// When the certificate is valid, if that can be read.
    pub validity: Option<Validity>,
    /// When the first list of revoked certificates of clients has to be replaced, if there are lists.
    pub crl_validity: Option<Validity>,
    /// What checks certificates of clients, if they may show any.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
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
            crl_validity: None,
            verifier: None,
        }
    }

    /// Makes TLS of what the files hold, and checks that they fit together.
    fn build(files: &TlsFiles, pems: &TlsPems) -> Result<Self, ConfigError> {
        let identity = pems.identity()?;
        let leaf = identity.certified.cert.first();
        let validity = leaf.and_then(|leaf| Validity::of(leaf));
        let lists = identity.client_crls.iter();
        let lists = lists.filter_map(|list| Validity::of_revocation_list(list));
        let crl_validity = lists.min_by_key(Validity::not_after);
        let broken = |error| ConfigError::new(format!("TLS: {error}"));
        let verifier = client_verifier(&identity, files.require_client_cert).map_err(broken)?;
        let config = server_config(identity.certified, verifier.clone()).map_err(broken)?;
        Ok(Self {
            crl_validity,
            verifier,
            ..Self::new(config, validity)
        })
    }

    /// True if clients may show certificates.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.verifier.is_some()
    }

    /// True if the certificates that a client has shown, its own first, are as good as they were in its handshake.
    pub(super) fn trusts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(verifier), [leaf, others @ ..]) = (&self.verifier, chain) else {
            return true;
        };
        let verified = verifier.verify_client_cert(leaf, others, UnixTime::now());
        verified.is_ok()
    }

    fn crl_has_expired(&self) -> bool {
        let now = SystemTime::now();
        self.crl_validity
            .is_some_and(|lists| now > lists.not_after())
    }

    /// What is wrong with the certificate for the time being is a warning: it may be renewed while clients wait.
    fn warn(&self) {
        let warning = |validity: Validity| validity.warning(SystemTime::now());
        if let Some(warning) = self.validity.and_then(warning) {
            tracing::warn!("{warning}");
        }
    }
}

/// What checks certificates of clients. Where lists say which are revoked, the whole chain is looked up, a certificate without a list of
/// its authority is refused, and so is one whose list is past its time: who keeps a new list from here must not be let in.
fn client_verifier(
    identity: &ServerIdentity,
    require_client_cert: bool,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
    let Some(roots) = identity.client_roots.clone() else {
        return Ok(None);
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .with_crls(identity.client_crls.iter().cloned())
        .enforce_revocation_expiration();
    let verifier = if require_client_cert {
        verifier
    } else {
        verifier.allow_unauthenticated()
    };
    // Fails without roots and for broken lists only.
    let verifier = verifier.build();
    verifier
        .map(Some)
        .map_err(|error| Error::General(error.to_string()))
}

fn server_config(
    certified: CertifiedKey,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let (builder, is_asked) = match verifier {
        Some(verifier) => (builder.with_client_cert_verifier(verifier), true),
        None => (builder.with_no_client_auth(), false),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    if is_asked {
        // In a session that is resumed nobody looks at the client's certificate again, and it may be revoked by then.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    } else {
        // Tickets hold the state of sessions, so that resuming costs no memory here.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
    }
    Ok(config)
}

/// Reads the files, and follows them until `stop`: reads them every few seconds, and at once when `reload` is notified. Files
/// that do not fit together, perhaps since one of them is yet to come, change nothing. Must be called inside a runtime.
///
/// # Errors
/// They can't be read or do not fit together. A certificate that is not valid at the moment is no error.
pub fn follow(
    files: TlsFiles,
    stop: &CancellationToken,
    reload: Arc<Notify>,
) -> Result<Certificates, Failure> {
    let loaded = files.read().and_then(|pems| {
        let tls = ServerTls::build(&files, &pems)?;
        Ok((pems, tls))
    });
    let (pems, tls) = loaded.map_err(|error| error.into_failure(None))?;
    tls.warn();
    let (current, certificates) = watch::channel(Arc::new(tls));
    let reloader = CertificateReloader {
        files,
        current,
        has_told_expiry: false,
    };
    let stop = stop.clone();
    tokio::spawn(async move {
        let run = reloader.run(WatchedFiles::new(Ok(pems)), &reload);
        stop.run_until_cancelled(run).await
    });
    Ok(certificates)
}

struct CertificateReloader {
    files: TlsFiles,
    current: watch::Sender<Arc<ServerTls>>,
    /// It has been said that a list in use is past its time.
    has_told_expiry: bool,
}

impl CertificateReloader {
    async fn run(
        mut self,
        mut watched: WatchedFiles<Result<TlsPems, ConfigError>>,
        reload: &Notify,
    ) {
        loop {
            let files = self.files.clone();
            if let Some(read) = watched.next(reload, move || files.read()).await {
                self.replace(read);
            }
            self.look_at_expiry();
        }
    }

    /// Goes over to what was read, if it is of use. What is wrong is logged once, as nothing is done again until other
    /// files are there.
    fn replace(&self, read: &Result<TlsPems, ConfigError>) {
        let pems = read.as_ref().map_err(ConfigError::clone);
        match pems.and_then(|pems| ServerTls::build(&self.files, pems)) {
            Ok(tls) => {
                let until = tls.validity.map(|validity| validity.until());
                let crl_until = tls.crl_validity.map(|lists| lists.until());
                tracing::info!(certificate = %self.files.certificate.display(), until, crl_until, "certificate replaced");
                tls.warn();
                self.current.send_replace(Arc::new(tls));
            }
            Err(error) => {
                let failure = error.into_failure(None);
                let (error, hint) = (failure.message(), failure.hints().into_iter().next());
                tracing::warn!(error, hint, "the certificate stays as it was");
            }
        }
    }

    /// Ends the connections that a list in use let in, once that is past its time, and says so once.
    fn look_at_expiry(&mut self) {
        let has_expired = self.current.borrow().crl_has_expired();
        if has_expired && !self.has_told_expiry {
            let file = self.files.client_crl.as_deref();
            let file = file.map(|file| file.display().to_string());
            tracing::warn!(
                file,
                "client-crl-file is past its time: no certificate of a client is let in until there is a newer list"
            );
            self.current.send_modify(|_| ());
        }
        self.has_told_expiry = has_expired;
    }
}

#[cfg(test)]
pub(super) mod tests;
