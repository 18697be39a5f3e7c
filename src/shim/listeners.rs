//! Ways in: the sockets of the KDC and kpasswd services.

use std::sync::Arc;
use std::time::Duration;

use super::peer_user::PeerUsers;
use super::{stream, udp};
use crate::daemon::bind::{ListenSocket, ServiceListener};
use crate::daemon::slots::ConnLimit;
use crate::daemon::tasks::Tasks;
use crate::relay::exchange::Exchange;
use crate::relay::shares::Shares;
use crate::relay::status::ListenerStatus;
use crate::wire::Service;

/// The bounds of what clients may hold at once, over all sockets.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListenLimits {
    /// A longer UDP reply is told to come over TCP instead, in octets.
    pub(super) udp_reply_max: usize,
    /// Connections open at once.
    pub(super) max_connections: usize,
    /// Datagrams waiting for their answers at once, of which no user gets all.
    pub(super) max_in_flight: usize,
    /// How long a connection may be silent.
    pub(super) idle_timeout: Duration,
}

/// What all listeners share.
#[derive(Clone, Debug)]
pub(super) struct ListenerContext {
    pub(super) exchange: Arc<Exchange>,
    pub(super) peers: Arc<PeerUsers>,
    pub(super) limits: ListenLimits,
    /// Octets of long messages over streams.
    pub(super) long_messages: Arc<Shares>,
    pub(super) tasks: Tasks,
}

/// What a relay listens on, before it takes it over.
pub(super) fn statuses(listeners: &[ServiceListener]) -> Vec<ListenerStatus> {
    let status = |listener: &ServiceListener| ListenerStatus {
        service: match listener.service {
            Service::Kdc => "kdc".into(),
            Service::Kpasswd => "kpasswd".into(),
        },
        transport: listener.transport().into(),
        address: listener.address().trim_start_matches("unix:").into(),
        inherited: listener.inherited,
    };
    listeners.iter().map(status).collect()
}

/// Serves all `listeners` in `tasks`, until they stop; what is under way then is still answered. Returns the
/// connections of their clients.
pub(super) fn serve(
    listeners: Vec<ServiceListener>,
    exchange: &Arc<Exchange>,
    limits: ListenLimits,
    tasks: &Tasks,
) -> ConnLimit {
    let context = ListenerContext {
        exchange: Arc::clone(exchange),
        peers: Arc::new(PeerUsers::new()),
        limits,
        long_messages: Shares::new(stream::LONG_MESSAGES),
        tasks: tasks.clone(),
    };
    let connections = ConnLimit::new(limits.max_connections, exchange, tasks);
    let datagrams = Shares::new(limits.max_in_flight);
    for ServiceListener {
        service, socket, ..
    } in listeners
    {
        let context = context.clone();
        match socket {
            ListenSocket::Udp(socket) => {
                tasks
                    .tracker
                    .spawn(udp::serve(socket, service, context, datagrams.clone()))
            }
            ListenSocket::Stream(socket) => {
                tasks
                    .tracker
                    .spawn(stream::serve(socket, service, context, connections.clone()))
            }
        };
    }
    connections
}
