//! The one place where sockets are bound, and what to say when one can't be had.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UdpSocket, UnixListener};

use super::logging::ADMIN;
use super::status_socket::StatusListener;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::listed;
use crate::wire::Service;

/// Connections that the kernel holds until they are accepted: a burst of clients, not a second's worth.
const BACKLOG: i32 = 1024;

/// How often another port is tried for port 0.
const PORTS_TRIED: usize = 64;

/// Datagrams that the kernel holds until they are received, in octets with its overhead.
const RECEIVE_BUFFER: usize = 1024 * 1024;

/// A socket to listen on, bound and non-blocking, and the service that it is for.
#[derive(Debug)]
pub struct ServiceListener {
    /// Decides the parse, the form of an error and what may be sent again.
    pub service: Service,
    /// The socket.
    pub socket: ListenSocket,
    /// The service manager holds it too: it outlives this daemon.
    pub inherited: bool,
}

/// The kinds of sockets.
#[derive(Debug)]
pub enum ListenSocket {
    /// A datagram, an answer.
    Udp(UdpSocket),
    /// Framed messages.
    Stream(StreamSocket),
}

/// A socket that accepts connections.
#[derive(Debug)]
pub enum StreamSocket {
    /// TCP.
    Tcp(TcpListener),
    /// For clients on this machine, or a reverse proxy.
    Unix(UnixListener),
}

impl StreamSocket {
    /// Its address, for people.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(socket) => shown(socket.local_addr()),
            Self::Unix(socket) => shown_path(socket),
        }
    }

    /// Only this machine reaches it.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(socket) => {
                let address = socket.local_addr();
                address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
            }
            Self::Unix(_) => true,
        }
    }

    /// The transport's name.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Unix(_) => "unix",
        }
    }
}

impl ServiceListener {
    /// The transport's name.
    pub fn transport(&self) -> &'static str {
        match &self.socket {
            ListenSocket::Udp(_) => "udp",
            ListenSocket::Stream(socket) => socket.transport(),
        }
    }

    /// Its address, for people.
    pub fn address(&self) -> String {
        match &self.socket {
            ListenSocket::Udp(socket) => shown(socket.local_addr()),
            ListenSocket::Stream(socket) => socket.address(),
        }
    }
}

/// Binds what `endpoint` asks for: UDP and TCP of one port, or a Unix socket with `unix_mode`.
///
/// An optional endpoint that this machine has no address for gives no listener, and a line in the log. On Linux one for other machines
/// gives listeners that serve once an interface has its address, such as a bridge's or a VPN's, and a warning.
///
/// # Errors
/// A [`Failure`] that says what to do. Must be called inside a runtime.
pub fn bind(
    service: Service,
    endpoint: &Endpoint,
    unix_mode: u32,
) -> Result<Vec<ServiceListener>, Failure> {
    let bound = match &endpoint.addr {
        EndpointAddr::Loopback(addr) => inet(addr.get(), false),
        EndpointAddr::Remote(addr) => inet(*addr, false).or_else(|error| awaited(*addr, error)),
        EndpointAddr::Unix(path) => unix(path, unix_mode)
            .map(|socket| vec![ListenSocket::Stream(StreamSocket::Unix(socket))]),
    };
    let sockets = unless_lacking(bound, endpoint, Purpose::Service(service))?.unwrap_or_default();
    let listener = |socket| ServiceListener {
        service,
        socket,
        inherited: false,
    };
    Ok(sockets.into_iter().map(listener).collect())
}

/// Binds TCP alone, or a Unix socket with `unix_mode`, for HTTP.
///
/// An optional endpoint that this machine has no address for gives none, and a line in the log.
///
/// # Errors
/// A [`Failure`] that says what to do, in the words of the configuration's `key`. Must be called inside a runtime.
pub fn bind_http(
    key: &'static str,
    endpoint: &Endpoint,
    unix_mode: u32,
) -> Result<Option<StreamSocket>, Failure> {
    unless_lacking(stream(endpoint, unix_mode), endpoint, Purpose::Http(key))
}

/// Binds TCP for the metrics.
///
/// # Errors
/// A [`Failure`] that says what to do. Must be called inside a runtime.
pub fn bind_metrics(addr: SocketAddr) -> Result<StreamSocket, Failure> {
    let endpoint = Endpoint::needed(EndpointAddr::of(addr));
    let purpose = Purpose::Http("metrics-listen");
    stream(&endpoint, 0).map_err(|error| purpose.refused(&endpoint, &error))
}

/// Binds the Unix socket that the status is read from, with `mode`.
///
/// # Errors
/// A [`Failure`] that says what to do. Must be called inside a runtime.
pub fn bind_status(path: &Path, mode: u32) -> Result<StatusListener, Failure> {
    let endpoint = Endpoint::needed(EndpointAddr::Unix(path.to_owned()));
    let bound = stream(&endpoint, mode).and_then(|socket| StatusListener::new(socket, path));
    bound.map_err(|error| Purpose::Status.refused(&endpoint, &error))
}

fn unless_lacking<T>(
    bound: io::Result<T>,
    endpoint: &Endpoint,
    purpose: Purpose,
) -> Result<Option<T>, Failure> {
    match bound {
        Ok(bound) => Ok(Some(bound)),
        Err(error) if endpoint.optional && lacks_address(&error) => {
            tracing::info!(target: ADMIN, %endpoint, "not listening here: this machine has no IPv6");
            Ok(None)
        }
        Err(error) => Err(purpose.refused(endpoint, &error)),
    }
}

/// EADDRNOTAVAIL without ::1, EAFNOSUPPORT (97 on Linux, 47 on the BSDs) without IPv6.
fn lacks_address(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || matches!(error.raw_os_error(), Some(97 | 47))
}

/// The same where `error` is that this machine has no such address: on Linux one may come later.
fn awaited(addr: SocketAddr, error: io::Error) -> io::Result<Vec<ListenSocket>> {
    if cfg!(not(target_os = "linux")) || error.kind() != ErrorKind::AddrNotAvailable {
        return Err(error);
    }
    let sockets = inet(addr, true)?;
    tracing::warn!(target: ADMIN, %addr, "no interface of this machine has this address: it is served once one has");
    Ok(sockets)
}

/// True if `address` is one of UDP or TCP that no interface of this machine has at the moment.
pub(crate) fn is_absent(address: &str) -> bool {
    let absent = |mut address: SocketAddr| {
        address.set_port(0);
        let probe = std::net::UdpSocket::bind(address);
        probe.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
    };
    address.parse().is_ok_and(absent)
}

/// For port 0, a port that is free for UDP too.
fn inet(addr: SocketAddr, is_awaited: bool) -> io::Result<Vec<ListenSocket>> {
    for _ in 1..PORTS_TRIED {
        match both(addr, is_awaited) {
            Err(error) if addr.port() == 0 && error.kind() == ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    both(addr, is_awaited)
}

fn stream(endpoint: &Endpoint, unix_mode: u32) -> io::Result<StreamSocket> {
    match &endpoint.addr {
        EndpointAddr::Loopback(addr) => tcp(addr.get(), false).map(StreamSocket::Tcp),
        EndpointAddr::Remote(addr) => tcp(*addr, false).map(StreamSocket::Tcp),
        EndpointAddr::Unix(path) => unix(path, unix_mode).map(StreamSocket::Unix),
    }
}

fn tcp(addr: SocketAddr, is_awaited: bool) -> io::Result<TcpListener> {
    let tcp = socket(addr, is_awaited, Type::STREAM, Protocol::TCP)?;
    // A daemon that restarts must not wait for its old connections' TIME_WAIT.
    tcp.set_reuse_address(true)?;
    tcp.bind(&addr.into())?;
    tcp.listen(BACKLOG)?;
    TcpListener::from_std(tcp.into())
}

/// TCP first: with port 0, UDP then takes the port that it was given.
fn both(addr: SocketAddr, is_awaited: bool) -> io::Result<Vec<ListenSocket>> {
    let tcp = tcp(addr, is_awaited)?;
    let addr = tcp.local_addr()?;
    let udp = socket(addr, is_awaited, Type::DGRAM, Protocol::UDP)?;
    // What the system grants of it: a burst that overflows costs each of its clients a second.
    udp.set_recv_buffer_size(RECEIVE_BUFFER)?;
    udp.bind(&addr.into())?;
    Ok(vec![
        ListenSocket::Udp(UdpSocket::from_std(udp.into())?),
        ListenSocket::Stream(StreamSocket::Tcp(tcp)),
    ])
}

/// `is_awaited`: it can be bound before an interface has the address (IP_FREEBIND, ip(7)).
fn socket(
    addr: SocketAddr,
    is_awaited: bool,
    kind: Type,
    protocol: Protocol,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    #[cfg(target_os = "linux")]
    if is_awaited && addr.is_ipv6() {
        socket.set_freebind_v6(true)?;
    } else if is_awaited {
        socket.set_freebind_v4(true)?;
    }
    if addr.is_ipv6() {
        // IPv4 has sockets of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Removes what a daemon that ended left behind: a socket that nobody listens on, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    match UnixStream::connect(path) {
        Err(error) if is_socket && error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

/// The addresses that `listeners` serve `service` at, each once, for the line that says ready.
pub fn addresses(listeners: &[ServiceListener], service: Service) -> String {
    let mut addresses: Vec<String> = listeners
        .iter()
        .filter(|listener| listener.service == service)
        .map(ServiceListener::address)
        .collect();
    addresses.dedup();
    listed(&addresses)
}

/// The address of a UDP or TCP socket, as text.
fn shown(address: io::Result<SocketAddr>) -> String {
    address.map_or_else(|_| "unknown".to_owned(), |address| address.to_string())
}

/// The address of a Unix socket, as text.
fn shown_path(socket: &UnixListener) -> String {
    let address = socket.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map_or_else(
        || "unix".to_owned(),
        |path| format!("unix:{}", path.display()),
    )
}

/// What a socket is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Clients on this machine.
    Service(Service),
    /// Clients of the gateway, by the key of its configuration that says so.
    Http(&'static str),
    /// Readers of the status.
    Status,
}

impl Purpose {
    /// A socket could not be bound.
    pub(crate) fn refused(self, endpoint: &Endpoint, error: &io::Error) -> Failure {
        let failure = |exit| Failure::new(exit, format!("cannot listen on {endpoint}: {error}"));
        let is_path = endpoint.addr.socket_addr().is_none();
        let elsewhere = self.elsewhere();
        match error.kind() {
            ErrorKind::PermissionDenied if is_path => {
                failure(Exit::Permission).hint(format!("make the socket's directory writable, {elsewhere}"))
            }
            ErrorKind::PermissionDenied => self.unprivileged(failure(Exit::Permission)).hint(elsewhere),
            ErrorKind::AddrInUse if is_path => failure(Exit::Config)
                .hint("another loopkdc may listen there, or something that is no socket stands there: remove it"),
            ErrorKind::AddrInUse => failure(Exit::Config).hint(self.holders(endpoint)).hint(elsewhere),
            ErrorKind::AddrNotAvailable => failure(Exit::Config)
                .hint("no interface of this machine has this address: ip address"),
            ErrorKind::NotFound => failure(Exit::Config).hint("make the socket's directory first"),
            _ => failure(Exit::Config),
        }
    }

    fn elsewhere(self) -> String {
        let by_option = |option, free| {
            format!(
                "or listen elsewhere with {option} {free}, and name that port in krb5.conf; above 1023 any user of this machine can be there first"
            )
        };
        match self {
            Self::Service(Service::Kdc) => by_option("--listen-kdc", "127.0.0.1:8888"),
            Self::Service(Service::Kpasswd) => by_option("--listen-kpasswd", "127.0.0.1:8464"),
            Self::Http(key) => {
                format!("or listen elsewhere: {key} under [gateway] in the file")
            }
            Self::Status => {
                "or give it another place: status-socket under [listen] in the file".to_owned()
            }
        }
    }

    /// How a port below 1024 can be had.
    fn unprivileged(self, failure: Failure) -> Failure {
        let capability = "setcap cap_net_bind_service=+ep \"$(command -v loopkdc)\"";
        match self {
            Self::Service(_) => failure
                .hint("ports below 1024 take root, systemd's sockets, or a capability:")
                .hint("systemctl enable --now loopkdc.socket loopkdc-kpasswd.socket")
                .hint(capability),
            // No port is bound for it.
            Self::Status => failure,
            Self::Http(_) => failure
                .hint("ports below 1024 take root, systemd's socket, or a capability, as loopkdc-gateway.service has it:")
                .hint("systemctl enable --now loopkdc-gateway.socket")
                .hint(capability),
        }
    }

    /// What usually holds the port, and how to see what does.
    fn holders(self, endpoint: &Endpoint) -> String {
        let usual = match self {
            Self::Service(Service::Kdc) => "krb5kdc, samba, heimdal-kdc",
            Self::Service(Service::Kpasswd) => "kadmind, samba, kpasswdd",
            Self::Http(_) | Self::Status => "a web server",
        };
        let port = endpoint.addr.socket_addr().map_or(0, |addr| addr.port());
        format!(
            "usually held by {usual} or another loopkdc; to see who: ss -lntup 'sport = {port}'"
        )
    }
}
