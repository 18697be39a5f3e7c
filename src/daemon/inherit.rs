//! Sockets that the service manager opened: systemd's LISTEN_FDS, with the names `kdc` and `kpasswd`.

use std::io;

use listenfd::ListenFd;
use tokio::net::{TcpListener, UdpSocket, UnixListener};

use crate::daemon::bind::{ListenSocket, ServiceListener, StreamSocket};
use crate::relay::failure::{Exit, Failure};
use crate::wire::Service;

/// What the service manager handed over, before the runtime takes it.
pub struct Inherited {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Inherited {
    /// Takes the sockets and their names out of the environment. To be called once, before there are threads.
    #[must_use]
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
        (0..self.sockets.len())
            .map(|index| self.listener(index))
            .collect()
    }

    fn listener(&mut self, index: usize) -> Result<ServiceListener, Failure> {
        let name = self.names.get(index).cloned().unwrap_or_default();
        let service = match name.as_str() {
            "kdc" => Service::Kdc,
            "kpasswd" => Service::Kpasswd,
            _ => return Err(unnamed(&name)),
        };
        let socket = self.socket(index).map_err(|error| {
            Failure::new(
                Exit::Config,
                format!("cannot use the socket {name} of the service manager: {error}"),
            )
        })?;
        Ok(ServiceListener {
            service,
            socket,
            inherited: true,
        })
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

fn unnamed(name: &str) -> Failure {
    Failure::new(
        Exit::Config,
        format!("the service manager's socket is named \"{name}\", not kdc or kpasswd"),
    )
    .hint("write FileDescriptorName=kdc or FileDescriptorName=kpasswd into the socket unit")
}
