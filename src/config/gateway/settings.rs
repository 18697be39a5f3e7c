//! What the configuration sets in the gateway, as the gateway takes it.

use std::fmt;
use std::path::PathBuf;

use ipnet::IpNet;

/// The path that clients use unless told otherwise.
pub const DEFAULT_PATH: &str = "/KdcProxy";

/// Where load balancers ask.
pub const HEALTH_PATH: &str = "/healthz";

/// Where the lines of the access log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard error.
    Stderr,
    /// A file, which is made if it is not there, and only ever appended to.
    File(PathBuf),
}

impl fmt::Display for AccessLogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// What the access log says, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// Where the lines go.
    pub target: AccessLogTarget,
    /// Most lines in a second; and as many as a tenth beside them for what was no Kerberos message or was too much.
    pub lines_per_second: u32,
    /// Whether an AS-REQ's line says who it is from.
    pub principals: bool,
}

/// How much each client may; 0 is as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Requests a second for long.
    pub requests_per_second: u32,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Requests under way at once.
    pub in_flight: u32,
    /// Failed logins a minute in one realm for long.
    pub failures_per_minute: u32,
    /// And at once after a pause; a login under way is counted among them until its answer says otherwise.
    pub failure_burst: u32,
}

/// The reverse proxies whose word is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Those with addresses.
    pub networks: Vec<IpNet>,
    /// Whoever comes over a Unix socket.
    pub unix: bool,
}

/// As the configuration lists them.
impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = self.unix.then(|| "unix".to_owned());
        let networks = self.networks.iter().map(ToString::to_string);
        f.write_str(&networks.chain(unix).collect::<Vec<_>>().join(", "))
    }
}
