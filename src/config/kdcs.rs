//! Which KDCs a realm has: those that are listed, or those that DNS names.

mod address;
mod network;
mod written;

use ipnet::IpNet;
use toml::Spanned;

use super::error::ConfigError;
use super::file::{List, Whole};
use super::listen::number;
use crate::relay::upstream::dns::{self, KdcDiscovery};
use crate::wire::{ByService, Realm};

pub use address::KdcAddr;
pub(super) use network::network;
pub(super) use written::KdcList;

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

/// The keys of a table that say so.
#[derive(Clone, Copy, Default)]
pub(super) struct Keys<'a> {
    pub(super) kdcs: Option<&'a Spanned<KdcList>>,
    pub(super) kpasswd_servers: Option<&'a Spanned<List>>,
    pub(super) discover: Option<&'a Spanned<bool>>,
    pub(super) networks: Option<&'a Spanned<List>>,
    pub(super) ports: Option<&'a Spanned<Vec<Spanned<Whole>>>>,
}

/// The KDCs of `realm`, for the services that are offered: as its `own` keys say, else the `defaults`.
pub(super) fn read(
    realm: &Realm,
    services: ByService<bool>,
    own: &Keys<'_>,
    defaults: &Keys<'_>,
) -> Result<Kdcs, ConfigError> {
    match (own.discover.or(defaults.discover), own.kdcs) {
        // What the realm says itself goes before what holds for all.
        (Some(discover), None) if *discover.get_ref() => {
            if let Some(servers) = own.kpasswd_servers {
                return Err(ConfigError::new(
                    "with discover = true DNS says where passwords are changed",
                )
                .hint("list kdcs too, or take kpasswd-servers away")
                .at(servers.span()));
            }
            discover_realm(realm, own, defaults).map(Kdcs::Discovered)
        }
        (_, Some(listed)) if own.discover.is_some_and(|own| *own.get_ref()) => Err(
            ConfigError::new("kdcs are listed, and discover = true would look them up")
                .hint("take one of the two away")
                .at(listed.span()),
        ),
        _ => listed(realm, services, own).map(Kdcs::Listed),
    }
}

/// Checks what `[defaults]` says, whether or not a realm makes use of it.
pub(super) fn check_defaults(keys: &Keys<'_>) -> Result<(), ConfigError> {
    let spans = [
        ("kdcs", keys.kdcs.map(Spanned::span)),
        ("kpasswd-servers", keys.kpasswd_servers.map(Spanned::span)),
    ];
    for (key, span) in spans {
        if let Some(span) = span {
            return Err(of_one_realm(key).at(span));
        }
    }
    allowed(keys, &Keys::default()).map(drop)
}

/// What is said of keys in `[defaults]` that can't stand there.
pub(super) fn of_one_realm(keys: &str) -> ConfigError {
    ConfigError::new(format!(
        "{keys} belong to one realm: they can't stand in [defaults]"
    ))
    .hint("move it under the realm: [realms.\"EXAMPLE.COM\"]")
}

fn listed(
    realm: &Realm,
    services: ByService<bool>,
    own: &Keys<'_>,
) -> Result<ByService<Option<Vec<KdcAddr>>>, ConfigError> {
    let kdcs = own.kdcs.map(address::kdcs).transpose()?.unwrap_or_default();
    let kpasswd = match own.kpasswd_servers {
        Some(servers) => address::kpasswd(&servers.get_ref().written())?,
        None => address::beside(&kdcs),
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

fn discover_realm(
    realm: &Realm,
    own: &Keys<'_>,
    defaults: &Keys<'_>,
) -> Result<Discover, ConfigError> {
    let (networks, ports) = allowed(own, defaults)?;
    let discovery = KdcDiscovery::new(realm, &ports).map_err(|error| {
        ConfigError::new(error.to_string()).hint("list its KDCs: kdcs = [\"dc1.example.com\"]")
    })?;
    Ok(Discover {
        discovery,
        ports,
        networks,
    })
}

/// What records in DNS may say.
fn allowed(own: &Keys<'_>, defaults: &Keys<'_>) -> Result<(Vec<IpNet>, Vec<u16>), ConfigError> {
    let ports = own.ports.or(defaults.ports).map(|ports| {
        let port = |port| number(Some(port), "a port", 1..=65535, 0);
        ports.get_ref().iter().map(port).collect()
    });
    let networks = networks(own, defaults)?;
    Ok((networks, ports.unwrap_or_else(|| Ok(dns::PORTS.to_vec()))?))
}

/// What names found in DNS may lead to besides other hosts.
pub(super) fn networks(own: &Keys<'_>, defaults: &Keys<'_>) -> Result<Vec<IpNet>, ConfigError> {
    let list = own.networks.or(defaults.networks);
    let read = |written: &Spanned<String>| {
        network(written.get_ref()).map_err(|error| {
            ConfigError::new(error)
                .hint("write it like \"10.0.0.0/8\" or \"fd00::/8\"")
                .at(written.span())
        })
    };
    let all = list.iter().flat_map(|list| &list.get_ref().0);
    all.map(read).collect()
}
