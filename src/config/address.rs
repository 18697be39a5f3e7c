//! Addresses of KDCs, and networks, as the configuration writes them.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};

use super::document::WrittenKdc;
use super::error::{ConfigError, Located};

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
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
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

/// The KDCs that were written.
pub(super) fn kdcs(written: &[Located<WrittenKdc>]) -> Result<Vec<KdcAddr>, ConfigError> {
    let mut kdcs = Vec::new();
    for item in written {
        item.parse(|WrittenKdc { text, primary }| {
            let parsed = KdcAddr::parse(text, KDC_PORT)?;
            let primary = *primary;
            push(&mut kdcs, KdcAddr { primary, ..parsed })
        })?;
    }
    Ok(kdcs)
}

/// The servers that change passwords.
pub(super) fn kpasswd_servers(written: &[Located<String>]) -> Result<Vec<KdcAddr>, ConfigError> {
    let mut servers = Vec::new();
    for item in written {
        item.parse(|text| push(&mut servers, KdcAddr::parse(text, KPASSWD_PORT)?))?;
    }
    Ok(servers)
}

fn push(list: &mut Vec<KdcAddr>, kdc: KdcAddr) -> Result<(), ConfigError> {
    let is_same = |other: &KdcAddr| (&other.host, other.port) == (&kdc.host, kdc.port);
    if list.iter().any(is_same) {
        return Err(ConfigError::new(format!("{kdc} is listed twice")));
    }
    list.push(kdc);
    Ok(())
}

/// Where passwords are changed if nothing is said: at the KDCs' hosts, those first that take writes.
pub(super) fn kpasswd_beside(kdcs: &[KdcAddr]) -> Vec<KdcAddr> {
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

/// A network, or an address alone.
///
/// # Errors
/// It is neither, or none that an address is ever in: what is wrong, in words.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let parsed = match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>(),
    };
    let network = parsed.map_err(|_| format!("{text:?} is no network and no address"))?;
    if network != network.trunc() {
        let meant = network.trunc();
        return Err(format!(
            "the network of this address is {meant}: write that, or the address alone"
        ));
    }
    match network {
        // Addresses are compared in the form that they are, IPv4 (RFC 4291 2.5.5.2).
        IpNet::V6(network) if is_mapped(network) => {
            Err("addresses that begin with ::ffff: are IPv4: write them as such".to_owned())
        }
        network => Ok(network),
    }
}

fn is_mapped(network: Ipv6Net) -> bool {
    network.prefix_len() >= 96 && network.addr().to_ipv4_mapped().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text), Ok(read.parse().unwrap()));
        }
    }

    #[test]
    fn what_no_address_is_in_is_refused() {
        for (text, part) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.1", "IPv4"),
            ("::ffff:10.0.0.0/104", "IPv4"),
            ("10.0.0.0/33", "no network"),
            ("proxy.example.com", "no network"),
            ("unix:/run/x", "no network"),
            ("", "no network"),
        ] {
            let error = network(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
