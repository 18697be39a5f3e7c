//! What can be listened on.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub addr: EndpointAddr,
    /// The machine may lack it: true for the `[::1]` that nobody asked for by name.
    pub optional: bool,
}

/// What can be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointAddr {
    /// UDP and TCP, reachable from this machine alone.
    Loopback(LoopbackAddr),
    /// UDP and TCP, reachable from elsewhere: only with `allow-remote-clients = true`.
    Remote(SocketAddr),
    /// A Unix stream socket at an absolute path. MIT 1.22 and later take `kdc = /path`.
    Unix(PathBuf),
}

/// A socket address that is loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopbackAddr(SocketAddr);

impl LoopbackAddr {
    /// `None` for an address that is not loopback. `::ffff:127.0.0.1` counts as the 127.0.0.1 that it is.
    pub fn new(addr: SocketAddr) -> Option<Self> {
        let ip = addr.ip().to_canonical();
        ip.is_loopback()
            .then(|| Self(SocketAddr::new(ip, addr.port())))
    }

    /// The address itself.
    pub fn get(self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for EndpointAddr {
    fn from(addr: SocketAddr) -> Self {
        LoopbackAddr::new(addr).map_or(Self::Remote(addr), Self::Loopback)
    }
}

impl EndpointAddr {
    /// The address of UDP and TCP; `None` for a Unix socket.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Loopback(addr) => Some(addr.get()),
            Self::Remote(addr) => Some(*addr),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for EndpointAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(addr) => addr.0.fmt(f),
            Self::Remote(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr.fmt(f)
    }
}
