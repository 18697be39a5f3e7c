//! `[realms."…"]`: which KDCs serve a realm, and how they are asked.

use std::collections::HashSet;
use std::time::Duration;

use toml::Spanned;

use super::file::{File, RealmTable};
use crate::config::error::ConfigError;
use crate::config::file::List;
use crate::config::kdcs::{self, Kdcs};
use crate::config::listen::seconds;
use crate::config::realms::RealmPattern;
use crate::relay::upstream::kdc::Transport;
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

/// The file's realms in its order.
pub(super) fn all(file: &File) -> Result<Vec<KdcRealm>, ConfigError> {
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
    fn realm(
        &mut self,
        name: &Spanned<String>,
        table: &RealmTable,
    ) -> Result<KdcRealm, ConfigError> {
        let realm = self
            .name(name.get_ref())
            .map_err(|broken| broken.at(name.span()))?;
        let services = services(table.services.as_ref().or(self.defaults.services.as_ref()))?;
        Ok(KdcRealm {
            aliases: self.aliases(table)?,
            kdcs: kdcs::read(&realm, services, &table.keys(), &self.defaults.keys())
                .map_err(|broken| broken.at(name.span()))?,
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
    fn name(&mut self, text: &str) -> Result<Realm, ConfigError> {
        let RealmPattern::Exact(realm) = RealmPattern::parse(text)? else {
            return Err(
                ConfigError::new("a gateway serves the realms that it names, no wildcard")
                    .hint("write a table for each realm"),
            );
        };
        match self.known.insert(realm.key()) {
            true => Ok(realm),
            false => Err(ConfigError::new(format!(
                "realm {text} is configured twice (letter case makes no difference)"
            ))),
        }
    }

    fn aliases(&mut self, table: &RealmTable) -> Result<Vec<Realm>, ConfigError> {
        let list = table.aliases.iter().flat_map(|list| &list.get_ref().0);
        list.map(|written| {
            self.name(written.get_ref())
                .map_err(|broken| broken.at(written.span()))
        })
        .collect()
    }

    fn deadline(&self, table: &RealmTable) -> Result<Duration, ConfigError> {
        let written = table.deadline_seconds.as_ref();
        let written = written.or(self.defaults.deadline_seconds.as_ref());
        seconds(written, "deadline-seconds", 1..=120, 8)
    }

    /// Checks `[defaults]` whether or not a realm makes use of it.
    fn check_defaults(&self) -> Result<(), ConfigError> {
        let defaults = self.defaults;
        if let Some(aliases) = &defaults.aliases {
            return Err(kdcs::of_one_realm("aliases").at(aliases.span()));
        }
        kdcs::check_defaults(&defaults.keys())?;
        services(defaults.services.as_ref())?;
        transport(defaults.transport.as_ref())?;
        self.deadline(defaults).map(drop)
    }
}

fn services(list: Option<&Spanned<List>>) -> Result<ByService<bool>, ConfigError> {
    let Some(list) = list else {
        return Ok(ByService::both(true));
    };
    let mut services = ByService::both(false);
    for written in &list.get_ref().0 {
        match written.get_ref().as_str() {
            "kdc" => services.kdc = true,
            "kpasswd" => services.kpasswd = true,
            _ => {
                return Err(
                    ConfigError::new("a service is \"kdc\" or \"kpasswd\"").at(written.span())
                );
            }
        }
    }
    match services.kdc || services.kpasswd {
        true => Ok(services),
        false => Err(ConfigError::new("no service would be offered")
            .hint("services = [\"kdc\", \"kpasswd\"] offers both; a realm without a table is not served")
            .at(list.span())),
    }
}

fn transport(written: Option<&Spanned<String>>) -> Result<Transport, ConfigError> {
    match written.map(|written| (written.get_ref().as_str(), written.span())) {
        None | Some(("tcp", _)) => Ok(Transport::TcpFirst),
        Some(("udp", _)) => Ok(Transport::UdpFirst),
        Some((_, span)) => Err(ConfigError::new("transport is \"tcp\" or \"udp\"").at(span)),
    }
}
