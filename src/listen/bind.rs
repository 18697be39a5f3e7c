//! The one place where sockets are bound.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};
#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, UdpSocket};

use super::shown;
use crate::config::{Endpoint, EndpointAddr};
use crate::failure::{Exit, Failure};
use crate::wire::Service;

/// Connections that the kernel holds until they are accepted: a burst of clients, not a second's worth.
const BACKLOG: i32 = 1024;

/// How often another port is tried for port 0.
const PORTS_TRIED: usize = 64;

/// Datagrams that the kernel holds until they are received, in octets with its overhead.
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// A socket of ours, bound and non-blocking, and the service that it is for.
#[derive(Debug)]
pub struct Listener {
    /// Decides the parse, the form of an error and what may be sent again.
    pub service: Service,
    /// The socket.
    pub kind: Kind,
}

/// The kinds of sockets.
#[derive(Debug)]
pub enum Kind {
    /// A datagram, an answer.
    Udp(UdpSocket),
    /// Framed messages.
    Tcp(TcpListener),
    /// Framed messages.
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    /// Its address, for people.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.kind {
            Kind::Udp(socket) => shown(socket.local_addr()),
            Kind::Tcp(socket) => shown(socket.local_addr()),
            #[cfg(unix)]
            Kind::Unix(socket) => {
                let address = socket.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(
                    || "unix".to_owned(),
                    |path| format!("unix:{}", path.display()),
                )
            }
        }
    }
}

/// Binds what `endpoint` asks for: UDP and TCP of one port, or a Unix socket with `unix_mode`.
///
/// An optional endpoint that this machine has no address for gives no listener, and a line in the log.
///
/// # Errors
/// A [`Failure`] that says what to do. Must be called inside a runtime.
pub fn bind(
    service: Service,
    endpoint: &Endpoint,
    unix_mode: u32,
) -> Result<Vec<Listener>, Failure> {
    let bound = match &endpoint.addr {
        EndpointAddr::Loopback(addr) => inet(addr.get()),
        EndpointAddr::Remote(addr) => inet(*addr),
        EndpointAddr::Unix(path) => unix(path, unix_mode).map(|kind| vec![kind]),
    };
    match bound {
        Ok(kinds) => Ok(kinds
            .into_iter()
            .map(|kind| Listener { service, kind })
            .collect()),
        Err(error) if endpoint.optional && lacks_address(&error) => {
            tracing::info!(%endpoint, "not listening here: this machine has no IPv6");
            Ok(Vec::new())
        }
        Err(error) => Err(refused(service, endpoint, &error)),
    }
}

/// EADDRNOTAVAIL without ::1, EAFNOSUPPORT (97 on Linux, 47 on the BSDs) without IPv6.
fn lacks_address(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(97 | 47))
}

/// For port 0, a port that is free for UDP too.
fn inet(addr: SocketAddr) -> io::Result<Vec<Kind>> {
    let tries = if addr.port() == 0 { PORTS_TRIED } else { 1 };
    let mut bound = both(addr);
    for _ in 1..tries {
        match &bound {
            Err(error) if error.kind() == ErrorKind::AddrInUse => bound = both(addr),
            _ => break,
        }
    }
    bound
}

/// TCP first: with port 0, UDP then takes the port that it was given.
fn both(addr: SocketAddr) -> io::Result<Vec<Kind>> {
    let tcp = socket(addr, Type::STREAM, Protocol::TCP)?;
    // A daemon that restarts must not wait for its old connections' TIME_WAIT.
    #[cfg(unix)]
    tcp.set_reuse_address(true)?;
    tcp.bind(&addr.into())?;
    tcp.listen(BACKLOG)?;
    let tcp = TcpListener::from_std(tcp.into())?;
    let addr = tcp.local_addr()?;
    let udp = socket(addr, Type::DGRAM, Protocol::UDP)?;
    // What the system grants of it: a burst that overflows costs each of its clients a second.
    udp.set_recv_buffer_size(RECEIVE_BUFFER)?;
    udp.bind(&addr.into())?;
    Ok(vec![
        Kind::Udp(UdpSocket::from_std(udp.into())?),
        Kind::Tcp(tcp),
    ])
}

fn socket(addr: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        // IPv4 has sockets of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(unix)]
fn unix(path: &Path, mode: u32) -> io::Result<Kind> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(Kind::Unix(listener))
}

#[cfg(not(unix))]
fn unix(_: &Path, _: u32) -> io::Result<Kind> {
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "this system has no Unix sockets",
    ))
}

/// Removes what a daemon that ended left behind: a socket that nobody listens on, and nothing else.
#[cfg(unix)]
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let refused = || {
        std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
    };
    if is_socket && refused() {
        std::fs::remove_file(path)
    } else {
        Ok(())
    }
}

fn refused(service: Service, endpoint: &Endpoint, error: &io::Error) -> Failure {
    let (option, free) = match service {
        Service::Kdc => ("--listen-kdc", "127.0.0.1:8888"),
        Service::Kpasswd => ("--listen-kpasswd", "127.0.0.1:8464"),
    };
    let failure = |exit| Failure::new(exit, format!("cannot listen on {endpoint}: {error}"));
    let elsewhere =
        format!("or listen elsewhere with {option} {free}, and name that port in krb5.conf");
    match error.kind() {
        ErrorKind::PermissionDenied if endpoint.addr.socket_addr().is_some() => failure(Exit::Permission)
            .hint("ports below 1024 take root, systemd's sockets, or a capability:")
            .hint("systemctl enable --now loopkdc.socket loopkdc-kpasswd.socket")
            .hint("setcap cap_net_bind_service=+ep \"$(command -v loopkdc)\"")
            .hint(elsewhere),
        ErrorKind::PermissionDenied => {
            failure(Exit::Permission).hint(format!("make the socket's directory writable, {elsewhere}"))
        }
        ErrorKind::AddrInUse if endpoint.addr.socket_addr().is_none() => failure(Exit::Config)
            .hint("another loopkdc may listen there, or something that is no socket stands there: remove it"),
        ErrorKind::AddrInUse => failure(Exit::Config).hint(holders(service, endpoint)).hint(elsewhere),
        ErrorKind::AddrNotAvailable => failure(Exit::Config)
            .hint("no interface of this machine has this address: ip address"),
        ErrorKind::NotFound => failure(Exit::Config).hint("make the socket's directory first"),
        _ => failure(Exit::Config),
    }
}

/// Who usually holds the port, and how to see who does.
fn holders(service: Service, endpoint: &Endpoint) -> String {
    let usual = match service {
        Service::Kdc => "krb5kdc, samba, heimdal-kdc",
        Service::Kpasswd => "kadmind, samba, kpasswdd",
    };
    let port = endpoint.addr.socket_addr().map_or(0, |addr| addr.port());
    format!("usually held by {usual} or another loopkdc; to see who: ss -lntup 'sport = {port}'")
}
