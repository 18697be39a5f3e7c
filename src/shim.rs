//! `loopkdc run`: a KDC on loopback, and the proxies that it reaches real ones by.

mod last_good;
mod peer_user;
mod proxy_cache;
mod reachable_file;
mod render;
mod routes;
mod run_daemon;
mod state_file;
mod stream;
mod udp;

use std::path::Path;
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::atomic::Ordering;

use crate::config::{Config, Listen, Sources};
use crate::daemon::bind::{ListenSocket, ServiceListener, addresses, bind};
use crate::daemon::inherit::{Inherited, warn_of_unheld};
use crate::daemon::logging::ADMIN;
use crate::daemon::slots::ConnLimit;
use crate::daemon::status_source::StatusSource;
use crate::daemon::tasks::Tasks;
use crate::daemon::{self, descriptors, notify, status_socket, user};
use crate::relay::discovery::RelayHandle;
use crate::relay::exchange::Exchange;
use crate::relay::failure::Failure;
use crate::relay::shares::Shares;
use crate::relay::status::{DaemonKind, ListenerStatus};
use crate::wire::Service;
use peer_user::PeerUsers;
use run_daemon::{Prepared, RunDaemon};

/// One user's requests, of which one that computes must not hold up the next.
const THREADS: usize = 2;

/// How it is started by who is not root, on the ports of Kerberos.
const ROOTLESS: &str = "systemctl enable --now loopkdc; or as any user, after setcap cap_net_bind_service=+ep \"$(command -v loopkdc)\"";

/// Runs the daemon until a signal stops it. In the file `reachable` it says which realms can be reached.
///
/// # Errors
/// What keeps it from starting: a socket that cannot be bound, or a configuration that cannot work, unless a service manager
/// starts it.
pub fn run(sources: &Sources, reachable: Option<&Path>) -> Result<(), Failure> {
    let inherited = Inherited::from_env();
    daemon::run(THREADS, start(sources, inherited, reachable))
}

async fn start<'a>(
    sources: &'a Sources,
    inherited: Inherited,
    reachable: Option<&Path>,
) -> Result<RunDaemon<'a>, Failure> {
    let mut listeners = inherited.listeners()?;
    let is_managed = !listeners.is_empty() || notify::is_expected();
    let prepared = Prepared::new(sources, &listeners, is_managed)?;
    listeners.extend(prepared.listeners);
    let config = prepared.config;
    let relay = Relay::serve(&config, prepared.handle, listeners);
    relay.status.set_read_at(prepared.read_at);
    #[cfg(target_os = "linux")]
    relay.follow_network();
    if let Some(socket) = prepared.status_socket {
        relay.show_status(socket);
    }
    if let Some(file) = reachable {
        reachable_file::keep(file, &relay.exchange, &relay.tasks);
    }
    notify::keep_alive(&relay.exchange, &relay.tasks);
    relay.status.follow(&relay.tasks);
    let mut daemon = RunDaemon::new(relay, sources, prepared.listen, is_managed);
    daemon.begin(&config, prepared.mistake);
    let Relay { kdc, kpasswd, .. } = &daemon.relay;
    tracing::info!(target: ADMIN, %kdc, %kpasswd, "ready");
    if !is_managed && user::is_root() {
        tracing::info!(target: ADMIN, "this stays root, which it need not be: {ROOTLESS}");
    }
    Ok(daemon)
}

/// Binds what the configuration asks for, except a service whose sockets the service manager handed over: these are `inherited`.
///
/// # Errors
/// A socket that cannot be bound, and what to do about it.
pub fn listeners(
    listen: &Listen,
    inherited: &[ServiceListener],
) -> Result<Vec<ServiceListener>, Failure> {
    let mut listeners = Vec::new();
    for (service, endpoints) in [
        (Service::Kdc, &listen.kdc),
        (Service::Kpasswd, &listen.kpasswd),
    ] {
        if inherited.iter().any(|listener| listener.service == service) {
            let of_service = inherited.iter().filter(|held| held.service == service);
            let held: Vec<_> = of_service.map(ServiceListener::address).collect();
            warn_of_unheld(&held, endpoints, "[listen]", "loopkdc.socket");
            continue;
        }
        for endpoint in endpoints {
            listeners.extend(bind(service, endpoint, listen.unix_mode)?);
        }
    }
    Ok(listeners)
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
    /// What is in effect of `[listen]`: that of the start.
    listen: Arc<Listen>,
    tasks: Tasks,
}

impl Relay {
    /// Serves `listeners` as `config` says. Must be called inside a runtime.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub fn start(config: &Config, listeners: Vec<ServiceListener>) -> Result<Self, Failure> {
        let handle = RelayHandle::new(routes::plan(config), config.listen.max_in_flight)?;
        Ok(Self::serve(config, handle, listeners))
    }

    /// Serves `listeners` by the relay of `handle`, which `config` has made.
    fn serve(config: &Config, handle: RelayHandle, listeners: Vec<ServiceListener>) -> Self {
        let exchange = Arc::clone(&handle.exchange);
        let tasks = Tasks::default();
        tasks.spawn(proxy_cache::keep(handle.clone()));
        let kdc = addresses(&listeners, Service::Kdc);
        let kpasswd = addresses(&listeners, Service::Kpasswd);
        let (listen, shown) = (Arc::new(config.listen.clone()), statuses(&listeners));
        let max_connections = descriptors::for_clients(listen.max_connections);
        let connections = ConnLimit::new(max_connections, &exchange, &tasks);
        serve(listeners, &exchange, &listen, &connections, &tasks);
        let status = StatusSource::new(
            DaemonKind::Run,
            config.source.as_deref(),
            shown,
            handle.clone(),
            connections,
            max_connections,
        );
        Self {
            status: Arc::new(status),
            listen,
            exchange,
            kdc,
            kpasswd,
            handle,
            tasks,
        }
    }

    /// Has the status read at `socket`.
    fn show_status(&self, socket: status_socket::StatusListener) {
        tracing::debug!(socket = %socket.path().display(), "the status can be read");
        let status = Arc::clone(&self.status);
        status_socket::serve(
            socket,
            move || status.json(None),
            &self.exchange,
            &self.tasks,
        );
    }

    /// Has the exchange hear of each change of the network; the status says whether it does.
    #[cfg(target_os = "linux")]
    fn follow_network(&self) {
        let mut changes = match crate::relay::network::Changes::open() {
            Ok(changes) => changes,
            Err(error) => {
                // Then a dead connection is found by the first request that waits on it.
                tracing::warn!(%error, "changes of the network can't be heard of");
                return;
            }
        };
        let exchange = Arc::clone(&self.exchange);
        let hears = Arc::clone(self.status.watches_network());
        hears.store(true, Ordering::Relaxed);
        self.tasks.spawn(async move {
            let error = loop {
                match changes.next().await {
                    Ok(()) => exchange.network_changed(),
                    Err(error) => break error,
                }
            };
            tracing::warn!(%error, "changes of the network are no longer heard of");
            hears.store(false, Ordering::Relaxed);
        });
    }

    /// Stops listening, and lets what is under way end.
    pub async fn stop(self) {
        self.tasks.end(&self.exchange).await;
    }
}

/// What all listeners share.
#[derive(Clone, Debug)]
struct ListenerContext {
    exchange: Arc<Exchange>,
    peers: Arc<PeerUsers>,
    listen: Arc<Listen>,
    /// Octets of long messages over streams.
    long_messages: Arc<Shares>,
    tasks: Tasks,
}

/// What a relay listens on, before it takes it over.
fn statuses(listeners: &[ServiceListener]) -> Vec<ListenerStatus> {
    let status = |listener: &ServiceListener| ListenerStatus {
        service: match listener.service {
            Service::Kdc => "kdc".into(),
            Service::Kpasswd => "kpasswd".into(),
        },
        transport: listener.transport().into(),
        address: listener.address().trim_start_matches("unix:").into(),
        inherited: listener.inherited,
        awaits_address: false,
    };
    listeners.iter().map(status).collect()
}

/// Serves all `listeners` in `tasks`, until they stop; what is under way then is still answered.
fn serve(
    listeners: Vec<ServiceListener>,
    exchange: &Arc<Exchange>,
    listen: &Arc<Listen>,
    connections: &ConnLimit,
    tasks: &Tasks,
) {
    let context = ListenerContext {
        exchange: Arc::clone(exchange),
        peers: Arc::new(PeerUsers::new()),
        listen: Arc::clone(listen),
        long_messages: Shares::new(stream::LONG_MESSAGES),
        tasks: tasks.clone(),
    };
    // Those that wait for their answers at once, of which no user gets all.
    let datagrams = Shares::new(listen.max_in_flight);
    for ServiceListener {
        service, socket, ..
    } in listeners
    {
        let (context, tracker) = (context.clone(), &tasks.tracker);
        match socket {
            ListenSocket::Udp(socket) => {
                tracker.spawn(udp::serve(socket, service, context, datagrams.clone()))
            }
            ListenSocket::Stream(socket) => {
                tracker.spawn(stream::serve(socket, service, context, connections.clone()))
            }
        };
    }
}
