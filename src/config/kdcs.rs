//! The KDCs of a realm: those that are listed, or those that DNS names; and if `loopkdc run` is to ask them itself.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

use super::document::{ConfigSection, RealmSection};
use super::error::ConfigError;
use super::keys::{self, ConfigKey};
use super::realms::RealmPattern;
use crate::relay::discovery::{RealmLookup, UpstreamNames};
use crate::relay::explain::UpstreamKind;
use crate::relay::upstream::dns::{Discovery, UpstreamTarget};
use crate::relay::upstream::kdc::Transport;
use crate::wire::{ByService, Realm};

/// Where the KDCs of a realm are known from.
#[derive(Debug, Clone)]
pub enum Kdcs {
    /// The configuration; nothing for a service that is not offered.
    Listed(ByService<Option<Vec<KdcAddr>>>),
    /// DNS (RFC 4120 7.2.3.2).
    Discovered(Discovery),
}

impl Kdcs {
    /// The same as the relay knows it.
    pub(crate) fn names(&self) -> UpstreamNames {
        let targets = |list: &Option<Vec<KdcAddr>>| {
            let addresses = list.iter().flatten();
            addresses.map(|kdc| (kdc.target(), kdc.primary)).collect()
        };
        match self {
            Self::Listed(ByService { kdc, kpasswd }) => UpstreamNames::Listed(ByService {
                kdc: targets(kdc),
                kpasswd: targets(kpasswd),
            }),
            Self::Discovered(discovery) => {
                UpstreamNames::LookedUp(RealmLookup::new(discovery.clone(), None))
            }
        }
    }
}

/// KDCs that are asked themselves on networks where they answer.
#[derive(Debug, Clone)]
pub struct Direct {
    /// Before the proxies or after them.
    pub order: Order,
    /// The KDCs; both services are offered.
    pub kdcs: Kdcs,
}

/// Which of a realm's KDCs and proxies are asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The KDCs, and the proxies where they can't be reached.
    Prefer,
    /// The proxies, and the KDCs where they can't be reached.
    Fallback,
}

/// The KDCs of `realm`, for the services that are offered.
pub(super) fn read(
    realm: &Realm,
    services: ByService<bool>,
    table: &RealmSection,
) -> Result<Kdcs, ConfigError> {
    let RealmSection { own, all, .. } = table;
    let is_listed = own.is_written(&keys::KDCS);
    if is_listed && own.flag(&keys::DISCOVER) {
        let rule = "kdcs are listed, and discover = true would look them up";
        return Err(own
            .error(&keys::KDCS, rule)
            .hint("take one of the two away"));
    }
    // What the realm says itself goes before what holds for all.
    if is_listed || !all.flag(&keys::DISCOVER) {
        return listed(realm, services, own).map(Kdcs::Listed);
    }
    if own.is_written(&keys::KPASSWD_SERVERS) {
        let rule = "with discover = true DNS says where passwords are changed";
        return Err(own
            .error(&keys::KPASSWD_SERVERS, rule)
            .hint("list kdcs too, or take kpasswd-servers away"));
    }
    discovered(realm, all).map(Kdcs::Discovered)
}

fn listed(
    realm: &Realm,
    services: ByService<bool>,
    own: &ConfigSection,
) -> Result<ByService<Option<Vec<KdcAddr>>>, ConfigError> {
    let kdcs = KdcAddr::list(own, &keys::KDCS, KDC_PORT)?;
    let kpasswd = if own.is_written(&keys::KPASSWD_SERVERS) {
        KdcAddr::list(own, &keys::KPASSWD_SERVERS, KPASSWD_PORT)?
    } else {
        kpasswd_beside(&kdcs)
    };
    for (offered, list, key, what) in [
        (services.kdc, &kdcs, "kdcs", "KDC"),
        (
            services.kpasswd,
            &kpasswd,
            "kpasswd-servers",
            "server that changes passwords",
        ),
    ] {
        if offered && list.is_empty() {
            let hint = format!("add to it: {key} = [\"dc1.example.com\"], or discover = true");
            return Err(ConfigError::new(format!("realm {realm} has no {what}")).hint(hint));
        }
    }
    Ok(ByService {
        kdc: services.kdc.then_some(kdcs),
        kpasswd: services.kpasswd.then_some(kpasswd),
    })
}

fn discovered(realm: &Realm, table: &ConfigSection) -> Result<Discovery, ConfigError> {
    let ports: Vec<u16> = table.get(&keys::DISCOVER_PORTS)?;
    let networks = networks(table)?;
    let discovery = Discovery::new(realm, UpstreamKind::Kdc, networks);
    let mut discovery = discovery.map_err(|error| {
        ConfigError::new(error.to_string()).hint("list its KDCs: kdcs = [\"dc1.example.com\"]")
    })?;
    discovery.ports = ports;
    Ok(discovery)
}

/// What names found in DNS may lead to besides other hosts.
pub(super) fn networks(table: &ConfigSection) -> Result<Vec<IpNet>, ConfigError> {
    table.parse_each(&keys::DISCOVER_NETWORKS, |text: &String| network(text))
}

impl Direct {
    /// What `table` says for the realms of `pattern`.
    pub(super) fn read(
        pattern: &RealmPattern,
        table: &RealmSection,
    ) -> Result<Option<Self>, ConfigError> {
        let RealmSection { name, own, all } = table;
        let order = match all.get::<String>(&keys::DIRECT)?.as_str() {
            "prefer" => Some(Order::Prefer),
            "fallback" => Some(Order::Fallback),
            _ => None,
        };
        let listed = [&keys::KDCS, &keys::KPASSWD_SERVERS].into_iter();
        let mut used = listed
            .filter(|key| own.is_written(key))
            .chain(own.flag(&keys::DISCOVER).then_some(&keys::DISCOVER))
            .chain(order.and(own.is_written(&keys::DIRECT).then_some(&keys::DIRECT)));
        let used = used.next();
        let Some(realm) = pattern.exact() else {
            return used.map_or(Ok(None), |key| {
                let rule = format!("{} belongs to one realm, not to a wildcard", key.name);
                Err(own.error(key, rule))
            });
        };
        if let (None, Some(key), false) = (order, used, all.is_written(&keys::DIRECT)) {
            let rule = "is of no use: KDCs are asked themselves only if direct says so";
            let hint = "add direct = \"fallback\", or \"prefer\" to ask them before the proxies";
            return Err(own.error(key, format!("{} {rule}", key.name)).hint(hint));
        }
        if order.is_none() && used.is_none() {
            return Ok(None);
        }
        // Checked even if they are not asked: that may be switched on again.
        let kdcs = name.parse(|_| read(realm, ByService::both(true), table))?;
        Ok(order.map(|order| Self { order, kdcs }))
    }
}

pub(crate) const KDC_PORT: u16 = 88;
pub(crate) const KPASSWD_PORT: u16 = 464;

/// A KDC or password server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KdcAddr {
    /// A name, or an IP address without brackets.
    host: String,
    port: u16,
    /// It takes writes ([MS-NRPC] 3.5.4.3.1, DS_PDC_REQUIRED and DS_WRITABLE_REQUIRED).
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

/// A server in a list, as it was written.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenAddr {
    Text(String),
    Table {
        address: String,
        #[serde(default)]
        primary: bool,
    },
}

impl KdcAddr {
    /// The servers that `key` lists, on `port` where they don't say another.
    pub(super) fn list(
        table: &ConfigSection,
        key: &ConfigKey,
        port: u16,
    ) -> Result<Vec<Self>, ConfigError> {
        let mut known = HashSet::new();
        table.parse_each(key, |written| {
            let (text, primary) = match written {
                WrittenAddr::Text(text) => (text, false),
                WrittenAddr::Table { address, primary } => (address, *primary),
            };
            let server = Self::parse(text, port, primary)?;
            if !known.insert(server.to_string()) {
                return Err(ConfigError::new(format!("{server} is listed twice")));
            }
            Ok(server)
        })
    }

    /// Host and port; an IPv6 address may stand without brackets if it has no port.
    fn parse(text: &str, usual: u16, primary: bool) -> Result<Self, ConfigError> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') && text.parse::<IpAddr>().is_err() => {
                (host, port.parse().unwrap_or_default())
            }
            _ => (text, usual),
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if !is_host(host) || port == 0 {
            // What the text may show of a URL with a token, the excerpt does.
            return Err(ConfigError::new("this is no host and port").hint(format!(
                "write a name or an IP address, and a port if it is not {usual}, as in \"dc1.example.com:{usual}\""
            )));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            primary,
        })
    }

    /// The same as the relay knows it.
    pub(super) fn target(&self) -> UpstreamTarget {
        UpstreamTarget::Kdc {
            name: self.to_string(),
            transport: Transport::TcpFirst,
        }
    }
}

/// A name of letters, digits, dots, hyphens and underscores, or an IP address.
fn is_host(host: &str) -> bool {
    let octet = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
    let is_name = (1..=253).contains(&host.len()) && host.bytes().all(octet);
    is_name && !host.starts_with(['.', '-']) || host.parse::<IpAddr>().is_ok()
}

/// Where passwords are changed if nothing is said: at the KDCs' hosts (RFC 3244 2), those first that take writes.
pub(super) fn kpasswd_beside(kdcs: &[KdcAddr]) -> Vec<KdcAddr> {
    let mut servers: Vec<KdcAddr> = Vec::new();
    for kdc in kdcs {
        let port = KPASSWD_PORT;
        let server = KdcAddr {
            port,
            ..kdc.clone()
        };
        if !servers.iter().any(|other| other.host == server.host) {
            servers.push(server);
        }
    }
    servers.sort_by_key(|server| !server.primary);
    servers
}

/// A network, or an address alone.
pub(super) fn network(text: &str) -> Result<IpNet, ConfigError> {
    // Addresses are compared in the form that they are, IPv4 (RFC 4291 2.5.5.2).
    let address = text
        .parse()
        .map(|address: IpAddr| address.to_canonical().into());
    let network: IpNet = address.or_else(|_| text.parse()).map_err(|_| {
        ConfigError::new("this is no network and no address")
            .hint("write it like \"10.0.0.0/8\" or \"fd00::/8\"")
    })?;
    let meant = network.trunc();
    if network != meant {
        return Err(
            ConfigError::new(format!("the network of this address is {meant}"))
                .hint("write that, or the address alone"),
        );
    }
    match mapped(network) {
        Some(mapped) => Err(
            ConfigError::new("addresses that begin with ::ffff: are IPv4")
                .hint(format!("write \"{mapped}\"")),
        ),
        None => Ok(network),
    }
}

/// The network of IPv4 that `network` is in IPv6's notation: no address would be found in it.
fn mapped(network: IpNet) -> Option<Ipv4Net> {
    let IpNet::V6(network) = network else {
        return None;
    };
    let prefix = network.prefix_len().checked_sub(96)?;
    Ipv4Net::new(network.addr().to_ipv4_mapped()?, prefix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text), Ok(read.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, part) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.0.0.0/33", "no network"),
            ("proxy.example.com", "no network"),
            ("unix:/run/x", "no network"),
            ("::ffff:10.0.0.0/104", "IPv4"),
            ("::ffff:0:0/96", "IPv4"),
            ("", "no network"),
        ] {
            let error = network(text).unwrap_err().into_failure(None);
            assert!(error.message().contains(part), "{text}: {error}");
        }
    }
}
