//! `[gateway]`: what is served, where, and within which bounds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use toml::Spanned;

use super::file::GatewayTable;
use super::settings::{
    AccessLogSettings, AccessLogTarget, DEFAULT_PATH, HEALTH_PATH, Quotas, TrustedProxies,
};
use super::tls::{TlsFile, TlsFileError, TlsFiles};
use crate::config::endpoint::{Endpoint, EndpointAddr, LoopbackAddr};
use crate::config::error::{ConfigError, Written};
use crate::config::file::List;
use crate::config::kdcs::network;
use crate::config::listen::{endpoint_addr, mode, number};

const HTTPS_PORT: u16 = 443;
const PLAIN_PORT: u16 = 8080;
const METRICS_PORT: u16 = 9464;

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
    /// Whose word on the client's address is believed.
    pub trusted: TrustedProxies,
    /// The path of the KDC proxy.
    pub path: String,
    /// Connections open at once, over all addresses.
    pub max_connections: usize,
    /// Requests being answered at once.
    pub max_in_flight: usize,
    /// The same by one KDC.
    pub max_in_flight_per_kdc: usize,
    /// How much one client may ask.
    pub quotas: Quotas,
    /// A line for each request, if they are wanted.
    pub access_log: Option<AccessLogSettings>,
    /// Where metrics are served.
    pub metrics: Option<LoopbackAddr>,
}

impl Serving {
    /// `base`: what files are relative to.
    pub(super) fn build(table: &GatewayTable, base: &Path) -> Result<Self, ConfigError> {
        let https = https(table.listen.as_ref())?;
        let plain = plain(table.plain_listen.as_ref(), &https)?;
        let whole = |written, key, most, default| number(written, key, 1..=most, default);
        Ok(Self {
            tls: tls(table, !https.is_empty(), base)?,
            https,
            plain,
            unix_mode: mode(table.unix_mode.as_ref(), "unix-mode", 0o660)?,
            trusted: trusted(table.trusted_proxies.as_ref())?,
            path: table
                .path
                .as_ref()
                .map_or(Ok(DEFAULT_PATH.to_owned()), path)?,
            max_connections: whole(
                table.max_connections.as_ref(),
                "max-connections",
                65536,
                4096,
            )?,
            max_in_flight: whole(table.max_in_flight.as_ref(), "max-in-flight", 65536, 1024)?,
            max_in_flight_per_kdc: whole(
                table.max_in_flight_per_kdc.as_ref(),
                "max-in-flight-per-kdc",
                65536,
                128,
            )?,
            quotas: quotas(table)?,
            access_log: access_log(table, base)?,
            metrics: table.metrics_listen.as_ref().map(metrics).transpose()?,
        })
    }
}

fn quotas(table: &GatewayTable) -> Result<Quotas, ConfigError> {
    let bound = |written, key, default| number(written, key, 0..=1_000_000, default);
    Ok(Quotas {
        requests_per_second: bound(
            table.client_requests_per_second.as_ref(),
            "client-requests-per-second",
            50,
        )?,
        burst: number(
            table.client_burst.as_ref(),
            "client-burst",
            1..=1_000_000,
            200,
        )?,
        in_flight: number(
            table.client_max_in_flight.as_ref(),
            "client-max-in-flight",
            0..=65536,
            16,
        )?,
        failures_per_minute: bound(
            table.failed_logins_per_minute.as_ref(),
            "failed-logins-per-minute",
            10,
        )?,
        failure_burst: number(
            table.failed_login_burst.as_ref(),
            "failed-login-burst",
            1..=1_000_000,
            20,
        )?,
    })
}

fn https(list: Option<&Spanned<List>>) -> Result<Vec<Endpoint>, ConfigError> {
    let Some(list) = list else {
        let any = [
            (IpAddr::V4(Ipv4Addr::UNSPECIFIED), false),
            (IpAddr::V6(Ipv6Addr::UNSPECIFIED), true),
        ];
        return Ok(any
            .map(|(ip, optional)| Endpoint {
                addr: EndpointAddr::Remote(SocketAddr::new(ip, HTTPS_PORT)),
                optional,
            })
            .to_vec());
    };
    endpoints(list, HTTPS_PORT, &[], |addr| match addr {
        EndpointAddr::Unix(_) => Err(ConfigError::new("HTTPS is served over TCP")
            .hint("a Unix socket for a reverse proxy belongs into plain-listen")),
        _ => Ok(()),
    })
}

fn plain(list: Option<&Spanned<List>>, https: &[Endpoint]) -> Result<Vec<Endpoint>, ConfigError> {
    let plain = match list {
        None => Vec::new(),
        // [MS-KKDCP] 5.1: the transport is what protects the messages.
        Some(list) => endpoints(list, PLAIN_PORT, https, |addr| {
            match addr {
            EndpointAddr::Remote(addr) => Err(ConfigError::new(format!(
                "{addr} is not a loopback address, and plain HTTP is served to this machine alone"
            ))
            .hint(format!(
                "for a reverse proxy on this machine write \"127.0.0.1:{}\"; to serve other machines, move it to listen",
                addr.port()
            ))),
            _ => Ok(()),
        }
        })?,
    };
    match list {
        Some(list) if plain.is_empty() && https.is_empty() => Err(ConfigError::new(
            "listen and plain-listen are both empty: nothing would be served",
        )
        .at(list.span())),
        _ => Ok(plain),
    }
}

/// Addresses of which `is_fit` has nothing to say, none of them twice nor among `taken`.
fn endpoints(
    list: &Spanned<List>,
    port: u16,
    taken: &[Endpoint],
    is_fit: impl Fn(&EndpointAddr) -> Result<(), ConfigError>,
) -> Result<Vec<Endpoint>, ConfigError> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for Written { text, place } in list.get_ref().written() {
        let addr = endpoint_addr(&text, port).and_then(|addr| {
            is_fit(&addr)?;
            // Port 0 is whatever port is free: no two of them are the same.
            let free = addr.socket_addr().is_some_and(|addr| addr.port() == 0);
            let mut others = endpoints.iter().chain(taken);
            match !free && others.any(|other| other.addr == addr) {
                true => Err(ConfigError::new(format!("{addr} is listed twice"))),
                false => Ok(addr),
            }
        });
        endpoints.push(Endpoint {
            addr: addr.map_err(|broken| broken.placed(place))?,
            optional: false,
        });
    }
    Ok(endpoints)
}

fn tls(table: &GatewayTable, needed: bool, base: &Path) -> Result<Option<TlsFiles>, ConfigError> {
    let file = |written: &Spanned<String>| base.join(written.get_ref());
    let client_ca = table.client_ca_file.as_ref().map(file);
    let required = table.require_client_cert.as_ref();
    if let Some(required) = required.filter(|required| *required.get_ref() && client_ca.is_none()) {
        return Err(
            ConfigError::new("require-client-cert needs to know who signs them")
                .hint("add: client-ca-file = \"clients-ca.pem\"")
                .at(required.span()),
        );
    }
    match (&table.certificate, &table.key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate: file(certificate),
            key: file(key),
            client_ca,
            require_client_cert: required.is_some_and(|required| *required.get_ref()),
        })),
        (Some(certificate), None) => Err(ConfigError::new("a certificate is of no use without its key")
            .hint("add: key = \"gateway-key.pem\"")
            .at(certificate.span())),
        (None, Some(key)) => Err(ConfigError::new("a key is of no use without its certificate")
            .hint("add: certificate = \"gateway.pem\"")
            .at(key.span())),
        (None, None) if needed => Err(ConfigError::new("HTTPS needs a certificate")
            .hint("add to [gateway]: certificate = \"gateway.pem\" and key = \"gateway-key.pem\"; or serve a reverse proxy on this machine: listen = [] and plain-listen = [\"127.0.0.1:8080\"]")),
        (None, None) => Ok(None),
    }
}

/// Reads the files that `tls` names: what is wrong with one is shown where it is named.
pub(super) fn check_files(table: &GatewayTable, tls: Option<&TlsFiles>) -> Result<(), ConfigError> {
    let Some(tls) = tls else {
        return Ok(());
    };
    let refused = |TlsFileError { file, error }| {
        let named = match file {
            TlsFile::Certificate => &table.certificate,
            TlsFile::Key => &table.key,
            TlsFile::ClientCa => &table.client_ca_file,
        };
        match named {
            Some(named) => error.at(named.span()),
            None => error,
        }
    };
    let pems = tls.read().map_err(refused)?;
    tls.identity(&pems).map(drop).map_err(refused)
}

fn trusted(list: Option<&Spanned<List>>) -> Result<TrustedProxies, ConfigError> {
    let mut trusted = TrustedProxies::default();
    for Written { text, place } in list
        .map(|list| list.get_ref().written())
        .unwrap_or_default()
    {
        if text == "unix" {
            trusted.unix = true;
            continue;
        }
        let refused = |error| {
            ConfigError::new(error)
                .hint("a proxy that comes over a Unix socket is written \"unix\"")
                .placed(place)
        };
        trusted.networks.push(network(&text).map_err(refused)?);
    }
    Ok(trusted)
}

fn path(written: &Spanned<String>) -> Result<String, ConfigError> {
    let path = written.get_ref();
    let is_fit = |octet: u8| octet.is_ascii_graphic() && !b"?#\"<>%".contains(&octet);
    if path.trim_end_matches('/').eq_ignore_ascii_case(HEALTH_PATH) {
        return Err(
            ConfigError::new(format!("{HEALTH_PATH} is where load balancers ask"))
                .hint(format!("the usual path is {DEFAULT_PATH}"))
                .at(written.span()),
        );
    }
    match path.starts_with('/') && path.bytes().all(is_fit) {
        true => Ok(path.clone()),
        false => Err(
            ConfigError::new("a path begins with / and holds no space, %, ? or #")
                .hint(format!("the usual one is {DEFAULT_PATH}"))
                .at(written.span()),
        ),
    }
}

fn access_log(table: &GatewayTable, base: &Path) -> Result<Option<AccessLogSettings>, ConfigError> {
    let lines_per_second = number(
        table.access_log_lines_per_second.as_ref(),
        "access-log-lines-per-second",
        1..=1_000_000,
        100,
    )?;
    let written = table.access_log.as_ref();
    let target = match written.map(|written| (written.get_ref().as_str(), written.span())) {
        None | Some(("stderr", _)) => AccessLogTarget::Stderr,
        Some(("off", _)) => return Ok(None),
        Some(("", span)) => {
            return Err(ConfigError::new("the access log has no name")
                .hint("write \"stderr\", \"off\" or a file")
                .at(span));
        }
        Some((file, _)) => AccessLogTarget::File(base.join(file)),
    };
    Ok(Some(AccessLogSettings {
        target,
        lines_per_second,
        principals: table.log_principals.unwrap_or(false),
    }))
}

fn metrics(written: &Spanned<String>) -> Result<LoopbackAddr, ConfigError> {
    let addr = endpoint_addr(written.get_ref(), METRICS_PORT);
    let loopback = addr.and_then(|addr| match addr {
        EndpointAddr::Loopback(addr) => Ok(addr),
        EndpointAddr::Remote(addr) => Err(ConfigError::new(format!(
            "{addr} is not a loopback address, and metrics tell who uses the gateway"
        ))
        .hint(format!("write \"127.0.0.1:{}\"", addr.port()))),
        EndpointAddr::Unix(_) => Err(ConfigError::new("metrics are served over TCP")
            .hint(format!("write \"127.0.0.1:{METRICS_PORT}\""))),
    });
    loopback.map_err(|broken| broken.at(written.span()))
}
