//! The gateway's side of TLS: certificate, key and the clients' authorities become a [`ServerConfig`], and again when their
//! files are replaced.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{Error, ServerConfig};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::ConfigError;
use crate::config::gateway::{ServerIdentity, TlsFiles, TlsPems};
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

    /// Makes TLS of what the files hold, and checks that they fit together.
    fn build(files: &TlsFiles, pems: &TlsPems) -> Result<Self, ConfigError> {
        let identity = pems.identity()?;
        let leaf = identity.certified.cert.first();
        let validity = leaf.and_then(|leaf| Validity::of(leaf));
        let config = server_config(identity, files.require_client_cert);
        let config = config.map_err(|error| ConfigError::new(format!("TLS: {error}")))?;
        Ok(Self::new(config, validity))
    }

    /// What is wrong with the certificate for the time being is a warning: it may be renewed while clients wait.
    fn warn(&self) {
        let warning = |validity: Validity| validity.warning(SystemTime::now());
        if let Some(warning) = self.validity.and_then(warning) {
            tracing::warn!("{warning}");
        }
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
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            let verifier = if require_client_cert {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            // Fails without roots only, and there are some.
            let verifier = verifier.build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| Error::General(error.to_string()))?,
            )
        }
        None => builder.with_no_client_auth(),
    };
    let certified = SingleCertAndKey::from(identity.certified);
    let mut config = builder.with_cert_resolver(Arc::new(certified));
    // Tickets hold the state of sessions, so that resuming costs no memory here.
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// How often the files are looked at. They are read whole: links that are swapped, files that are renamed or written in
/// place and clocks of file systems are all the same then, and a few kB from the page cache cost what a stat does.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

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
        read: Ok(pems),
        current,
    };
    let stop = stop.clone();
    tokio::spawn(async move { stop.run_until_cancelled(reloader.run(&reload)).await });
    Ok(certificates)
}

struct CertificateReloader {
    files: TlsFiles,
    /// What was read last, whether or not it was of use.
    read: Result<TlsPems, ConfigError>,
    current: watch::Sender<Arc<ServerTls>>,
}

impl CertificateReloader {
    async fn run(mut self, reload: &Notify) {
        let mut ticks = interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = reload.notified() => {}
            }
            let files = self.files.clone();
            // A panic in there is a bug that must not end this.
            if let Ok(read) = spawn_blocking(move || files.read()).await
                && read != self.read
            {
                self.read = read;
                self.replace();
            }
        }
    }

    /// Goes over to what was read, if it is of use. What is wrong is logged once, as nothing is done again until other
    /// files are there.
    fn replace(&self) {
        let pems = self.read.as_ref().map_err(ConfigError::clone);
        match pems.and_then(|pems| ServerTls::build(&self.files, pems)) {
            Ok(tls) => {
                let until = tls.validity.map(|validity| validity.until());
                tracing::info!(certificate = %self.files.certificate.display(), until, "certificate replaced");
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
}

#[cfg(test)]
pub(super) mod tests;
