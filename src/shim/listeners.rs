//! Ways in: the sockets of the KDC and kpasswd services, HTTPS, and where the metrics are read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{stream, udp};
use crate::daemon::bind::{ListenSocket, ServiceListener};
use crate::daemon::slots;
use crate::relay::exchange::Exchange;

/// The bounds of what clients may hold at once, over all sockets.
#[derive(Clone, Copy, Debug)]
pub struct ListenLimits {
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
pub(super) struct ListenerContext {
    pub(super) exchange: Arc<Exchange>,
    pub(super) limits: ListenLimits,
    pub(super) long_requests: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// The connections of clients.
#[derive(Clone, Debug)]
pub struct OpenConnections(slots::ConnLimit);

impl OpenConnections {
    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.open()
    }
}

/// Serves all `listeners` in tasks of `tasks` until `stop`; what is under way then is still answered. Returns the
/// connections of their clients.
pub fn serve(
    listeners: Vec<ServiceListener>,
    exchange: &Arc<Exchange>,
    limits: ListenLimits,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> OpenConnections {
    let context = ListenerContext {
        exchange: Arc::clone(exchange),
        limits,
        long_requests: stream::room(),
        stop: stop.clone(),
        tasks: tasks.clone(),
    };
    let connections = slots::ConnLimit::new(limits.max_connections, exchange, stop);
    let datagrams = udp::places(limits.max_in_flight);
    let open = OpenConnections(connections.clone());
    for ServiceListener {
        service, socket, ..
    } in listeners
    {
        let (context, connections) = (context.clone(), connections.clone());
        match socket {
            ListenSocket::Udp(socket) => {
                drop(tasks.spawn(udp::serve(socket, service, context, datagrams.clone())))
            }
            ListenSocket::Tcp(socket) => {
                drop(tasks.spawn(stream::serve(socket, service, context, connections)));
            }
            ListenSocket::Unix(socket) => {
                drop(tasks.spawn(stream::serve(socket, service, context, connections)));
            }
        }
    }
    open
}
