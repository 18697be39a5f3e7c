//! `loopkdc gateway`: a KDC proxy, and the KDCs behind it.

pub mod access_log;
pub mod https;
pub mod metrics;
pub mod observers;
pub mod record;
mod routes;
pub mod throttle;
pub mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::config::gateway::{GatewayConfig, Serving, TlsFiles};
use crate::daemon::bind::{StreamSocket, bind_http, bind_metrics};
use crate::daemon::logging::ADMIN;
use crate::daemon::signals::Signals;
use crate::daemon::tasks::Tasks;
use crate::daemon::{Daemon, descriptors, in_runtime, notify, obey};
use crate::gateway::access_log::AccessLog;
use crate::gateway::https::{HttpLimits, HttpListener, ServeOptions};
use crate::gateway::metrics::Metrics;
use crate::gateway::observers::Observers;
use crate::gateway::throttle::Throttle;
use crate::gateway::tls::{Certificates, ServerTls};
use crate::relay::discovery::{RelayHandle, Trigger};
use crate::relay::failure::Failure;
use crate::relay::text::listed;
use crate::relay::upstream;
use routes::GatewayRoutes;

/// How long the last lines of the access log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs the gateway until a signal stops it.
///
/// # Errors
/// What keeps it from starting: a configuration that cannot work, or a socket that cannot be bound.
pub fn gateway(file: Option<&Path>) -> Result<(), Failure> {
    let config = GatewayConfig::load(file)?;
    in_runtime(threads(), async {
        let signals = Signals::new()?;
        tokio::task::spawn_blocking(upstream::tls::warm_up);
        let gateway = Gateway::start(config, file).await?;
        notify::keep_alive(&gateway.relay.exchange, &gateway.tasks);
        obey(signals, gateway).await;
        Ok(())
    })
}

/// One for two processors: the kernel does half of the work for a request, and on its own account. With as many threads as
/// processors, each wakes the others for what it would have done sooner itself.
fn threads() -> usize {
    available_parallelism().map_or(1, |processors| usize::from(processors).div_ceil(2))
}

/// A gateway at work.
struct Gateway {
    file: Option<PathBuf>,
    serving: Serving,
    /// What held at the start.
    max_in_flight_per_kdc: usize,
    relay: RelayHandle,
    observers: Observers,
    tasks: Tasks,
    /// Has the certificate's files looked at.
    certificate: Arc<Notify>,
}

impl Gateway {
    async fn start(config: GatewayConfig, file: Option<&Path>) -> Result<Self, Failure> {
        let serving = config.serving.clone();
        warn_of(&config);
        let routes = GatewayRoutes::new(&config, serving.max_in_flight_per_kdc);
        let relay = RelayHandle::new(routes, Trigger::Time, serving.max_in_flight)?;
        let gateway = Self {
            file: file.map(Path::to_owned),
            observers: Observers {
                access_log: serving
                    .access_log
                    .clone()
                    .map(AccessLog::open)
                    .transpose()?,
                metrics: serving.metrics.map(|_| Metrics::new(&relay.exchange)),
            },
            max_in_flight_per_kdc: serving.max_in_flight_per_kdc,
            serving,
            relay,
            tasks: Tasks::default(),
            certificate: Arc::default(),
        };
        gateway.open().await?;
        Ok(gateway)
    }

    /// Binds everything, so that what is in use is told at once; serves once the KDCs are known.
    async fn open(&self) -> Result<(), Failure> {
        let Tasks { stop, tracker } = &self.tasks;
        let certificates = self.certificates()?;
        let listeners = listeners(&self.serving, certificates)?;
        let (https, plain) = (addresses(&listeners, true), addresses(&listeners, false));
        let metrics = self.serve_metrics()?;
        self.relay.keep_looking_up(stop, tracker).await;
        https::serve(listeners, self.options(), &self.relay.exchange, &self.tasks);
        tracing::info!(target: ADMIN, %https, %plain, %metrics, "ready");
        Ok(())
    }

    fn options(&self) -> ServeOptions {
        let serving = &self.serving;
        ServeOptions {
            path: serving.path.clone(),
            limits: HttpLimits::of(descriptors::for_clients(serving.max_connections)),
            throttle: Throttle::new(&serving.quotas, Instant::now()),
            trusted: serving.trusted.clone(),
            observers: self.observers.clone(),
        }
    }

    /// What HTTPS is served with, which follows the files.
    fn certificates(&self) -> Result<Option<Certificates>, Failure> {
        let Some(files) = &self.serving.tls else {
            return Ok(None);
        };
        let certificates = self.watch(files)?;
        if let Some(metrics) = &self.observers.metrics {
            let shown = show_expiry(certificates.clone(), Arc::clone(metrics));
            self.tasks.spawn(shown);
        }
        Ok(Some(certificates))
    }

    fn watch(&self, files: &TlsFiles) -> Result<Certificates, Failure> {
        // The configuration had them loaded before: they were replaced this very moment.
        let loaded = ServerTls::load(files)?;
        let reload = Arc::clone(&self.certificate);
        Ok(tls::follow(files.clone(), loaded, &self.tasks.stop, reload))
    }

    /// Serves the metrics, and says where.
    fn serve_metrics(&self) -> Result<String, Failure> {
        let (Some(addr), Some(metrics)) = (self.serving.metrics, &self.observers.metrics) else {
            return Ok(listed(&[]));
        };
        let socket = bind_metrics(addr)?;
        let address = socket.address();
        metrics::listener::serve(socket, Arc::clone(metrics), &self.tasks);
        Ok(address)
    }
}

impl Daemon for Gateway {
    fn reload(&mut self) {
        self.certificate.notify_one();
        if let Some(access_log) = &self.observers.access_log {
            access_log.reopen();
        }
        let loaded = GatewayConfig::load(self.file.as_deref()).and_then(|config| {
            let routes = GatewayRoutes::new(&config, self.max_in_flight_per_kdc);
            self.relay.configure(routes)?;
            Ok(config)
        });
        match loaded {
            Ok(config) => {
                tracing::info!(target: ADMIN, "configuration read again");
                warn_of(&config);
                if config.serving != self.serving {
                    tracing::warn!(target: ADMIN,
                        "what [gateway] says now holds after a restart: systemctl restart loopkdc-gateway"
                    );
                    self.serving = config.serving;
                }
                let Tasks { stop, tracker } = &self.tasks;
                drop(self.relay.keep_looking_up(stop, tracker));
            }
            Err(failure) => {
                tracing::error!(target: ADMIN, "the old configuration stays: {failure}")
            }
        }
    }

    async fn stop(self) {
        self.tasks.end(&self.relay.exchange).await;
        if let Some(access_log) = &self.observers.access_log {
            access_log.end(LAST_LINES).await;
        }
    }
}

/// Tells `metrics` until when the certificate is valid, each time it is another one.
async fn show_expiry(mut certificates: Certificates, metrics: Arc<Metrics>) {
    loop {
        let validity = certificates.borrow_and_update().validity;
        if let Some(validity) = validity {
            metrics.certificate_expires(validity.not_after());
        }
        if certificates.changed().await.is_err() {
            return;
        }
    }
}

/// Binds what the configuration asks for.
fn listeners(
    serving: &Serving,
    certificates: Option<Certificates>,
) -> Result<Vec<HttpListener>, Failure> {
    let mut listeners = Vec::new();
    for endpoint in &serving.https {
        let socket = bind_http("listen", endpoint, serving.unix_mode)?;
        let tls = certificates.clone();
        listeners.extend(socket.map(|socket| HttpListener { socket, tls }));
    }
    for endpoint in &serving.plain {
        let socket = bind_http("plain-listen", endpoint, serving.unix_mode)?;
        listeners.extend(socket.map(|socket| HttpListener { socket, tls: None }));
    }
    Ok(listeners)
}

/// Where there are listeners with TLS, or without, as text.
fn addresses(listeners: &[HttpListener], tls: bool) -> String {
    let listeners = listeners
        .iter()
        .filter(|listener| listener.tls.is_some() == tls);
    let addresses: Vec<_> = listeners
        .map(|listener| StreamSocket::address(&listener.socket))
        .collect();
    listed(&addresses)
}

fn warn_of(config: &GatewayConfig) {
    for warning in config.warnings() {
        tracing::warn!(target: ADMIN, "{warning}");
    }
}
