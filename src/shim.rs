//! `loopkdc run`: a KDC on loopback, and the proxies that it reaches real ones by.

mod listeners;
mod proxy_cache;
mod render;
#[cfg(target_os = "linux")]
mod roaming;
mod routes;
mod status;
mod stream;
mod udp;

use std::sync::Arc;

use crate::config::endpoint::Endpoint;
use crate::config::{Config, Listen, Sources};
use crate::daemon::bind::{ServiceListener, addresses, bind};
use crate::daemon::inherit::Inherited;
use crate::daemon::logging::ADMIN;
use crate::daemon::tasks::Tasks;
use crate::daemon::{self, Daemon, descriptors, log_warnings, notify, status_socket};
use crate::relay::discovery::RelayHandle;
use crate::relay::exchange::Exchange;
use crate::relay::failure::Failure;
use crate::shim::listeners::ListenLimits;
use crate::wire::Service;
use status::{StatusSource, listener_statuses};

/// One user's requests, of which one that computes must not hold up the next.
const THREADS: usize = 2;

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// What keeps it from starting: a configuration that cannot work, or a socket that cannot be bound.
pub fn run(sources: &Sources) -> Result<(), Failure> {
    let inherited = Inherited::from_env();
    let config = Config::load(sources)?;
    daemon::run(THREADS, start(sources, config, inherited))
}

async fn start(
    sources: &Sources,
    config: Config,
    inherited: Inherited,
) -> Result<RunDaemon<'_>, Failure> {
    let listeners = listeners(&config.listen, inherited)?;
    let status_socket = status_socket::bind(&config.listen)?;
    let relay = Relay::start(&config, listeners)?;
    log_warnings(&config.warnings());
    #[cfg(target_os = "linux")]
    roaming::follow(
        &relay.exchange,
        relay.status.watches_network(),
        &relay.tasks,
    );
    if let Some(socket) = status_socket {
        relay.show_status(socket);
    }
    notify::keep_alive(&relay.exchange, &relay.tasks);
    tracing::info!(target: ADMIN, kdc = %relay.kdc, kpasswd = %relay.kpasswd, "ready");
    Ok(RunDaemon {
        relay,
        sources,
        listen: config.listen,
    })
}

/// The daemon, and where its configuration came from.
struct RunDaemon<'a> {
    relay: Relay,
    sources: &'a Sources,
    listen: Listen,
}

impl Daemon for RunDaemon<'_> {
    fn reload(&mut self) -> Result<(), Failure> {
        let Relay { handle, status, .. } = &self.relay;
        let loaded = Config::load(self.sources).and_then(|config| {
            handle.configure(routes::plan(&config))?;
            Ok(config)
        });
        let config = loaded.inspect_err(|failure| status.failed(failure))?;
        log_warnings(&config.warnings());
        status.reloaded(&config.listen);
        if config.listen != self.listen {
            tracing::warn!(target: ADMIN, "what [listen] says now holds after a restart");
            self.listen = config.listen;
        }
        Ok(())
    }

    async fn stop(self) {
        self.relay.stop().await;
    }
}

/// Binds what the configuration asks for, except a service whose sockets the service manager handed over.
///
/// # Errors
/// A socket that cannot be bound or used, and what to do about it.
pub fn listeners(listen: &Listen, inherited: Inherited) -> Result<Vec<ServiceListener>, Failure> {
    let mut listeners = inherited.listeners()?;
    for (service, endpoints) in [
        (Service::Kdc, &listen.kdc),
        (Service::Kpasswd, &listen.kpasswd),
    ] {
        if listeners.iter().any(|listener| listener.service == service) {
            warn_of_unheld(&listeners, service, endpoints);
            continue;
        }
        for endpoint in endpoints {
            listeners.extend(bind(service, endpoint, listen.unix_mode)?);
        }
    }
    Ok(listeners)
}

/// Where the service manager's sockets serve, addresses of the configuration that are none of theirs are nobody's.
fn warn_of_unheld(listeners: &[ServiceListener], service: Service, endpoints: &[Endpoint]) {
    let of_service = listeners.iter().filter(|held| held.service == service);
    let held: Vec<_> = of_service.map(ServiceListener::address).collect();
    let is_unheld = |endpoint: &&Endpoint| !held.contains(&endpoint.to_string());
    let unheld = endpoints.iter().filter(|endpoint| !endpoint.optional);
    let unheld: Vec<_> = unheld.filter(is_unheld).map(ToString::to_string).collect();
    if !unheld.is_empty() {
        tracing::warn!(target: ADMIN,
            addresses = unheld.join(","),
            "[listen] names addresses that the service manager has not opened, and its sockets serve alone: systemctl edit loopkdc.socket"
        );
    }
}

/// A relay at work: sockets, tasks and what stops them.
#[derive(Debug)]
pub struct Relay {
    /// What answers requests.
    pub exchange: Arc<Exchange>,
    handle: RelayHandle,
    /// Where the KDC service listens, as text.
    pub kdc: String,
    /// Where the kpasswd service listens, as text.
    pub kpasswd: String,
    status: Arc<StatusSource>,
    tasks: Tasks,
}

impl Relay {
    /// Serves `listeners` as `config` says. Must be called inside a runtime.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub fn start(config: &Config, listeners: Vec<ServiceListener>) -> Result<Self, Failure> {
        let handle = RelayHandle::new(routes::plan(config), config.listen.max_in_flight)?;
        let exchange = Arc::clone(&handle.exchange);
        let tasks = Tasks::default();
        tasks.spawn(proxy_cache::keep(handle.clone()));
        let kdc = addresses(&listeners, Service::Kdc);
        let kpasswd = addresses(&listeners, Service::Kpasswd);
        let (limits, shown) = (limits(&config.listen), listener_statuses(&listeners));
        let connections = listeners::serve(listeners, &exchange, limits, &tasks);
        let status = StatusSource::new(
            config,
            shown,
            handle.clone(),
            connections,
            limits.max_connections,
        );
        Ok(Self {
            status: Arc::new(status),
            exchange,
            kdc,
            kpasswd,
            handle,
            tasks,
        })
    }

    /// Has the status read at `socket`.
    fn show_status(&self, socket: status_socket::StatusListener) {
        tracing::debug!(socket = %socket.path().display(), "the status can be read");
        let status = Arc::clone(&self.status);
        status_socket::serve(socket, move || status.json(), &self.exchange, &self.tasks);
    }

    /// Stops listening, and lets what is under way end.
    pub async fn stop(self) {
        self.tasks.end(&self.exchange).await;
    }
}

fn limits(listen: &Listen) -> ListenLimits {
    ListenLimits {
        udp_reply_max: listen.udp_reply_max_bytes,
        max_connections: descriptors::for_clients(listen.max_connections),
        max_in_flight: listen.max_in_flight,
        idle_timeout: listen.idle_timeout,
    }
}
