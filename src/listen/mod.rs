//! Ways in: the sockets of the KDC and kpasswd services, HTTPS, and where the metrics are read.

mod accept;
mod activity;
mod bind;
mod endpoint;
pub mod https;
mod inherit;
mod isolated;
pub mod metrics;
mod seats;
#[cfg(unix)]
pub mod status;
mod stream;
mod udp;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use activity::Activity;
#[cfg(unix)]
pub use bind::bind_status;
pub use bind::{Kind, Listener, bind, bind_http, bind_metrics};
pub use endpoint::{Endpoint, EndpointAddr, LoopbackAddr};
pub use inherit::Inherited;

use crate::relay::exchange::Exchange;
use crate::relay::text::listed;

/// The bounds of what clients may hold at once, over all sockets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A longer UDP reply is told to come over TCP instead, in octets.
    pub udp_reply_max: usize,
    /// Connections open at once.
    pub max_connections: usize,
    /// Datagrams waiting for their answers at once.
    pub max_in_flight: usize,
    /// How long a connection may be silent.
    pub idle_timeout: Duration,
}

/// What all listeners share.
#[derive(Clone, Debug)]
struct Shared {
    exchange: Arc<Exchange>,
    limits: Limits,
    long_requests: Arc<Semaphore>,
    activity: Activity,
    tasks: TaskTracker,
}

/// The connections of clients.
#[derive(Clone, Debug)]
pub struct Places(seats::Connections);

impl Places {
    /// How many are open.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.0.open()
    }
}

/// Listeners at work, as far as others ask after them.
#[derive(Debug)]
pub struct Served {
    /// How busy they are.
    pub activity: Activity,
    /// The connections of their clients.
    pub places: Places,
}

/// Serves all `listeners` in tasks of `tasks` until `stop`; what is under way then is still answered.
pub fn serve(
    listeners: Vec<Listener>,
    exchange: &Arc<Exchange>,
    limits: Limits,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Served {
    let activity = Activity::until(stop);
    let shared = Shared {
        exchange: Arc::clone(exchange),
        limits,
        long_requests: stream::room(),
        activity: activity.clone(),
        tasks: tasks.clone(),
    };
    let connections = seats::Connections::new(limits.max_connections, exchange, stop);
    let datagrams = udp::places(limits.max_in_flight);
    let places = Places(connections.clone());
    for Listener { service, kind, .. } in listeners {
        let (shared, connections) = (shared.clone(), connections.clone());
        match kind {
            Kind::Udp(socket) => {
                drop(tasks.spawn(udp::serve(socket, service, shared, datagrams.clone())))
            }
            Kind::Tcp(socket) => {
                drop(tasks.spawn(stream::serve(socket, service, shared, connections)));
            }
            #[cfg(unix)]
            Kind::Unix(socket) => {
                drop(tasks.spawn(stream::serve(socket, service, shared, connections)));
            }
        }
    }
    Served { activity, places }
}

/// Whether an error of accept or recv is the machine's lack of something, rather than a peer's doing.
fn lacks_resources(error: &std::io::Error) -> bool {
    // ENOMEM, ENFILE, EMFILE, ENOBUFS
    error.kind() == std::io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(12 | 23 | 24 | 105))
}

/// Whether an error of accept or recv ends with the peer that caused it (accept(2), Error handling). After any other the
/// listener rests: one that lasts would otherwise be met again without a pause.
fn is_peers_doing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::PermissionDenied
            | Kind::TimedOut
    )
}

/// How long a listener that lacks resources waits before it tries again.
const REST: Duration = Duration::from_millis(100);

/// A lack of descriptors or memory, or another error that may last, told once however long it lasts.
#[derive(Debug, Default)]
struct Shortage {
    told: bool,
}

impl Shortage {
    /// Waits a moment for what `error` says is lacking.
    async fn rest(&mut self, error: &std::io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            tracing::warn!(%error, "requests are kept waiting");
        }
        tokio::time::sleep(REST).await;
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.told) {
            tracing::info!("requests are accepted again");
        }
    }
}

/// The addresses that `listeners` serve `service` at, each once, for the line that says ready.
#[must_use]
pub fn addresses(listeners: &[Listener], service: crate::wire::Service) -> String {
    let mut addresses: Vec<String> = listeners
        .iter()
        .filter(|listener| listener.service == service)
        .map(Listener::address)
        .collect();
    addresses.dedup();
    listed(&addresses)
}

/// The address of a UDP or TCP socket, as text.
pub(crate) fn shown(address: std::io::Result<SocketAddr>) -> String {
    address.map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

/// The address of a Unix socket, as text.
#[cfg(unix)]
fn shown_path(socket: &tokio::net::UnixListener) -> String {
    let address = socket.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map_or_else(
        || "unix".to_owned(),
        |path| format!("unix:{}", path.display()),
    )
}
