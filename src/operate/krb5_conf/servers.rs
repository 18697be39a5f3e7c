//! Where `loopkdc run` listens, by the words of krb5.conf, and what of that systemd's socket units do not open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};

/// Where clients of every realm are to find `loopkdc run`: addresses with their ports, or paths of Unix sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Servers {
    pub(crate) kdc: String,
    /// None: password changes are not tunnelled.
    pub(crate) kpasswd: Option<String>,
}

impl Servers {
    /// One address for each service: to name more would only have clients ask the same tunnel twice. A Unix socket if it
    /// is asked for, which MIT krb5 1.22 and later can use.
    ///
    /// # Errors
    /// No listener that a krb5.conf could name.
    pub(crate) fn from_listen(listen: &Listen, unix: bool) -> Result<Self, Failure> {
        let kdc = if unix {
            path(&listen.kdc).ok_or_else(no_socket)?
        } else {
            address(&listen.kdc).ok_or_else(no_address)?
        };
        let kpasswd = unix.then(|| path(&listen.kpasswd)).flatten();
        let kpasswd = kpasswd.or_else(|| address(&listen.kpasswd));
        Ok(Self { kdc, kpasswd })
    }

    /// What krb5.conf names and no socket unit opens: where units are enabled, theirs are the only sockets.
    ///
    /// `shown`: what systemd says of the units.
    pub(super) fn unopened(&self, shown: &str) -> Vec<Finding> {
        let has = |is_it: &dyn Fn(&str) -> bool| shown.lines().any(is_it);
        if !has(&|line| line.starts_with("UnitFileState=enabled")) {
            return Vec::new();
        }
        let kdc = [("loopkdc.socket", &self.kdc)].into_iter();
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

/// The first Unix socket. A path that is not UTF-8 was none of a configuration.
fn path(endpoints: &[Endpoint]) -> Option<String> {
    endpoints.iter().find_map(|endpoint| match &endpoint.addr {
        EndpointAddr::Unix(path) => path.to_str().map(str::to_owned),
        EndpointAddr::Loopback(_) | EndpointAddr::Remote(_) => None,
    })
}

/// The address that most clients can reach: on 127.0.0.1 if there is one, else on ::1, else the first.
fn address(endpoints: &[Endpoint]) -> Option<String> {
    let addrs = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.addr.socket_addr());
    // Port 0 is another one after each start.
    let addrs = addrs.filter(|addr| addr.port() != 0).map(reachable);
    // Of those that are as good, the first.
    let best = addrs.min_by_key(|addr| match addr.ip() {
        ip if !ip.is_loopback() => 2,
        IpAddr::V6(_) => 1,
        IpAddr::V4(_) => 0,
    });
    best.map(|addr| addr.to_string())
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
    .hint(Hint::command(["loopkdc", "krb5-conf", "--unix"]))
}
