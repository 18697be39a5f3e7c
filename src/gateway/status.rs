//! What `loopkdc status --gateway` is told.

use std::path::Path;
use std::sync::Arc;

use crate::config::gateway::Serving;
use crate::daemon::bind::StreamSocket;
use crate::daemon::slots::ConnLimit;
use crate::daemon::status_source::StatusSource;
use crate::daemon::tasks::Tasks;
use crate::daemon::{descriptors, status_socket};
use crate::gateway::https::HttpListener;
use crate::gateway::tls::Certificates;
use crate::relay::discovery::RelayHandle;
use crate::relay::status::{DaemonKind, ListenerStatus};

/// A socket that serves `https`, `http` or `metrics`.
pub(super) fn listener(
    service: &'static str,
    socket: &StreamSocket,
    inherited: bool,
) -> ListenerStatus {
    ListenerStatus {
        service: service.into(),
        transport: socket.transport().into(),
        address: socket.address().trim_start_matches("unix:").into(),
        inherited,
        awaits_address: false,
    }
}

/// Sockets that serve the same.
pub(super) fn listeners(
    service: &'static str,
    listeners: &[HttpListener],
    are_inherited: bool,
) -> Vec<ListenerStatus> {
    let status = |of: &HttpListener| listener(service, &of.socket, are_inherited);
    listeners.iter().map(status).collect()
}

/// Has the status read at the usual place, by whoever may connect to the gateway's other Unix sockets. `file` is its configuration.
pub(super) fn show(
    file: &Path,
    serving: &Serving,
    listeners: Vec<ListenerStatus>,
    connections: ConnLimit,
    certificates: Option<Certificates>,
    relay: &RelayHandle,
    tasks: &Tasks,
) -> Arc<StatusSource> {
    let status = Arc::new(StatusSource::new(
        DaemonKind::Gateway,
        Some(file),
        listeners,
        relay.clone(),
        connections,
        descriptors::for_clients(serving.max_connections),
    ));
    if let Some(socket) = status_socket::bind_usual(DaemonKind::Gateway, serving.unix_mode) {
        let source = Arc::clone(&status);
        let document = move || {
            let validity = certificates.as_ref().and_then(|now| now.borrow().validity);
            source.json(validity.map(|validity| validity.not_after()))
        };
        status_socket::serve(socket, document, &relay.exchange, tasks);
    }
    status
}
