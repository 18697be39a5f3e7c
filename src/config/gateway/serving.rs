//! `[gateway]`: what is served, where, and within which bounds.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::access::{self, AllowedCertificates, TokensFile};
use super::tls::TlsFiles;
use crate::config::document::ConfigSection;
use crate::config::endpoint::{AddressSet, Endpoint, EndpointAddr};
use crate::config::error::{ConfigError, Located};
use crate::config::kdcs::network;
use crate::config::keys;

const HTTPS_PORT: u16 = 443;
const PLAIN_PORT: u16 = 8080;
const METRICS_PORT: u16 = 9464;

/// How long a request waits for its turn: a crowd has gone by then, and MIT's client waits for longer on a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// The path that clients use unless told otherwise.
pub const DEFAULT_PATH: &str = "/KdcProxy";

/// Where load balancers ask.
pub const HEALTH_PATH: &str = "/healthz";

/// What is served, where, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Where HTTPS is served. Empty: nowhere (then `plain` is not empty).
    pub https: Vec<Endpoint>,
    /// Where plain HTTP is served: loopback addresses and Unix sockets.
    pub plain: Vec<Endpoint>,
    /// Permission bits of Unix sockets.
    pub unix_mode: u32,
    /// What HTTPS is served with; there wherever `https` is not empty.
    pub tls: Option<TlsFiles>,
    /// Which certificates of clients are let in; all if there is nothing.
    pub clients: Vec<AllowedCertificates>,
    /// Whose tokens are let in, if they are asked for.
    pub tokens: Option<TokensFile>,
    /// The reverse proxies whose word on the client's address is believed.
    pub trusted: TrustedProxies,
    /// The path of the KDC proxy.
    pub path: String,
    /// Only valid messages are relayed.
    pub is_strict: bool,
    /// Threads that requests are worked in, if that is said.
    pub threads: Option<usize>,
    /// Connections open at once, over all addresses.
    pub max_connections: usize,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// Requests being answered at once.
    pub max_in_flight: usize,
    /// The same by one KDC.
    pub max_in_flight_per_kdc: usize,
    /// How much one client may ask.
    pub quotas: Quotas,
    /// A line for each request, if they are wanted.
    pub access_log: Option<AccessLogSettings>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
}

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
    /// The line of an AS-REQ names its principal.
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
    /// Failed logins of one principal within ten minutes.
    pub failures_per_principal: u32,
    /// How long a request waits for its turn before it is refused. Fixed.
    pub patience: Duration,
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

impl Serving {
    /// `base`: what files are relative to.
    pub(super) fn read(table: &ConfigSection, base: &Path) -> Result<Self, ConfigError> {
        let mut addresses = AddressSet::default();
        let trusted = trusted(table)?;
        let mut endpoints = |key, port, check| {
            let list = table.list(key).into_iter();
            let endpoint = |written| listener(written, port, check, &trusted, &mut addresses);
            list.map(endpoint).collect::<Result<Vec<_>, _>>()
        };
        let https = endpoints(&keys::GATEWAY_LISTEN, HTTPS_PORT, check_https)?;
        let plain = endpoints(&keys::PLAIN_LISTEN, PLAIN_PORT, check_plain)?;
        if https.is_empty() && plain.is_empty() {
            let rule = "listen and plain-listen are both empty: nothing would be served";
            return Err(table.error(&keys::PLAIN_LISTEN, rule));
        }
        Ok(Self {
            tls: tls(table, !https.is_empty(), base)?,
            clients: access::certificates(table)?,
            tokens: table
                .text(&keys::TOKENS_FILE)
                .map(|written| TokensFile(base.join(written.value))),
            https,
            plain,
            unix_mode: table.mode(&keys::GATEWAY_UNIX_MODE)?,
            trusted,
            path: path(table)?,
            is_strict: table.get::<String>(&keys::VALIDATE)? == "strict",
            threads: table.written(&keys::THREADS).map(|threads| threads.value),
            max_connections: table.get(&keys::GATEWAY_MAX_CONNECTIONS)?,
            idle_timeout: table.seconds(&keys::GATEWAY_IDLE_TIMEOUT_SECONDS)?,
            max_in_flight: table.get(&keys::GATEWAY_MAX_IN_FLIGHT)?,
            max_in_flight_per_kdc: table.get(&keys::MAX_IN_FLIGHT_PER_KDC)?,
            quotas: Quotas {
                requests_per_second: table.get(&keys::CLIENT_REQUESTS_PER_SECOND)?,
                burst: table.get(&keys::CLIENT_BURST)?,
                in_flight: table.get(&keys::CLIENT_MAX_IN_FLIGHT)?,
                failures_per_minute: table.get(&keys::FAILED_LOGINS_PER_MINUTE)?,
                failure_burst: table.get(&keys::FAILED_LOGIN_BURST)?,
                failures_per_principal: table.get(&keys::FAILED_LOGINS_PER_PRINCIPAL)?,
                patience: PATIENCE,
            },
            access_log: access_log(table, base)?,
            metrics: table.parse(&keys::METRICS_LISTEN, metrics)?,
        })
    }
}

/// Where to listen, as it was written.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenListener {
    Address(String),
    #[serde(rename_all = "kebab-case")]
    Table {
        address: String,
        #[serde(default)]
        proxy_protocol: bool,
    },
}

/// What it means, where these proxies are trusted, and all else is among the `addresses`.
fn listener(
    Located { place, value }: Located<WrittenListener>,
    port: u16,
    check: fn(&EndpointAddr) -> Result<(), ConfigError>,
    trusted: &TrustedProxies,
    addresses: &mut AddressSet,
) -> Result<Endpoint, ConfigError> {
    let (value, proxy_protocol) = match value {
        WrittenListener::Address(address) => (address, false),
        WrittenListener::Table {
            address,
            proxy_protocol,
        } => (address, proxy_protocol),
    };
    let written = Located { place, value };
    let endpoint = addresses.endpoint(&written, port, check)?;
    if proxy_protocol && *trusted == TrustedProxies::default() {
        let rule = "proxy-protocol without trusted-proxies: every connection would be refused";
        return Err(written.error(rule).hint(
            "add to [gateway] where the balancer connects from: trusted-proxies = [\"192.0.2.10\"]",
        ));
    }
    Ok(Endpoint {
        proxy_protocol,
        ..endpoint
    })
}

fn check_https(addr: &EndpointAddr) -> Result<(), ConfigError> {
    match addr {
        EndpointAddr::Unix(_) => Err(ConfigError::new("HTTPS is served over TCP")
            .hint("a Unix socket for a reverse proxy belongs into plain-listen")),
        _ => Ok(()),
    }
}

/// [MS-KKDCP] 5.1: the transport is what protects the messages.
fn check_plain(addr: &EndpointAddr) -> Result<(), ConfigError> {
    match addr {
        EndpointAddr::Remote(addr) => Err(ConfigError::new(format!(
            "{addr} is not a loopback address, and plain HTTP is served to this machine alone"
        ))
        .hint("to serve other machines, move it to listen")),
        _ => Ok(()),
    }
}

fn metrics(text: &str) -> Result<SocketAddr, ConfigError> {
    let addr = EndpointAddr::parse(text, METRICS_PORT)?.socket_addr();
    addr.ok_or_else(|| {
        let rule = "metrics are served over TCP";
        ConfigError::new(rule).hint(format!("write \"127.0.0.1:{METRICS_PORT}\""))
    })
}

fn tls(
    table: &ConfigSection,
    is_needed: bool,
    base: &Path,
) -> Result<Option<TlsFiles>, ConfigError> {
    let file = |key| table.text(key).map(|written| base.join(written.value));
    let client_ca = file(&keys::CLIENT_CA_FILE);
    let require_client_cert = table.flag(&keys::REQUIRE_CLIENT_CERT);
    if require_client_cert && client_ca.is_none() {
        let rule = "require-client-cert needs to know who signs them";
        return Err(table
            .error(&keys::REQUIRE_CLIENT_CERT, rule)
            .hint("add: client-ca-file = \"clients-ca.pem\""));
    }
    let client_crl = file(&keys::CLIENT_CRL_FILE);
    if client_crl.is_some() && client_ca.is_none() {
        let rule = "client-crl-file needs to know whose lists it holds";
        let hint = "add: client-ca-file = \"clients-ca.pem\"";
        return Err(table.error(&keys::CLIENT_CRL_FILE, rule).hint(hint));
    }
    match (file(&keys::CERTIFICATE), file(&keys::CERTIFICATE_KEY)) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate,
            key,
            client_ca,
            client_crl,
            require_client_cert,
        })),
        (None, None) if !is_needed => Ok(None),
        _ => Err(ConfigError::new("HTTPS needs a certificate and its key")
            .hint("add to [gateway]: certificate = \"gateway.pem\" and key = \"gateway-key.pem\"")
            .hint("to serve a reverse proxy on this machine instead: listen = [] and plain-listen = [\"127.0.0.1:8080\"]")
            .at(&table.place(&keys::CERTIFICATE))
            .at(&table.place(&keys::CERTIFICATE_KEY))),
    }
}

fn trusted(table: &ConfigSection) -> Result<TrustedProxies, ConfigError> {
    let mut unix = false;
    let networks = table.parse_each(&keys::TRUSTED_PROXIES, |text: &String| {
        unix |= text == "unix";
        (text != "unix").then(|| network(text)).transpose()
    })?;
    let networks = networks.into_iter().flatten().collect();
    Ok(TrustedProxies { networks, unix })
}

fn path(table: &ConfigSection) -> Result<String, ConfigError> {
    let path: String = table.get(&keys::PATH)?;
    let is_allowed = |octet: u8| octet.is_ascii_graphic() && !b"?#\"<>%".contains(&octet);
    let rule = if path.trim_end_matches('/').eq_ignore_ascii_case(HEALTH_PATH) {
        format!("{HEALTH_PATH} is where load balancers ask")
    } else if !path.starts_with('/') || !path.bytes().all(is_allowed) {
        "a path begins with / and holds no space, %, ? or #".to_owned()
    } else {
        return Ok(path);
    };
    let hint = format!("the usual one is {DEFAULT_PATH}");
    Err(table.error(&keys::PATH, rule).hint(hint))
}

fn access_log(
    table: &ConfigSection,
    base: &Path,
) -> Result<Option<AccessLogSettings>, ConfigError> {
    let target: String = table.get(&keys::ACCESS_LOG)?;
    let target = match target.as_str() {
        "stderr" => AccessLogTarget::Stderr,
        "off" => return Ok(None),
        "" => {
            return Err(table
                .error(&keys::ACCESS_LOG, "the access log has no name")
                .hint("write \"stderr\", \"off\" or a file"));
        }
        file => AccessLogTarget::File(base.join(file)),
    };
    Ok(Some(AccessLogSettings {
        target,
        lines_per_second: table.get(&keys::ACCESS_LOG_LINES_PER_SECOND)?,
        principals: table.flag(&keys::LOG_PRINCIPALS),
    }))
}
