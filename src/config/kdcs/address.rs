//! The address of a KDC or password server.

use std::fmt;
use std::net::IpAddr;

use toml::Spanned;

use super::written::{KdcItem, KdcList};
use crate::config::error::{ConfigError, Written};

const KDC_PORT: u16 = 88;
const KPASSWD_PORT: u16 = 464;

/// A KDC or password server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KdcAddr {
    /// A name, or an IP address without brackets.
    host: String,
    port: u16,
    /// Whether it takes writes ([MS-NRPC] 3.5.4.3.1, DS_PDC_REQUIRED and DS_WRITABLE_REQUIRED).
    pub primary: bool,
}

/// `host:port`, and IPv6 addresses in brackets.
impl fmt::Display for KdcAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl KdcAddr {
    fn parse(text: &str, port: u16) -> Result<Self, ConfigError> {
        let (host, port) = split(text, port)?;
        if !is_host(host) || text.contains('/') {
            return Err(ConfigError::new(format!("{text:?} is no host and port")).hint(format!(
                "write a name or an IP address, and a port if it is not {port}, as in \"dc1.example.com:{port}\""
            )));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            primary: false,
        })
    }

    /// The password server that is usual beside this KDC (RFC 3244 2).
    fn kpasswd(&self) -> Self {
        Self {
            port: KPASSWD_PORT,
            ..self.clone()
        }
    }
}

/// Host and port; an IPv6 address may stand without brackets if it has no port.
fn split(text: &str, port: u16) -> Result<(&str, u16), ConfigError> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, port));
    }
    let (host, written) = match text.rsplit_once(':') {
        Some((host, written)) if !written.ends_with(']') => (host, Some(written)),
        _ => (text, None),
    };
    let port = match written.map(str::parse) {
        None => port,
        Some(Ok(port)) if port > 0 => port,
        // A URL: said of the whole.
        _ if text.contains('/') => port,
        Some(_) => {
            return Err(
                ConfigError::new(format!("{:?} is no port", written.unwrap_or_default()))
                    .hint("a port goes from 1 to 65535"),
            );
        }
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    Ok((bare.unwrap_or(host), port))
}

/// A name of letters, digits, dots, hyphens and underscores, or an IP address.
fn is_host(host: &str) -> bool {
    let octet = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
    let is_name = (1..=253).contains(&host.len()) && host.bytes().all(octet);
    is_name && !host.starts_with(['.', '-']) || host.parse::<IpAddr>().is_ok()
}

/// `kdcs`.
pub(super) fn kdcs(written: &Spanned<KdcList>) -> Result<Vec<KdcAddr>, ConfigError> {
    let mut kdcs = Vec::new();
    for item in &written.get_ref().0 {
        let KdcItem { address, primary } = item.get_ref();
        let kdc = KdcAddr::parse(address, KDC_PORT).map(|kdc| KdcAddr {
            primary: *primary,
            ..kdc
        });
        let kdc = kdc.and_then(|kdc| unless_twice(&kdcs, kdc));
        kdcs.push(kdc.map_err(|broken| broken.at(item.span()))?);
    }
    Ok(kdcs)
}

/// `kpasswd-servers`.
pub(super) fn kpasswd(written: &[Written]) -> Result<Vec<KdcAddr>, ConfigError> {
    let mut servers = Vec::new();
    for Written { text, place } in written {
        let server = KdcAddr::parse(text, KPASSWD_PORT);
        let server = server.and_then(|server| unless_twice(&servers, server));
        servers.push(server.map_err(|broken| broken.placed(place.clone()))?);
    }
    Ok(servers)
}

/// Where passwords are changed if nothing is said: at the KDCs' hosts, those first that take writes.
pub(super) fn beside(kdcs: &[KdcAddr]) -> Vec<KdcAddr> {
    let mut servers: Vec<KdcAddr> = Vec::new();
    for kdc in kdcs {
        let server = kdc.kpasswd();
        if !servers.iter().any(|other| other.host == server.host) {
            servers.push(server);
        }
    }
    servers.sort_by_key(|server| !server.primary);
    servers
}

fn unless_twice(before: &[KdcAddr], kdc: KdcAddr) -> Result<KdcAddr, ConfigError> {
    let name = kdc.to_string();
    match before.iter().any(|other| other.to_string() == name) {
        true => Err(ConfigError::new(format!("{name} is listed twice"))),
        false => Ok(kdc),
    }
}
