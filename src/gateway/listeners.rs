//! The sockets that a gateway serves: those of the service manager's unit, those of the gateway before, or its own.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};

use socket2::SockRef;

use crate::config::endpoint::Endpoint;
use crate::config::gateway::Serving;
use crate::daemon::bind::{StreamSocket, bind_http};
use crate::daemon::inherit::{HttpSockets, KEPT, warn_of_unheld};
use crate::daemon::notify;
use crate::gateway::https::HttpListener;
use crate::relay::failure::Failure;
use crate::relay::text::listed;

/// Opens those for HTTPS, and those for plain HTTP. Where the service manager's unit has some of a kind, they are served and no
/// others of that kind.
///
/// The service manager keeps the others for the next gateway: who connects meanwhile waits in them.
pub(super) fn open(
    serving: &Serving,
    sockets: HttpSockets,
) -> Result<[Vec<HttpListener>; 2], Failure> {
    let HttpSockets { https, plain, kept } = sockets;
    let tables = [
        ("listen", &serving.https, https),
        ("plain-listen", &serving.plain, plain),
    ];
    let own = tables.iter().filter(|(_, _, held)| held.is_empty());
    let own = own.flat_map(|(_, endpoints, _)| endpoints.iter());
    let own: Vec<_> = own.map(ToString::to_string).collect();
    let is_own = |socket: &StreamSocket| own.contains(&socket.address());
    let (mut kept, others): (Vec<_>, Vec<_>) = kept.into_iter().partition(is_own);
    others.iter().for_each(end);
    let [https, plain] = tables.map(|(key, endpoints, held)| {
        if held.is_empty() {
            bound(key, endpoints, &mut kept, serving.unix_mode)
        } else {
            Ok(of_unit(key, endpoints, held))
        }
    });
    let opened = [https?, plain?];
    let sockets = opened.iter().flatten().map(|listener| &listener.socket);
    let own = sockets.filter(|socket| is_own(socket)).filter_map(tcp);
    notify::keep(KEPT, &own.collect::<Vec<_>>());
    Ok(opened)
}

/// The `endpoints`, which stand at `key` in the configuration: those that were `kept`, and the others bound.
fn bound(
    key: &'static str,
    endpoints: &[Endpoint],
    kept: &mut Vec<StreamSocket>,
    unix_mode: u32,
) -> Result<Vec<HttpListener>, Failure> {
    let bound = endpoints.iter().map(|endpoint| {
        let address = endpoint.to_string();
        let is_it = |socket: &StreamSocket| socket.address() == address;
        let socket = match kept.iter().position(is_it) {
            Some(index) => Some(kept.swap_remove(index)),
            None => bind_http(key, endpoint, unix_mode)?,
        };
        Ok(socket.map(|socket| listener(socket, Some(endpoint))))
    });
    bound.filter_map(Result::transpose).collect()
}

/// The `sockets` of the service manager's unit; what the configuration says of an address holds for the one there.
fn of_unit(
    key: &'static str,
    endpoints: &[Endpoint],
    sockets: Vec<StreamSocket>,
) -> Vec<HttpListener> {
    let held: Vec<_> = sockets.iter().map(StreamSocket::address).collect();
    warn_of_unheld(&held, endpoints, key, "loopkdc-gateway.socket");
    let listeners = sockets.into_iter().zip(held).map(|(socket, held)| {
        let is_it = |endpoint: &&Endpoint| endpoint.to_string() == held;
        listener(socket, endpoints.iter().find(is_it))
    });
    listeners.collect()
}

fn listener(socket: StreamSocket, written: Option<&Endpoint>) -> HttpListener {
    HttpListener {
        socket,
        tls: None,
        proxy_protocol: written.is_some_and(|endpoint| endpoint.proxy_protocol),
    }
}

/// Nothing of a Unix socket: its path goes with the service's folder.
fn tcp(socket: &StreamSocket) -> Option<BorrowedFd<'_>> {
    match socket {
        StreamSocket::Tcp(socket) => Some(socket.as_fd()),
        StreamSocket::Unix(_) => None,
    }
}

/// Has nobody listen there any more: the service manager holds the socket too, and closes it when it has been shut down.
fn end(socket: &StreamSocket) {
    if let StreamSocket::Tcp(socket) = socket
        && let Err(error) = SockRef::from(socket).shutdown(Shutdown::Both)
    {
        tracing::debug!(%error, "ending a socket that was kept");
    }
}

/// Where they are, as text.
pub(super) fn addresses(listeners: &[HttpListener]) -> String {
    let addresses = listeners.iter().map(|listener| listener.socket.address());
    listed(&addresses.collect::<Vec<_>>())
}
