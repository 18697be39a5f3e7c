//! Which KDCs a realm has: those that are listed, or those that DNS names; and whether a tunnel asks them itself.

use std::fmt;

use ipnet::IpNet;

use super::address::{self, KDC_PORT, KPASSWD_PORT, KdcAddr, kpasswd_beside};
use super::document::{ConfigSection, RealmSection};
use super::error::{ConfigError, Located};
use super::keys::{self, ConfigKey};
use super::realms::RealmPattern;
use crate::relay::discovery::{RealmLookup, UpstreamNames};
use crate::relay::explain::UpstreamKind;
use crate::relay::upstream::dns::Discovery;
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
    let is_listed = own.is_written(&keys::KDCS);
    if is_listed && own.flag(&keys::DISCOVER) {
        let rule = "kdcs are listed, and discover = true would look them up";
        return Err(ConfigError::new(rule)
            .hint("take one of the two away")
            .at(&own.place(&keys::KDCS)));
    }
    // What the realm says itself goes before what holds for all.
    if is_listed || !all.flag(&keys::DISCOVER) {
        return listed(realm, services, own).map(Kdcs::Listed);
    }
    if own.is_written(&keys::KPASSWD_SERVERS) {
        let rule = "with discover = true DNS says where passwords are changed";
        return Err(ConfigError::new(rule)
            .hint("list kdcs too, or take kpasswd-servers away")
            .at(&own.place(&keys::KPASSWD_SERVERS)));
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
    let lacks = |key: &ConfigKey, what: &str| {
        let key = key.name;
        Err(
            ConfigError::new(format!("realm {realm} has no {what}")).hint(format!(
                "add to it: {key} = [\"dc1.example.com\"], or discover = true"
            )),
        )
    };
    if services.kdc && kdcs.is_empty() {
        return lacks(&keys::KDCS, "KDC");
    }
    if services.kpasswd && kpasswd.is_empty() {
        return lacks(&keys::KPASSWD_SERVERS, "server that changes passwords");
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
    let read = |written: Located<String>| {
        address::network(&written.value).map_err(|error| {
            let hint = "write it like \"10.0.0.0/8\" or \"fd00::/8\"";
            written.error(error).hint(hint)
        })
    };
    let list = table.list(&keys::DISCOVER_NETWORKS);
    list.into_iter().map(read).collect()
}

impl Direct {
    /// What `table` says for the realms of `pattern`.
    pub(super) fn read(
        pattern: &RealmPattern,
        table: &RealmSection,
    ) -> Result<Option<Self>, ConfigError> {
        let own = own_key(&table.own);
        let broken = |key: &ConfigKey, rule| {
            ConfigError::new(format!("{} {rule}", key.name)).at(&table.own.place(key))
        };
        let RealmPattern::Exact(realm) = pattern else {
            return own.map_or(Ok(None), |key| {
                Err(broken(key, "belongs to one realm, not to a wildcard"))
            });
        };
        let kdcs = || {
            table
                .name
                .parse(|_| read(realm, ByService::both(true), table))
        };
        let order = match table.all.get::<String>(&keys::DIRECT)?.as_str() {
            "prefer" => Order::Prefer,
            "fallback" => Order::Fallback,
            _ => {
                return match own {
                    // Checked all the same: it may be switched on again.
                    Some(_) if table.all.is_written(&keys::DIRECT) => kdcs().map(|_| None),
                    Some(key) => Err(broken(
                        key,
                        "is of no use: KDCs are asked themselves only if direct says so",
                    )
                    .hint(
                        "add direct = \"fallback\", or \"prefer\" to ask them before the proxies",
                    )),
                    None => Ok(None),
                };
            }
        };
        kdcs().map(|kdcs| Some(Self { order, kdcs }))
    }
}

/// The first of the keys about KDCs that a table holds itself, and makes use of.
fn own_key(own: &ConfigSection) -> Option<&'static ConfigKey> {
    let direct = own.text(&keys::DIRECT);
    let is_used = [
        (&keys::KDCS, own.is_written(&keys::KDCS)),
        (
            &keys::KPASSWD_SERVERS,
            own.is_written(&keys::KPASSWD_SERVERS),
        ),
        (&keys::DISCOVER, own.flag(&keys::DISCOVER)),
        (
            &keys::DIRECT,
            direct.is_some_and(|direct| direct.value != "never"),
        ),
    ];
    is_used
        .into_iter()
        .find_map(|(key, is_used)| is_used.then_some(key))
}
