//! Where `loopkdc run` listens, by the words of krb5.conf.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::failure::{Exit, Failure};

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
    pub(crate) fn of(listen: &Listen, unix: bool) -> Result<Self, Failure> {
        let kdc = match unix {
            true => path(&listen.kdc).ok_or_else(no_socket)?,
            false => address(&listen.kdc)
                .map(|addr| written(addr, Some(KDC_PORT)))
                .ok_or_else(|| no_address(&listen.kdc))?,
        };
        let kpasswd = unix.then(|| path(&listen.kpasswd)).flatten();
        // gokrb5 takes the port from nowhere else.
        let kpasswd = kpasswd.or_else(|| Some(written(address(&listen.kpasswd)?, None)));
        Ok(Self { kdc, kpasswd })
    }

    /// Where the KDC service is, with the port.
    pub(super) fn kdc_address(&self) -> String {
        let has_all = self.kdc.starts_with('/') || self.kdc.parse::<SocketAddr>().is_ok();
        match has_all {
            true => self.kdc.clone(),
            false => format!("{}:{KDC_PORT}", self.kdc),
        }
    }
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
    let addrs: Vec<_> = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.addr.socket_addr())
        // Port 0 is another one after each start.
        .filter(|addr| addr.port() != 0)
        .map(near)
        .collect();
    let v4 = addrs
        .iter()
        .find(|addr| addr.is_ipv4() && addr.ip().is_loopback());
    let loopback = v4.or_else(|| addrs.iter().find(|addr| addr.ip().is_loopback()));
    loopback.or(addrs.first()).copied()
}

/// Where this machine reaches what listens at `addr`.
fn near(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// `usual`: the port that need not be said.
fn written(addr: SocketAddr, usual: Option<u16>) -> String {
    match (usual == Some(addr.port()), addr.ip()) {
        (false, _) => addr.to_string(),
        (true, IpAddr::V4(ip)) => ip.to_string(),
        (true, IpAddr::V6(ip)) => format!("[{ip}]"),
    }
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
        .hint("for them: loopkdc krb5-conf --unix")
        .hint(format!("for all clients, {missing}"));
    }
    failure("the KDC service listens on port 0, which is another one after each start")
        .hint(missing)
}
