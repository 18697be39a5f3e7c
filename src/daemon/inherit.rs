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
        let count = self.sockets.len();
        let names = [("kdc", Service::Kdc), ("kpasswd", Service::Kpasswd)];
        let listener = |index| {
            let (service, socket) = self.named(index, names)?;
            Ok(ServiceListener {
                service,
                socket,
                inherited: true,
            })
        };
        (0..count).map(listener).collect()
    }

    /// The sockets for HTTP. Must be called inside a runtime.
    ///
    /// # Errors
    /// A socket whose name says neither HTTPS nor plain HTTP, or that is no stream; plain HTTP for other machines.
    pub(crate) fn http_sockets(mut self) -> Result<HttpSockets, Failure> {
        let mut sockets = HttpSockets::default();
        for index in 0..self.sockets.len() {
            let name = self.names.get(index).cloned().unwrap_or_default();
            let names = [("https", true), ("plain", false)];
            let named = if name == KEPT {
                (
                    None,
                    self.socket(index).map_err(|error| unusable(&name, error))?,
                )
            } else {
                let (is_https, socket) = self.named(index, names)?;
                (Some(is_https), socket)
            };
            match named {
                (None, ListenSocket::Stream(socket)) => sockets.kept.push(socket),
                (Some(true), ListenSocket::Stream(socket)) => sockets.https.push(socket),
                (Some(false), ListenSocket::Stream(socket)) if socket.is_local() => {
                    sockets.plain.push(socket)
                }
                (_, ListenSocket::Stream(socket)) => return Err(remote(&name, &socket)),
                (_, ListenSocket::Udp(_)) => {
                    return Err(unusable(&name, "HTTP is not served over UDP"));
                }
            }
        }
        Ok(sockets)
    }

    /// A socket, and what its name means.
    fn named<T>(
        &mut self,
        index: usize,
        names: [(&str, T); 2],
    ) -> Result<(T, ListenSocket), Failure> {
        let name = self.names.get(index).cloned().unwrap_or_default();
        let [one, other] = names.each_ref().map(|(known, _)| (*known).to_owned());
        let known = names.into_iter().find(|(known, _)| *known == name);
        let (_, meaning) = known.ok_or_else(|| unnamed(&name, &one, &other))?;
        let socket = self.socket(index).map_err(|error| unusable(&name, error))?;
        Ok((meaning, socket))
    }

    fn socket(&mut self, index: usize) -> io::Result<ListenSocket> {
        if let Ok(Some(socket)) = self.sockets.take_tcp_listener(index) {
            socket.set_nonblocking(true)?;
            return Ok(ListenSocket::Stream(StreamSocket::Tcp(
                TcpListener::from_std(socket)?,
            )));
        }
        if let Ok(Some(socket)) = self.sockets.take_udp_socket(index) {
            socket.set_nonblocking(true)?;
            return Ok(ListenSocket::Udp(UdpSocket::from_std(socket)?));
        }
        if let Ok(Some(socket)) = self.sockets.take_unix_listener(index) {
            socket.set_nonblocking(true)?;
            return Ok(ListenSocket::Stream(StreamSocket::Unix(
                UnixListener::from_std(socket)?,
            )));
        }
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "neither UDP, TCP nor a Unix stream socket",
        ))
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
