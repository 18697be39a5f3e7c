//! Sockets that the service manager opened: systemd's LISTEN_FDS, with the names `kdc` and `kpasswd`, or `https` and `plain`; and
//! those that it kept for a gateway that ended.

use std::fmt::Display;
use std::io;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UdpSocket, UnixListener};

use crate::config::endpoint::Endpoint;
use crate::daemon::bind::{ListenSocket, ServiceListener, StreamSocket};
use crate::daemon::logging::ADMIN;
use crate::relay::failure::{Exit, Failure};
use crate::wire::Service;

/// What the service manager handed over, before the runtime takes it.
pub struct Inherited {
    sockets: ListenFd,
    names: Vec<String>,
}

/// The name of the sockets that the service manager keeps from one gateway to the next.
pub(crate) const KEPT: &str = "kept";

/// Sockets for HTTP.
#[derive(Default)]
pub(crate) struct HttpSockets {
    /// Of a unit, in the place of `listen`.
    pub https: Vec<StreamSocket>,
    /// Of a unit, in the place of `plain-listen`.
    pub plain: Vec<StreamSocket>,
    /// Of the gateway before.
    pub kept: Vec<StreamSocket>,
}

impl Inherited {
    /// Takes the sockets and their names out of the environment. To be called once, before there are threads.
    pub fn from_env() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self {
            sockets: ListenFd::from_env(),
            names: names.split(':').map(str::to_owned).collect(),
        }
    }

    /// The sockets as listeners. Must be called inside a runtime.
    ///
    /// # Errors
    /// A socket whose name says no service, or that is neither UDP, TCP nor a Unix stream.
    pub fn listeners(mut self) -> Result<Vec<ServiceListener>, Failure> {
        let mut listeners = Vec::new();
        for index in 0..self.sockets.len() {
            let name = self.name(index);
            let service = match name.as_str() {
                "kdc" => Service::Kdc,
                "kpasswd" => Service::Kpasswd,
                _ => return Err(unnamed(&name, "kdc", "kpasswd")),
            };
            listeners.push(ServiceListener {
                service,
                socket: self.socket(index).map_err(|error| unusable(&name, error))?,
                inherited: true,
            });
        }
        Ok(listeners)
    }

    /// The sockets for HTTP. Must be called inside a runtime.
    ///
    /// # Errors
    /// A socket whose name says neither HTTPS nor plain HTTP, or that is no stream; plain HTTP for other machines.
    pub(crate) fn http_sockets(mut self) -> Result<HttpSockets, Failure> {
        let mut sockets = HttpSockets::default();
        for index in 0..self.sockets.len() {
            let name = self.name(index);
            let same = match name.as_str() {
                KEPT => &mut sockets.kept,
                "https" => &mut sockets.https,
                "plain" => &mut sockets.plain,
                _ => return Err(unnamed(&name, "https", "plain")),
            };
            match self.socket(index).map_err(|error| unusable(&name, error))? {
                ListenSocket::Udp(_) => return Err(unusable(&name, "HTTP is not served over UDP")),
                ListenSocket::Stream(socket) if name == "plain" && !socket.is_local() => {
                    return Err(remote(&name, &socket));
                }
                ListenSocket::Stream(socket) => same.push(socket),
            }
        }
        Ok(sockets)
    }

    fn name(&self, index: usize) -> String {
        self.names.get(index).cloned().unwrap_or_default()
    }

    fn socket(&mut self, index: usize) -> io::Result<ListenSocket> {
        if let Ok(Some(socket)) = self.sockets.take_udp_socket(index) {
            socket.set_nonblocking(true)?;
            return UdpSocket::from_std(socket).map(ListenSocket::Udp);
        }
        let stream = if let Ok(Some(socket)) = self.sockets.take_tcp_listener(index) {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket).map(StreamSocket::Tcp)
        } else if let Ok(Some(socket)) = self.sockets.take_unix_listener(index) {
            socket.set_nonblocking(true)?;
            UnixListener::from_std(socket).map(StreamSocket::Unix)
        } else {
            let what = "neither UDP, TCP nor a Unix stream socket";
            Err(io::Error::new(io::ErrorKind::Unsupported, what))
        };
        stream.map(ListenSocket::Stream)
    }
}

/// Where the service manager's sockets serve, addresses of the configuration's `table` that are none of theirs are nobody's. The
/// sockets are those of `unit`, at the addresses `held`.
pub(crate) fn warn_of_unheld(held: &[String], endpoints: &[Endpoint], table: &str, unit: &str) {
    let is_unheld = |endpoint: &&Endpoint| !held.contains(&endpoint.to_string());
    let unheld = endpoints.iter().filter(|endpoint| !endpoint.optional);
    let unheld: Vec<_> = unheld.filter(is_unheld).map(ToString::to_string).collect();
    if !unheld.is_empty() {
        tracing::warn!(target: ADMIN,
            addresses = unheld.join(","),
            "{table} names addresses that the service manager has not opened, and its sockets serve alone: systemctl edit {unit}"
        );
    }
}

fn unusable(name: &str, why: impl Display) -> Failure {
    let what = format!("cannot use the socket {name} of the service manager: {why}");
    Failure::new(Exit::Config, what)
}

/// [MS-KKDCP] 5.1: the transport is what protects the messages.
fn remote(name: &str, socket: &StreamSocket) -> Failure {
    let address = socket.address();
    unusable(
        name,
        format!(
            "{address} is not a loopback address, and plain HTTP is served to this machine alone"
        ),
    )
    .hint("to serve other machines, write FileDescriptorName=https into the socket unit")
}

fn unnamed(name: &str, one: &str, other: &str) -> Failure {
    Failure::new(
        Exit::Config,
        format!("the service manager's socket is named \"{name}\", not {one} or {other}"),
    )
    .hint(format!(
        "write FileDescriptorName={one} or FileDescriptorName={other} into the socket unit"
    ))
}
