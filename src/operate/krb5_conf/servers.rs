//! Where `loopkdc run` listens, by the words of krb5.conf, and what of that systemd's socket units do not open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};

/// The port that `kdc =` means without one.
pub(crate) const KDC_PORT: u16 = 88;

/// What krb5.conf is to say of every realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Servers {
    /// Of `kdc` and `primary_kdc`.
    pub(crate) kdc: String,
    /// Of `kpasswd_server`, if password changes are tunnelled.
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
            let addr = address(&listen.kdc).ok_or_else(no_address)?;
            without_port(addr).unwrap_or_else(|| addr.to_string())
        };
        let kpasswd = unix.then(|| path(&listen.kpasswd)).flatten();
        // gokrb5 takes the port from nowhere else.
        let kpasswd = kpasswd.or_else(|| address(&listen.kpasswd).map(|addr| addr.to_string()));
        Ok(Self { kdc, kpasswd })
    }

    /// The sockets that krb5.conf names, as systemd writes them, and the units that could open them.
    fn sockets(&self) -> impl Iterator<Item = (&'static str, String)> {
        let mut kdc = self.kdc.clone();
        if !kdc.starts_with('/') && kdc.parse::<SocketAddr>().is_err() {
            kdc += &format!(":{KDC_PORT}");
        }
        let kpasswd = self.kpasswd.clone();
        let kpasswd = kpasswd.map(|kpasswd| ("loopkdc-kpasswd.socket", kpasswd));
        std::iter::once(("loopkdc.socket", kdc)).chain(kpasswd)
    }

    /// What krb5.conf names and no socket unit opens: where units are enabled, theirs are the only sockets.
    ///
    /// `shown`: what systemd says of the units.
    pub(super) fn unopened(&self, shown: &str) -> Vec<Finding> {
        if !shown
            .lines()
            .any(|line| line.starts_with("UnitFileState=enabled"))
        {
            return Vec::new();
        }
        let unopened = self.sockets().filter(|(_, address)| {
            let opens = |line| opens(line, address);
            !shown.lines().any(opens)
        });
        unopened
            .map(|(unit, address)| finding(unit, &address))
            .collect()
    }
}

/// Whether a line such as `Listen=127.0.0.1:88 (Stream)` opens the address.
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
fn address(endpoints: &[Endpoint]) -> Option<SocketAddr> {
    let addrs = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.addr.socket_addr());
    // Port 0 is another one after each start.
    let addrs = addrs.filter(|addr| addr.port() != 0).map(reachable);
    // Of those that are as good, the first.
    addrs.min_by_key(|addr| match addr.ip() {
        ip if !ip.is_loopback() => 2,
        IpAddr::V6(_) => 1,
        IpAddr::V4(_) => 0,
    })
}

/// Where this machine reaches what listens at `addr`.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// What `kdc =` says, if the port is the one that it means anyway.
fn without_port(addr: SocketAddr) -> Option<String> {
    let is_usual = addr.port() == KDC_PORT;
    is_usual.then(|| match addr.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    })
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
