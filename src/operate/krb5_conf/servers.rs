//! Where `loopkdc run` listens, by the words of krb5.conf, and what of that systemd's socket units do not open.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};

/// The port that `kdc =` means without one.
pub(crate) const KDC_PORT: u16 = 88;
/// What systemd makes for the service, and takes away with all that is in it when that ends.
const RUNTIME: &str = "/run/loopkdc/";

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
            let addr = address(&listen.kdc).ok_or_else(|| no_address(&listen.kdc))?;
            without_port(addr).unwrap_or_else(|| addr.to_string())
        };
        let kpasswd = unix.then(|| path(&listen.kpasswd)).flatten();
        // gokrb5 takes the port from nowhere else.
        let kpasswd = kpasswd.or_else(|| address(&listen.kpasswd).map(|addr| addr.to_string()));
        Ok(Self { kdc, kpasswd })
    }

    /// The sockets that krb5.conf names, as systemd writes them, and the units that could open them.
    fn sockets(&self) -> impl Iterator<Item = (&'static str, String)> {
        let has_port = self.kdc.starts_with('/') || self.kdc.parse::<SocketAddr>().is_ok();
        let kdc = match has_port {
            true => self.kdc.clone(),
            false => format!("{}:{KDC_PORT}", self.kdc),
        };
        let kpasswd = self.kpasswd.clone();
        let kpasswd = kpasswd.map(|kpasswd| ("loopkdc-kpasswd.socket", kpasswd));
        std::iter::once(("loopkdc.socket", kdc)).chain(kpasswd)
    }

    /// What is to be known of addresses that no enabled socket unit opens: where units serve, theirs are the only sockets, and
    /// an address of `[listen]` that none of them opens is nobody's.
    ///
    /// `show`: what systemd says of a unit, the machine's (`systemctl`) or the user's own (`systemctl --user`).
    pub(super) fn unopened(&self, show: impl Fn(&[&str], &str) -> Option<String>) -> Vec<Finding> {
        const MANAGERS: [&[&str]; 2] = [&["systemctl"], &["systemctl", "--user"]];
        let finding = |(unit, address): (&str, String)| {
            let shown = MANAGERS.map(|manager| Some((manager, show(manager, unit)?)));
            let enabled: Vec<_> = shown
                .into_iter()
                .flatten()
                .filter(|(_, shown)| shown.lines().any(is_enabled))
                .collect();
            let (manager, _) = enabled.first()?;
            let mut streams = enabled.iter().flat_map(|(_, shown)| shown.lines());
            if !streams.any(|line| opens(line, &address)) {
                return Some(unopened(manager, unit, &address));
            }
            address
                .starts_with(RUNTIME)
                .then(|| removed_with_service(&address))
        };
        self.sockets().filter_map(finding).collect()
    }
}

fn is_enabled(line: &str) -> bool {
    line.starts_with("UnitFileState=enabled")
}

/// Whether a line such as `Listen=127.0.0.1:88 (Stream)` opens the address.
fn opens(line: &str, address: &str) -> bool {
    let listed = line.strip_prefix("Listen=");
    let Some(listed) = listed.and_then(|listed| listed.strip_suffix(" (Stream)")) else {
        return false;
    };
    if listed == address {
        return true;
    }
    let (Ok(listed), Ok(address)) = (listed.parse::<SocketAddr>(), address.parse::<SocketAddr>())
    else {
        return false;
    };
    let takes_all = listed.ip().is_unspecified() && (listed.is_ipv6() || address.is_ipv4());
    listed.port() == address.port() && (takes_all || listed.ip() == address.ip())
}

fn unopened(manager: &[&str], unit: &str, address: &str) -> Finding {
    let listen = match address.starts_with('/') {
        true => format!("    ListenStream={address}"),
        false => format!("    ListenDatagram={address}\n    ListenStream={address}"),
    };
    let command = |verb: &str| Hint::command(manager.iter().copied().chain([verb, unit]));
    Finding::warning(format!(
        "systemd's {unit} does not open {address}, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not"
    ))
    .hint("have the unit open it, too")
    .hint(command("edit"))
    .hint(format!("and write there\n    [Socket]\n{listen}"))
    .hint("then")
    .hint(command("restart"))
    .hint("or name in [listen] what the unit opens")
    .hint(command("cat"))
}

fn removed_with_service(address: &str) -> Finding {
    Finding::warning(format!(
        "systemd removes {address} when loopkdc ends, with all that is below {RUNTIME}, and then nobody can start it there"
    ))
    .hint("name a path elsewhere in the socket unit and in [listen], such as /run/loopkdc.sock")
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
    .hint("without --unix, krb5.conf is given an address and a port, which every client can use")
}

fn no_address(endpoints: &[Endpoint]) -> Failure {
    let failure = |what: &str| Failure::new(Exit::Config, what);
    let missing = "write kdc = [\"127.0.0.1:88\"] under [listen]";
    if endpoints.is_empty() {
        return failure(
            "the configuration offers no KDC service, so that krb5.conf has none to name",
        )
        .hint(missing);
    }
    if path(endpoints).is_some() {
        return failure(
            "the KDC service listens on Unix sockets alone, which MIT krb5 1.22 and later can use",
        )
        .hint("for them")
        .hint(Hint::command(["loopkdc", "krb5-conf", "--unix"]))
        .hint(format!("for all clients, {missing}"));
    }
    failure("the KDC service listens on port 0, which is another one after each start")
        .hint(missing)
}
