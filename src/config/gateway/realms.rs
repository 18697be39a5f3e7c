//! `[realms."…"]`: which KDCs serve a realm, and how they are asked.

use std::collections::HashSet;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use super::file::{File, RealmTable};
use super::kdcs::{self, KdcAddr};
use super::network::network;
use crate::config::error::{Broken, Place};
use crate::config::file::List;
use crate::config::listen::{number, seconds};
use crate::config::realms::RealmPattern;
use crate::upstream::dns::{self, Discovery};
use crate::upstream::kdc::Transport;
use crate::wire::{ByService, Realm, RealmKey};

/// One realm, with what it takes from `[defaults]`.
#[derive(Debug, Clone)]
pub struct KdcRealm {
    /// Its name.
    pub realm: Realm,
    /// Other names that clients use for it.
    pub aliases: Vec<Realm>,
    /// Where its KDCs are known from.
    pub kdcs: Kdcs,
    /// Which services are offered; at least one.
    pub services: ByService<bool>,
    /// Over which transport its KDCs are asked.
    pub transport: Transport,
    /// The most that a request may take until its answer.
    pub deadline: Duration,
}

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
    pub discovery: Discovery,
    /// Ports that are allowed.
    pub ports: Vec<u16>,
    /// Addresses that are allowed though they are loopback, link-local or of cloud metadata.
    pub networks: Vec<IpNet>,
}

/// The file's realms in its order.
pub(super) fn all(file: &File) -> Result<Vec<KdcRealm>, Broken> {
    let mut reader = Reader {
        defaults: &file.defaults,
        known: HashSet::new(),
    };
    reader.check_defaults()?;
    let mut tables: Vec<_> = file.realms.iter().collect();
    tables.sort_by_key(|(name, _)| name.span().start);
    tables
        .into_iter()
        .map(|(name, table)| reader.realm(name, table))
        .collect()
}

/// Turns tables into realms, one after the other.
struct Reader<'a> {
    defaults: &'a RealmTable,
    known: HashSet<RealmKey>,
}

impl Reader<'_> {
    fn realm(&mut self, name: &Spanned<String>, table: &RealmTable) -> Result<KdcRealm, Broken> {
        let realm = self
            .name(name.get_ref())
            .map_err(|broken| broken.at(name.span()))?;
        let services = services(table.services.as_ref().or(self.defaults.services.as_ref()))?;
        Ok(KdcRealm {
            aliases: self.aliases(table)?,
            kdcs: self
                .kdcs(&realm, services, table)
                .map_err(|broken| broken.placed(Place::Span(name.span())))?,
            services,
            transport: transport(
                table
                    .transport
                    .as_ref()
                    .or(self.defaults.transport.as_ref()),
            )?,
            deadline: self.deadline(table)?,
            realm,
        })
    }

    /// A realm that has not been named before.
    fn name(&mut self, text: &str) -> Result<Realm, Broken> {
        let RealmPattern::Exact(realm) = RealmPattern::parse(text)? else {
            return Err(
                Broken::new("a gateway serves the realms that it names, no wildcard")
                    .hint("write a table for each realm"),
            );
        };
        match self.known.insert(realm.key()) {
            true => Ok(realm),
            false => Err(Broken::new(format!(
                "realm {text} is configured twice (letter case makes no difference)"
            ))),
        }
    }

    fn aliases(&mut self, table: &RealmTable) -> Result<Vec<Realm>, Broken> {
        let list = table.aliases.iter().flat_map(|list| &list.get_ref().0);
        list.map(|written| {
            self.name(written.get_ref())
                .map_err(|broken| broken.at(written.span()))
        })
        .collect()
    }

    fn kdcs(
        &self,
        realm: &Realm,
        services: ByService<bool>,
        table: &RealmTable,
    ) -> Result<Kdcs, Broken> {
        let discover = table.discover.as_ref().or(self.defaults.discover.as_ref());
        let listed = table.kdcs.as_ref();
        match (discover, listed) {
            // What the realm says itself goes before what holds for all.
            (Some(discover), None) if *discover.get_ref() => {
                if let Some(servers) = &table.kpasswd_servers {
                    return Err(Broken::new(
                        "with discover = true DNS says where passwords are changed",
                    )
                    .hint("list kdcs too, or take kpasswd-servers away")
                    .at(servers.span()));
                }
                self.discover(realm, table).map(Kdcs::Discovered)
            }
            (_, Some(listed)) if table.discover.as_ref().is_some_and(|own| *own.get_ref()) => Err(
                Broken::new("kdcs are listed, and discover = true would look them up")
                    .hint("take one of the two away")
                    .at(listed.span()),
            ),
            _ => self.listed(realm, services, table).map(Kdcs::Listed),
        }
    }

    fn listed(
        &self,
        realm: &Realm,
        services: ByService<bool>,
        table: &RealmTable,
    ) -> Result<ByService<Option<Vec<KdcAddr>>>, Broken> {
        let kdcs = table.kdcs.as_ref().map(kdcs::kdcs).transpose()?;
        let kdcs = kdcs.unwrap_or_default();
        let servers = table.kpasswd_servers.as_ref();
        let kpasswd = match servers {
            Some(servers) => kdcs::kpasswd(&servers.get_ref().written())?,
            None => kdcs::beside(&kdcs),
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
                return Err(Broken::new(format!("realm {realm} has no {service}"))
                    .hint(format!("add to it: {key}, or discover = true")));
            }
        }
        Ok(ByService {
            kdc: services.kdc.then_some(kdcs),
            kpasswd: services.kpasswd.then_some(kpasswd),
        })
    }

    fn discover(&self, realm: &Realm, table: &RealmTable) -> Result<Discover, Broken> {
        let (networks, ports) = self.allowed(table)?;
        let discovery = Discovery::new(realm, &ports).map_err(|error| {
            Broken::new(error.to_string()).hint("list its KDCs: kdcs = [\"dc1.example.com\"]")
        })?;
        Ok(Discover {
            discovery,
            ports,
            networks,
        })
    }

    /// What records in DNS may say.
    fn allowed(&self, table: &RealmTable) -> Result<(Vec<IpNet>, Vec<u16>), Broken> {
        let defaults = self.defaults;
        let networks = table
            .discover_networks
            .as_ref()
            .or(defaults.discover_networks.as_ref());
        let ports = table
            .discover_ports
            .as_ref()
            .or(defaults.discover_ports.as_ref());
        let ports = ports.map(|ports| {
            let port = |port| number(Some(port), "a port", 1..=65535, 0);
            ports.get_ref().iter().map(port).collect()
        });
        let networks = networks.map_or(Ok(Vec::new()), self::networks)?;
        Ok((networks, ports.unwrap_or_else(|| Ok(dns::PORTS.to_vec()))?))
    }

    fn deadline(&self, table: &RealmTable) -> Result<Duration, Broken> {
        let written = table.deadline_seconds.as_ref();
        let written = written.or(self.defaults.deadline_seconds.as_ref());
        seconds(written, "deadline-seconds", 1..=120, 8)
    }

    /// Checks `[defaults]` whether or not a realm makes use of it.
    fn check_defaults(&self) -> Result<(), Broken> {
        let defaults = self.defaults;
        let spans = [
            ("aliases", defaults.aliases.as_ref().map(Spanned::span)),
            ("kdcs", defaults.kdcs.as_ref().map(Spanned::span)),
            (
                "kpasswd-servers",
                defaults.kpasswd_servers.as_ref().map(Spanned::span),
            ),
        ];
        for (key, span) in spans {
            if let Some(span) = span {
                let rule = format!("{key} belong to one realm: they can't stand in [defaults]");
                return Err(Broken::new(rule)
                    .hint("move it under the realm: [realms.\"EXAMPLE.COM\"]")
                    .at(span));
            }
        }
        services(defaults.services.as_ref())?;
        transport(defaults.transport.as_ref())?;
        self.allowed(defaults)?;
        self.deadline(defaults).map(drop)
    }
}

fn services(list: Option<&Spanned<List>>) -> Result<ByService<bool>, Broken> {
    let Some(list) = list else {
        return Ok(ByService::both(true));
    };
    let mut services = ByService::both(false);
    for written in &list.get_ref().0 {
        match written.get_ref().as_str() {
            "kdc" => services.kdc = true,
            "kpasswd" => services.kpasswd = true,
            _ => {
                return Err(Broken::new("a service is \"kdc\" or \"kpasswd\"").at(written.span()));
            }
        }
    }
    match services.kdc || services.kpasswd {
        true => Ok(services),
        false => Err(Broken::new("no service would be offered")
            .hint("services = [\"kdc\", \"kpasswd\"] offers both; a realm without a table is not served")
            .at(list.span())),
    }
}

fn transport(written: Option<&Spanned<String>>) -> Result<Transport, Broken> {
    match written.map(|written| (written.get_ref().as_str(), written.span())) {
        None | Some(("tcp", _)) => Ok(Transport::TcpFirst),
        Some(("udp", _)) => Ok(Transport::UdpFirst),
        Some((_, span)) => Err(Broken::new("transport is \"tcp\" or \"udp\"").at(span)),
    }
}

fn networks(list: &Spanned<List>) -> Result<Vec<IpNet>, Broken> {
    let read = |written: &Spanned<String>| {
        network(written.get_ref()).map_err(|error| {
            Broken::new(error)
                .hint("write it like \"10.0.0.0/8\" or \"fd00::/8\"")
                .at(written.span())
        })
    };
    list.get_ref().0.iter().map(read).collect()
}
