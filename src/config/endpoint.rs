//! What can be listened on.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::error::{ConfigError, ConfigPlace, Located};

/// `sun_path` holds 108 bytes on Linux, the last of them NUL (unix(7)).
const UNIX_PATH_MAX: usize = 107;

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub addr: EndpointAddr,
    /// The machine may lack it: true for the `[::1]` that nobody asked for by name.
    pub optional: bool,
    /// Each connection begins with a PROXY header.
    pub proxy_protocol: bool,
}

/// What can be listened on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EndpointAddr {
    /// UDP and TCP, reachable from this machine alone.
    Loopback(LoopbackAddr),
    /// UDP and TCP, reachable from elsewhere: only with `allow-remote-clients = true`.
    Remote(SocketAddr),
    /// A Unix stream socket at an absolute path. MIT 1.22 and later take `kdc = /path`.
    Unix(PathBuf),
}

/// A socket address that is loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

impl Endpoint {
    /// What is to be had, or its lack an error.
    pub fn needed(addr: EndpointAddr) -> Self {
        Self {
            addr,
            optional: false,
            proxy_protocol: false,
        }
    }
}

impl EndpointAddr {
    /// An address as it is written; `port`: the usual one, for hints.
    pub(super) fn parse(text: &str, port: u16) -> Result<Self, ConfigError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_path(path, "\"unix:/run/loopkdc.sock\"").map(Self::Unix);
        }
        text.parse().map(Self::of).map_err(|_| {
            let hint = if text.starts_with('/') {
                format!("a Unix socket is written \"unix:{text}\"")
            } else {
                let example = format!("\"127.0.0.1:{port}\" or \"[::1]:{port}\"");
                format!("write an IP address and a port, as in {example}")
            };
            ConfigError::new("not an address to listen on").hint(hint)
        })
    }

    /// That of UDP and TCP.
    pub fn of(addr: SocketAddr) -> Self {
        LoopbackAddr::new(addr).map_or(Self::Remote(addr), Self::Loopback)
    }

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

/// The path of a Unix socket. `example`: how one is written.
pub(super) fn unix_path(path: &str, example: &str) -> Result<PathBuf, ConfigError> {
    if !path.starts_with('/') {
        let rule = "the path of a Unix socket must be absolute";
        return Err(ConfigError::new(rule).hint(format!("write it from the root: {example}")));
    }
    if path.len() > UNIX_PATH_MAX {
        return Err(ConfigError::new(format!(
            "the path of a Unix socket has at most {UNIX_PATH_MAX} bytes, this one has {}",
            path.len()
        )));
    }
    Ok(PathBuf::from(path))
}

/// The addresses that were read by now: none may be listed twice.
#[derive(Default)]
pub(super) struct AddressSet(HashSet<EndpointAddr>);

impl AddressSet {
    /// An address that was written, or is a default one. `check`: what else holds for it.
    pub(super) fn endpoint(
        &mut self,
        written: &Located<String>,
        port: u16,
        check: impl Fn(&EndpointAddr) -> Result<(), ConfigError>,
    ) -> Result<Endpoint, ConfigError> {
        written.parse(|text| {
            let addr = EndpointAddr::parse(text, port)?;
            check(&addr)?;
            self.add(&addr)?;
            let is_ipv6 = addr.socket_addr().is_some_and(|addr| addr.is_ipv6());
            let optional = is_ipv6 && written.place == ConfigPlace::File;
            Ok(Endpoint {
                optional,
                ..Endpoint::needed(addr)
            })
        })
    }

    pub(super) fn add(&mut self, addr: &EndpointAddr) -> Result<(), ConfigError> {
        // Port 0 is whatever port is free: no two of them are the same.
        let is_any = addr.socket_addr().is_some_and(|addr| addr.port() == 0);
        if self.0.insert(addr.clone()) || is_any {
            return Ok(());
        }
        Err(ConfigError::new(format!("{addr} is listed twice")))
    }
}
