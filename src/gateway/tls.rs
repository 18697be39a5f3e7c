//! The gateway's side of TLS: certificate, key and the clients' authorities become a [`ServerConfig`], and again when their
//! files are replaced.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{Error, RootCertStore, ServerConfig};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::config::gateway::{ServerIdentity, TlsFiles, TlsPems};
use crate::relay::failure::{Exit, Failure};

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
    pub fn load(files: &TlsFiles) -> Result<LoadedTls, Failure> {
        let pems = files.read().map_err(|error| error.into_failure(None))?;
        let tls = Self::build(files, &pems)?;
        Ok(LoadedTls { tls, pems })
    }

    /// What is wrong with the certificate for the time being, in words: it may be renewed while clients wait.
    #[must_use]
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        self.validity.and_then(|validity| validity.warning(now))
    }

    fn build(files: &TlsFiles, pems: &TlsPems) -> Result<Self, Failure> {
        let identity = pems.identity();
        let identity = identity.map_err(|error| error.into_failure(None))?;
        let validity = identity.certified.cert.first();
        let validity = validity.and_then(|leaf| Validity::of(leaf));
        let bug = |error: Error| Failure::new(Exit::Config, format!("TLS: {error}"));
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

/// How often the files are looked at. They are read whole: links that are swapped, files that are renamed or written in
/// place and clocks of file systems are all the same then, and a few kB from the page cache cost what a stat does.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Follows the files until `stop`: reads them every few seconds, and at once when `reload` is notified. Files that do not fit
/// together, perhaps since one of them is yet to come, change nothing. Must be called inside a runtime.
#[must_use]
pub fn follow(
    files: TlsFiles,
    loaded: LoadedTls,
    stop: &CancellationToken,
    reload: Arc<Notify>,
) -> Certificates {
    follow_every(RELOAD_INTERVAL, files, loaded, stop, reload)
}

fn follow_every(
    interval: Duration,
    files: TlsFiles,
    loaded: LoadedTls,
    stop: &CancellationToken,
    reload: Arc<Notify>,
) -> Certificates {
    log_warning(&loaded.tls);
    let (current, certificates) = watch::channel(Arc::new(loaded.tls));
    let reloader = CertificateReloader {
        files,
        pems: loaded.pems,
        error: None,
        logged: None,
        current,
    };
    let stop = stop.clone();
    tokio::spawn(async move {
        stop.run_until_cancelled(reloader.run(interval, &reload))
            .await;
    });
    certificates
}

struct CertificateReloader {
    files: TlsFiles,
    /// What was read last, whether or not it was of use.
    pems: TlsPems,
    /// What is wrong with it.
    error: Option<Failure>,
    /// The error that was logged last, and lasts.
    logged: Option<Failure>,
    current: watch::Sender<Arc<ServerTls>>,
}

impl CertificateReloader {
    async fn run(mut self, period: Duration, reload: &Notify) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = reload.notified() => {}
            }
            // A panic in there is a bug that must not end this.
            let files = self.files.clone();
            let Ok(read) = spawn_blocking(move || files.read()).await else {
                continue;
            };
            let read = read.map_err(|error| error.into_failure(None));
            match read.and_then(|pems| self.replace(pems)) {
                Ok(()) => self.logged = None,
                Err(error) => self.log(error),
            }
        }
    }

    /// Goes over to `pems`, unless they are the ones that were read last.
    fn replace(&mut self, pems: TlsPems) -> Result<(), Failure> {
        if self.pems == pems {
            return self.error.clone().map_or(Ok(()), Err);
        }
        let built = ServerTls::build(&self.files, &pems);
        self.pems = pems;
        self.error = built.as_ref().err().cloned();
        let tls = built?;
        let until = tls.validity.map(|validity| validity.until());
        tracing::info!(certificate = %self.files.certificate.display(), until, "certificate replaced");
        log_warning(&tls);
        self.current.send_replace(Arc::new(tls));
        Ok(())
    }

    /// Logs each error once.
    fn log(&mut self, error: Failure) {
        if self.logged.as_ref() != Some(&error) {
            let hint = error.hints().into_iter().next();
            tracing::warn!(
                error = error.message(),
                hint,
                "the certificate stays as it was"
            );
            self.logged = Some(error);
        }
    }
}

fn log_warning(tls: &ServerTls) {
    if let Some(warning) = tls.warning(SystemTime::now()) {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests;
