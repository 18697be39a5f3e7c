//! Which KDCs a realm has: those that are listed, or those that DNS names; and whether a tunnel asks them itself.

use std::fmt;

use ipnet::IpNet;

use super::address::{self, KdcAddr};
use super::document::{ConfigSection, RealmSection};
use super::error::{ConfigError, Located};
use super::keys;
use super::realms::RealmPattern;
use crate::relay::upstream::dns::KdcDiscovery;
use crate::wire::{ByService, Realm};

/// Where the KDCs of a realm are known from.
#[derive(Debug, Clone)]
pub enum Kdcs {
    /// The configuration; nothing for a service that is not offered.
    Listed(ByService<Option<Vec<KdcAddr>>>),
    /// DNS (RFC 4120 7.2.3.2).
    Discovered(Discover),
}

/// How the KDCs of a realm are looked up.
#[derive(Debug, Clone)]
pub struct Discover {
    /// The look-up.
    pub discovery: KdcDiscovery,
    /// Ports that are allowed.
    pub ports: Vec<u16>,
    /// Addresses that are allowed though they are loopback, link-local or of cloud metadata.
    pub networks: Vec<IpNet>,
}

/// KDCs that are asked themselves on networks where they answer.
#[derive(Debug, Clone)]
pub struct Direct {
    /// Before the proxies or after them.
    pub order: Order,
    /// The KDCs; both services are offered.
    pub kdcs: Kdcs,
}

/// Who is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The KDCs, and the proxies where they can't be reached.
    Prefer,
    /// The proxies, and the KDCs where they can't be reached.
    Fallback,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefer => "prefer",
            Self::Fallback => "fallback",
        })
    }
}

/// The KDCs of `realm`, for the services that are offered.
pub(super) fn read(
    realm: &Realm,
    services: ByService<bool>,
    table: &RealmSection,
) -> Result<Kdcs, ConfigError> {
    let RealmSection { own, all, .. } = table;
    match own.place(&keys::KDCS) {
        // What the realm says itself goes before what holds for all.
        None if all.flag(&keys::DISCOVER) => {
            if let Some(place) = own.place(&keys::KPASSWD_SERVERS) {
                let rule = "with discover = true DNS says where passwords are changed";
                return Err(ConfigError::new(rule)
                    .hint("list kdcs too, or take kpasswd-servers away")
                    .at(place));
            }
            discovered(realm, all).map(Kdcs::Discovered)
        }
        Some(place) if own.flag(&keys::DISCOVER) => Err(ConfigError::new(
            "kdcs are listed, and discover = true would look them up",
        )
        .hint("take one of the two away")
        .at(place)),
        _ => listed(realm, services, own).map(Kdcs::Listed),
    }
}

fn listed(
    realm: &Realm,
    services: ByService<bool>,
    own: &ConfigSection,
) -> Result<ByService<Option<Vec<KdcAddr>>>, ConfigError> {
    let kdcs = address::kdcs(own.addresses(&keys::KDCS))?;
    let kpasswd = if own.place(&keys::KPASSWD_SERVERS).is_some() {
        address::kpasswd_servers(&own.strings(&keys::KPASSWD_SERVERS))?
    } else {
        address::kpasswd_beside(&kdcs)
    };
    for (offered, list, key, service) in [
        (services.kdc, &kdcs, "kdcs = [\"dc1.example.com\"]", "KDC"),
        (
            services.kpasswd,
            &kpasswd,
            "kpasswd-servers = [\"dc1.example.com\"]",
            "server that changes passwords",
        ),
    ] {
        if offered && list.is_empty() {
            return Err(ConfigError::new(format!("realm {realm} has no {service}"))
                .hint(format!("add to it: {key}, or discover = true")));
        }
    }
    Ok(ByService {
        kdc: services.kdc.then_some(kdcs),
        kpasswd: services.kpasswd.then_some(kpasswd),
    })
}

fn discovered(realm: &Realm, table: &ConfigSection) -> Result<Discover, ConfigError> {
    let ports = table.ports(&keys::DISCOVER_PORTS);
    let networks = networks(table)?;
    let discovery = KdcDiscovery::new(realm, &ports).map_err(|error| {
        ConfigError::new(error.to_string()).hint("list its KDCs: kdcs = [\"dc1.example.com\"]")
    })?;
    Ok(Discover {
        discovery,
        ports,
        networks,
    })
}

/// What names found in DNS may lead to besides other hosts.
pub(super) fn networks(table: &ConfigSection) -> Result<Vec<IpNet>, ConfigError> {
    let read = |written: &Located<String>| {
        address::network(&written.value).map_err(|error| {
            written
                .error(error)
                .hint("write it like \"10.0.0.0/8\" or \"fd00::/8\"")
        })
    };
    let list = table.strings(&keys::DISCOVER_NETWORKS);
    list.iter().map(read).collect()
}

impl Direct {
    /// What `table` says for the realms of `pattern`.
    pub(super) fn read(
        pattern: &RealmPattern,
        table: &RealmSection,
    ) -> Result<Option<Self>, ConfigError> {
        let own = own_key(&table.own);
        let RealmPattern::Exact(realm) = pattern else {
            return own.map_or(Ok(None), |key| {
                let rule = format!("{} belongs to one realm, not to a wildcard", key.value);
                Err(key.error(rule))
            });
        };
        let kdcs = || {
            table
                .name
                .parse(|_| read(realm, ByService::both(true), table))
        };
        let order = match table.all.word(&keys::DIRECT).as_str() {
            "prefer" => Order::Prefer,
            "fallback" => Order::Fallback,
            _ => {
                return match own {
                    // Checked all the same: it may be switched on again.
                    Some(_) if table.all.place(&keys::DIRECT).is_some() => kdcs().map(|_| None),
                    Some(key) => Err(key
                        .error(format!(
                            "{} is of no use: KDCs are asked themselves only if direct says so",
                            key.value
                        ))
                        .hint("add direct = \"fallback\", or \"prefer\" to ask them before the proxies")),
                    None => Ok(None),
                };
            }
        };
        kdcs().map(|kdcs| Some(Self { order, kdcs }))
    }
}

/// The first of the keys about KDCs that a table holds itself, and makes use of.
fn own_key(own: &ConfigSection) -> Option<Located<&'static str>> {
    let is_used = [
        (&keys::KDCS, true),
        (&keys::KPASSWD_SERVERS, true),
        (&keys::DISCOVER, own.flag(&keys::DISCOVER)),
        (&keys::DIRECT, own.word(&keys::DIRECT) != "never"),
    ];
    let mut used = is_used.into_iter().filter(|(_, is_used)| *is_used);
    used.find_map(|(key, _)| {
        let (value, place) = (key.name, own.place(key)?.clone());
        Some(Located { value, place })
    })
}
