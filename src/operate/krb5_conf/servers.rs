//! Where `loopkdc run` listens, by the words of krb5.conf, and what of that systemd's socket units do not open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};

/// Where clients of every realm are to find `loopkdc run`: addresses with their ports, or a path of a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Servers {
    /// Not empty.
    pub(crate) kdc: Vec<String>,
    /// Empty: password changes are not tunnelled.
    pub(crate) kpasswd: Vec<String>,
}

impl Servers {
    /// One address of each family for each service: on a network that has IPv6 alone, glibc refuses an IPv4 address, and on one
    /// that has IPv4 alone the other one (AI_ADDRCONFIG, getaddrinfo(3)). Or a Unix socket if it is asked for, which MIT krb5
    /// 1.22 and later can use.
    ///
    /// # Errors
    /// No listener that a krb5.conf could name.
    pub(crate) fn from_listen(listen: &Listen, unix: bool) -> Result<Self, Failure> {
        let named = |endpoints| match path(endpoints).filter(|_| unix) {
            Some(path) => vec![path],
            None => addresses(endpoints),
        };
        if unix && !has_socket(listen) {
            return Err(no_socket());
        }
        let kdc = named(&listen.kdc);
        if kdc.is_empty() {
            return Err(no_address());
        }
        let kpasswd = named(&listen.kpasswd);
        Ok(Self { kdc, kpasswd })
    }

    /// What the relation of this name says, in the shortest way; of `kpasswd_server`, gokrb5 takes the port from nowhere else.
    pub(super) fn of(&self, name: &str) -> Vec<&str> {
        if name == "kpasswd_server" {
            return self.kpasswd.iter().map(String::as_str).collect();
        }
        let kdc = self.kdc.iter();
        kdc.map(|kdc| kdc.strip_suffix(":88").unwrap_or(kdc))
            .collect()
    }

    /// What krb5.conf names and no socket unit opens: where units are enabled, theirs are the only sockets.
    ///
    /// `shown`: what systemd says of the units.
    pub(super) fn unopened(&self, shown: &str) -> Vec<Finding> {
        let has = |is_it: &dyn Fn(&str) -> bool| shown.lines().any(is_it);
        if !has(&|line| line.starts_with("UnitFileState=enabled")) {
            return Vec::new();
        }
        let kdc = self.kdc.iter().map(|address| ("loopkdc.socket", address));
        let kpasswd = self.kpasswd.iter();
        kdc.chain(kpasswd.map(|address| ("loopkdc-kpasswd.socket", address)))
            .filter(|(_, address)| !has(&|line| opens(line, address)))
            .map(|(unit, address)| finding(unit, address))
            .collect()
    }
}

/// A line such as `Listen=127.0.0.1:88 (Stream)` opens the address.
fn opens(line: &str, address: &str) -> bool {
    let listed = line.strip_prefix("Listen=");
    let listed = listed.and_then(|listed| listed.strip_suffix(" (Stream)"));
    let parsed = |text: &str| text.parse::<SocketAddr>().ok();
    match (listed.and_then(parsed), parsed(address)) {
        (Some(listed), Some(address)) if listed.ip().is_unspecified() => {
            listed.port() == address.port() && (listed.is_ipv6() || address.is_ipv4())
        }
        _ => listed == Some(address),
    }
}

fn finding(unit: &str, address: &str) -> Finding {
    Finding::warning(format!(
        "systemd's {unit} does not open {address}, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not"
    ))
    .command("have the unit open it, too", ["systemctl", "edit", unit])
    .command("then", ["systemctl", "restart", unit])
    .command("or name in [listen] what the unit opens", ["systemctl", "cat", unit])
}

/// The KDC service has a Unix socket.
pub(super) fn has_socket(listen: &Listen) -> bool {
    path(&listen.kdc).is_some()
}

/// The first Unix socket. A path that is not UTF-8 was none of a configuration.
fn path(endpoints: &[Endpoint]) -> Option<String> {
    endpoints.iter().find_map(|endpoint| match &endpoint.addr {
        EndpointAddr::Unix(path) => path.to_str().map(str::to_owned),
        EndpointAddr::Loopback(_) | EndpointAddr::Remote(_) => None,
    })
}

/// The first address of each family, of those on loopback if there are any.
fn addresses(endpoints: &[Endpoint]) -> Vec<String> {
    let addrs = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.addr.socket_addr());
    // Port 0 is another one after each start.
    let addrs = addrs.filter(|addr| addr.port() != 0).map(reachable);
    let addrs: Vec<_> = addrs.collect();
    let is_local = addrs.iter().any(|addr| addr.ip().is_loopback());
    let first = |fits: fn(&SocketAddr) -> bool| {
        let mut fitting = addrs.iter().filter(|addr| fits(addr));
        fitting.find(|addr| addr.ip().is_loopback() == is_local)
    };
    let first = [first(SocketAddr::is_ipv4), first(SocketAddr::is_ipv6)];
    first
        .into_iter()
        .flatten()
        .map(SocketAddr::to_string)
        .collect()
}

/// Where this machine reaches what listens at `addr`.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}

fn no_socket() -> Failure {
    Failure::new(
        Exit::Config,
        "the configuration has no Unix socket for the KDC service",
    )
    .hint("add one to kdc under [listen]: kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]")
}

fn no_address() -> Failure {
    Failure::new(
        Exit::Config,
        "the KDC service has no address and port that krb5.conf could name",
    )
    .hint("write kdc = [\"127.0.0.1:88\"] under [listen]")
    .hint("for MIT krb5 1.22 and later, with Unix sockets alone")
    .hint(Hint::typed("loopkdc krb5-conf --unix"))
}
