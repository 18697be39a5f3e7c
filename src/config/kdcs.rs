//! The KDCs of a realm: those that are listed, or those that DNS names; and if `loopkdc run` is to ask them itself.

use ipnet::IpNet;

use super::address::{KDC_PORT, KPASSWD_PORT, KdcAddr, kpasswd_beside, network};
use super::document::{ConfigSection, RealmSection};
use super::error::ConfigError;
use super::keys;
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
