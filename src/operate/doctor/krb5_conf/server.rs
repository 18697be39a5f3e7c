//! What the value of `kdc =` and its like names.

use std::net::IpAddr;

use crate::config::endpoint::{Endpoint, EndpointAddr};

/// A server, as MIT krb5 1.22 reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedServer<'a> {
    /// A host's name or address.
    At { host: &'a str, port: u16 },
    /// A Unix socket.
    Socket(&'a str),
    /// A KDC proxy that libkrb5 itself asks.
    Proxy,
    /// `udp/` or `tcp/` before a host: to MIT a part of the host's name.
    Prefixed(&'a str),
    /// No server.
    Nothing,
}

impl<'a> NamedServer<'a> {
    /// `usual`: the port of a host without one.
    pub(super) fn read(value: &'a str, usual: u16) -> Self {
        if value.starts_with('/') {
            return Self::Socket(value);
        }
        if value.starts_with("https://") {
            return Self::Proxy;
        }
        let prefixed = ["udp/", "tcp/", "http/"];
        if let Some(bare) = prefixed
            .iter()
            .find_map(|prefix| value.strip_prefix(prefix))
        {
            return Self::Prefixed(bare);
        }
        Self::host(value, usual)
    }

    fn host(value: &'a str, usual: u16) -> Self {
        let value = value.split([' ', '\t']).next().unwrap_or_default();
        let (host, port) = match value
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match value.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (value, None),
            },
        };
        let port = port.map_or(Ok(usual), str::parse);
        match port {
            Ok(port) if !host.is_empty() => Self::At { host, port },
            _ => Self::Nothing,
        }
    }

    /// Something of ours listens there.
    pub(super) fn is_one_of(&self, endpoints: &[Endpoint]) -> bool {
        endpoints.iter().any(|endpoint| self.is(&endpoint.addr))
    }

    fn is(&self, addr: &EndpointAddr) -> bool {
        match (self, addr) {
            (Self::Socket(path), EndpointAddr::Unix(ours)) => ours.as_os_str() == *path,
            (Self::At { host, port }, _) => {
                let Some(ours) = addr.socket_addr().filter(|ours| ours.port() == *port) else {
                    return false;
                };
                match host.parse::<IpAddr>() {
                    Ok(ip) => ip == ours.ip() || (ours.ip().is_unspecified() && ip.is_loopback()),
                    Err(_) => is_localhost(host) && is_local(ours.ip()),
                }
            }
            _ => false,
        }
    }

    /// It is this machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::At { host, .. } => {
                is_localhost(host) || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            Self::Socket(_) => true,
            Self::Proxy | Self::Prefixed(_) | Self::Nothing => false,
        }
    }

    /// It is `localhost`, which stands for ::1 as well.
    pub(super) fn is_localhost(&self) -> bool {
        matches!(self, Self::At { host, .. } if is_localhost(host))
    }
}

fn is_localhost(host: &str) -> bool {
    host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// One of each family listens at a port, as `localhost` wants it.
pub(super) fn has_both_families(endpoints: &[Endpoint]) -> bool {
    let has = |is_wanted: fn(&IpAddr) -> bool| {
        let addrs = endpoints.iter().filter_map(|of| of.addr.socket_addr());
        addrs
            .map(|addr| addr.ip())
            .any(|ip| is_local(ip) && is_wanted(&ip))
    };
    has(IpAddr::is_ipv4) && has(IpAddr::is_ipv6)
}

/// Where we listen, in words.
pub(super) fn shown(endpoints: &[Endpoint]) -> String {
    let shown: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    shown.join(", ")
}
