//! `loopkdc gateway`: a KDC proxy, and the KDCs behind it.

pub mod access;
pub mod access_log;
mod files;
pub mod https;
pub mod metrics;
pub mod observers;
pub mod policy;
pub mod record;
mod routes;
pub mod throttle;
pub mod tls;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::config::endpoint::Endpoint;
use crate::config::gateway::{GatewayConfig, Serving, TlsFiles, TokensFile};
use crate::daemon::bind::{StreamSocket, bind_http, bind_metrics};
use crate::daemon::inherit::{Inherited, warn_of_unheld};
use crate::daemon::logging::ADMIN;
use crate::daemon::tasks::Tasks;
use crate::daemon::{self, Daemon, descriptors, log_warnings, notify};
use crate::gateway::access::Access;
use crate::gateway::access_log::AccessLog;
use crate::gateway::https::{HttpLimits, HttpListener, ServeOptions};
use crate::gateway::metrics::Metrics;
use crate::gateway::observers::Observers;
use crate::gateway::policy::Policies;
use crate::gateway::throttle::Throttle;
use crate::gateway::tls::Certificates;
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::listed;

/// How long the last lines of the access log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Runs the gateway until a signal stops it.
///
/// # Errors
/// What keeps it from starting: a configuration that cannot work, or a socket that cannot be bound.
pub fn gateway(file: Option<&Path>) -> Result<(), Failure> {
    let inherited = Inherited::from_env();
    let config = GatewayConfig::load(file)?;
    let threads = config.serving.threads.unwrap_or_else(threads);
    daemon::run(threads, Gateway::start(config, file, inherited))
}

/// One for two processors: the kernel does half of the work for a request, and on its own account. With as many threads as
/// processors, each wakes the others for what it would have done sooner itself.
fn threads() -> usize {
    available_parallelism().map_or(1, |processors| usize::from(processors).div_ceil(2))
}

/// A gateway at work.
struct Gateway {
    file: Option<PathBuf>,
    /// What held at the start, and holds until the end.
    serving: Serving,
    relay: RelayHandle,
    access_log: Option<AccessLog>,
    policies: watch::Sender<Policies>,
    tasks: Tasks,
    /// Has the certificate's files looked at.
    reload_certificate: Arc<Notify>,
    /// Has the tokens' file looked at.
    reload_tokens: Arc<Notify>,
}

impl Gateway {
    async fn start(
        config: GatewayConfig,
        file: Option<&Path>,
        inherited: Inherited,
    ) -> Result<Self, Failure> {
        log_warnings(&config.warnings());
        let serving = &config.serving;
        let plan = routes::plan(&config, serving.max_in_flight_per_kdc);
        let access_log = serving.access_log.clone();
        let gateway = Self {
            file: file.map(Path::to_owned),
            relay: RelayHandle::new(plan, serving.max_in_flight)?,
            access_log: access_log.map(AccessLog::open).transpose()?,
            policies: watch::Sender::new(Policies::new(&config.realms)),
            serving: config.serving,
            tasks: Tasks::default(),
            reload_certificate: Arc::default(),
            reload_tokens: Arc::default(),
        };
        gateway.serve(inherited.http_listeners()?).await?;
        Ok(gateway)
    }

    /// Binds everything, so that what is in use is told at once; serves once the KDCs are known.
    ///
    /// Where the service manager has opened sockets for HTTPS or for plain HTTP, these are served and no others of that kind.
    async fn serve(&self, inherited: Vec<(&'static str, StreamSocket)>) -> Result<(), Failure> {
        let Tasks { stop, tracker, .. } = &self.tasks;
        let (serving, exchange) = (&self.serving, &self.relay.exchange);
        let certificates = self.certificates()?;
        let (https, plain): (Vec<_>, Vec<_>) =
            inherited.into_iter().partition(|(key, _)| *key == "listen");
        let mut all = listeners("listen", &serving.https, https, serving)?;
        if !all.is_empty() && certificates.is_none() {
            let failure = Failure::new(
                Exit::Config,
                "the service manager's socket https needs a certificate",
            );
            return Err(failure.hint(
                "add to [gateway]: certificate = \"gateway.pem\" and key = \"gateway-key.pem\"",
            ));
        }
        for listener in &mut all {
            listener.tls.clone_from(&certificates);
        }
        let https = addresses(&all);
        let plain_listeners = listeners("plain-listen", &serving.plain, plain, serving)?;
        let plain = addresses(&plain_listeners);
        all.extend(plain_listeners);
        let (metrics, metrics_at) = self.serve_metrics(certificates)?;
        self.relay.keep_looking_up(stop, tracker);
        self.relay.looked_up().await;
        let options = ServeOptions {
            path: serving.path.clone(),
            is_strict: serving.is_strict,
            limits: HttpLimits::new(descriptors::for_clients(serving.max_connections)),
            throttle: Throttle::new(&serving.quotas, Instant::now()),
            trusted: serving.trusted.clone(),
            access: self.access()?,
            policies: self.policies.subscribe(),
            observers: Observers {
                access_log: self.access_log.clone(),
                metrics,
            },
        };
        https::serve(all, options, exchange, &self.tasks);
        notify::keep_alive(exchange, &self.tasks);
        tracing::info!(target: ADMIN, %https, %plain, metrics = metrics_at, "ready");
        Ok(())
    }

    /// What HTTPS is served with, which follows the files.
    fn certificates(&self) -> Result<Option<Certificates>, Failure> {
        let follow = |files: &TlsFiles| {
            let reload = Arc::clone(&self.reload_certificate);
            tls::follow(files.clone(), &self.tasks.stop, reload)
        };
        self.serving.tls.as_ref().map(follow).transpose()
    }

    /// Who is let in; the tokens follow their file.
    fn access(&self) -> Result<Access, Failure> {
        let follow = |file: &TokensFile| {
            let reload = Arc::clone(&self.reload_tokens);
            access::follow_tokens(file.clone(), &self.tasks.stop, reload)
        };
        Ok(Access {
            certificates: self.serving.clients.clone(),
            tokens: self.serving.tokens.as_ref().map(follow).transpose()?,
        })
    }

    /// Serves metrics if they are wanted, and says where.
    fn serve_metrics(
        &self,
        certificates: Option<Certificates>,
    ) -> Result<(Option<Arc<Metrics>>, String), Failure> {
        let Some(addr) = self.serving.metrics else {
            return Ok((None, listed(&[])));
        };
        let socket = bind_metrics(addr)?;
        let address = socket.address();
        let metrics = Metrics::new(&self.relay.exchange, certificates);
        metrics::listener::serve(socket, Arc::clone(&metrics), &self.tasks);
        Ok((Some(metrics), address))
    }
}

impl Daemon for Gateway {
    fn reload(&mut self) -> Result<(), Failure> {
        self.reload_certificate.notify_one();
        self.reload_tokens.notify_one();
        if let Some(access_log) = &self.access_log {
            access_log.reopen();
        }
        let config = GatewayConfig::load(self.file.as_deref())?;
        let plan = routes::plan(&config, self.serving.max_in_flight_per_kdc);
        self.relay.configure(plan)?;
        self.policies.send_replace(Policies::new(&config.realms));
        log_warnings(&config.warnings());
        if config.serving != self.serving {
            tracing::warn!(target: ADMIN,
                "what [gateway] says now holds after a restart: systemctl restart loopkdc-gateway"
            );
        }
        let Tasks { stop, tracker, .. } = &self.tasks;
        self.relay.keep_looking_up(stop, tracker);
        Ok(())
    }

    async fn stop(self) {
        self.tasks.end(&self.relay.exchange).await;
        if let Some(access_log) = &self.access_log {
            access_log.end(LAST_LINES).await;
        }
    }
}

/// The `inherited` sockets, or else `endpoints` bound, which stand at `key` in the configuration; what that says of an address holds
/// for an inherited socket there.
fn listeners(
    key: &'static str,
    endpoints: &[Endpoint],
    inherited: Vec<(&'static str, StreamSocket)>,
    serving: &Serving,
) -> Result<Vec<HttpListener>, Failure> {
    let listener = |socket, proxy_protocol| HttpListener {
        socket,
        tls: None,
        proxy_protocol,
    };
    if inherited.is_empty() {
        let bound = endpoints.iter().map(|endpoint| {
            let socket = bind_http(key, endpoint, serving.unix_mode)?;
            Ok(socket.map(|socket| listener(socket, endpoint.proxy_protocol)))
        });
        return bound.filter_map(Result::transpose).collect();
    }
    let held: Vec<_> = inherited
        .iter()
        .map(|(_, socket)| socket.address())
        .collect();
    warn_of_unheld(&held, endpoints, key, "loopkdc-gateway.socket");
    let listeners = inherited.into_iter().zip(held).map(|((_, socket), held)| {
        let is_it = |endpoint: &&Endpoint| endpoint.to_string() == held;
        let written = endpoints.iter().find(is_it);
        listener(
            socket,
            written.is_some_and(|endpoint| endpoint.proxy_protocol),
        )
    });
    Ok(listeners.collect())
}

/// Where they are, as text.
fn addresses(listeners: &[HttpListener]) -> String {
    let addresses = listeners.iter().map(|listener| listener.socket.address());
    listed(&addresses.collect::<Vec<_>>())
}
