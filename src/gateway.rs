//! `loopkdc gateway`: a KDC proxy, and the KDCs behind it.

pub mod access;
pub mod access_log;
mod files;
pub mod https;
mod listeners;
pub mod metrics;
pub mod observers;
pub mod policy;
pub mod probe;
pub mod record;
mod routes;
mod status;
pub mod throttle;
pub mod tls;
pub mod unknown_principals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::config::gateway::{GatewayConfig, Serving, TlsFiles, TokensFile};
use crate::daemon::bind::bind_metrics;
use crate::daemon::inherit::{HttpSockets, Inherited};
use crate::daemon::logging::ADMIN;
use crate::daemon::status_source::StatusSource;
use crate::daemon::tasks::Tasks;
use crate::daemon::{self, Daemon, descriptors, log_warnings, notify};
use crate::gateway::access::Access;
use crate::gateway::access_log::AccessLog;
use crate::gateway::https::{HttpLimits, ServeOptions};
use crate::gateway::metrics::Metrics;
use crate::gateway::observers::Observers;
use crate::gateway::policy::Policies;
use crate::gateway::throttle::Throttle;
use crate::gateway::tls::Certificates;
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::{Exit, Failure};
use crate::relay::status::ListenerStatus;
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
    status: Option<Arc<StatusSource>>,
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
        let source = config.source;
        let mut gateway = Self {
            file: file.map(Path::to_owned),
            relay: RelayHandle::new(plan, serving.max_in_flight)?,
            access_log: access_log.map(AccessLog::open).transpose()?,
            policies: watch::Sender::new(Policies::new(&config.realms)),
            serving: config.serving,
            status: None,
            tasks: Tasks::default(),
            reload_certificate: Arc::default(),
            reload_tokens: Arc::default(),
        };
        let status = gateway.serve(inherited.http_sockets()?, &source).await?;
        gateway.status = Some(status);
        Ok(gateway)
    }

    /// Binds everything, so that what is in use is told at once; serves once the KDCs are known.
    /// `file` is the configuration.
    async fn serve(
        &self,
        inherited: HttpSockets,
        file: &Path,
    ) -> Result<Arc<StatusSource>, Failure> {
        let Tasks { stop, tracker, .. } = &self.tasks;
        let (serving, exchange) = (&self.serving, &self.relay.exchange);
        let certificates = self.certificates()?;
        let are_inherited = (!inherited.https.is_empty(), !inherited.plain.is_empty());
        let [mut all, plain_listeners] = listeners::open(serving, inherited)?;
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
        let [https, plain] = [&all, &plain_listeners].map(|some| listeners::addresses(some));
        let mut shown = status::listeners("https", &all, are_inherited.0);
        shown.extend(status::listeners("http", &plain_listeners, are_inherited.1));
        all.extend(plain_listeners);
        let (metrics, metrics_at) = self.serve_metrics(certificates.clone(), &mut shown)?;
        self.relay.keep_looking_up(stop, tracker);
        self.relay.looked_up().await;
        let options = self.options(metrics)?;
        let probe = Arc::clone(&options.probe);
        let connections = https::serve(all, options, exchange, &self.tasks);
        let (relay, tasks) = (&self.relay, &self.tasks);
        let status = status::show(
            file,
            serving,
            shown,
            connections,
            certificates,
            relay,
            tasks,
        );
        status.follow(tasks);
        let reached = probe::until_reached(Arc::clone(exchange), probe);
        self.tasks.spawn(reached);
        notify::keep_alive(exchange, &self.tasks);
        tracing::info!(target: ADMIN, %https, %plain, metrics = metrics_at, "ready");
        Ok(status)
    }

    fn options(&self, metrics: Option<Arc<Metrics>>) -> Result<ServeOptions, Failure> {
        let serving = &self.serving;
        Ok(ServeOptions {
            path: serving.path.clone(),
            is_strict: serving.is_strict,
            limits: HttpLimits::new(
                descriptors::for_clients(serving.max_connections),
                serving.idle_timeout,
            ),
            throttle: Throttle::new(&serving.quotas, Instant::now()),
            trusted: serving.trusted.clone(),
            access: self.access()?,
            policies: self.policies.subscribe(),
            probe: Arc::default(),
            observers: Observers {
                access_log: self.access_log.clone(),
                metrics,
            },
        })
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
        shown: &mut Vec<ListenerStatus>,
    ) -> Result<(Option<Arc<Metrics>>, String), Failure> {
        let Some(addr) = self.serving.metrics else {
            return Ok((None, listed(&[])));
        };
        let socket = bind_metrics(addr)?;
        let address = socket.address();
        shown.push(status::listener("metrics", &socket, false));
        let metrics = Metrics::new(&self.relay.exchange, certificates);
        metrics::listener::serve(socket, Arc::clone(&metrics), &self.tasks);
        Ok((Some(metrics), address))
    }
}

impl Gateway {
    /// Has what `config` says of realms in effect.
    fn take(&self, config: &GatewayConfig) -> Result<(), Failure> {
        let plan = routes::plan(config, self.serving.max_in_flight_per_kdc);
        self.relay.configure(plan)?;
        self.policies.send_replace(Policies::new(&config.realms));
        log_warnings(&config.warnings());
        let restart_needed = config.serving != self.serving;
        if let Some(status) = &self.status {
            status.reloaded(Some(&config.source), restart_needed);
        }
        if restart_needed {
            tracing::warn!(target: ADMIN,
                "what [gateway] says now holds after a restart: systemctl restart loopkdc-gateway"
            );
        }
        let Tasks { stop, tracker, .. } = &self.tasks;
        self.relay.keep_looking_up(stop, tracker);
        Ok(())
    }
}

impl Daemon for Gateway {
    fn reload(&mut self) -> Result<(), Failure> {
        self.reload_certificate.notify_one();
        self.reload_tokens.notify_one();
        if let Some(access_log) = &self.access_log {
            access_log.reopen();
        }
        let config = GatewayConfig::load(self.file.as_deref());
        let taken = config.and_then(|config| self.take(&config));
        taken.inspect_err(|failure| {
            if let Some(status) = &self.status {
                status.failed(failure, false);
            }
        })
    }

    async fn stop(self) {
        self.tasks.end(&self.relay.exchange).await;
        if let Some(access_log) = &self.access_log {
            access_log.end(LAST_LINES).await;
        }
    }
}
