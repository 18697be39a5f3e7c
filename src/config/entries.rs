//! From tables to entries: what a realm says, else `[defaults]`, and what the command line says above both.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::ca::{CaFile, CaFiles};
use super::direct;
use super::error::{ConfigError, Place};
use super::file::{File, RealmTable};
use super::given::Given;
use super::listen::{number, seconds};
use super::out::Keys;
use super::proxies;
use super::realms::{OnFailure, PatternKey, RealmEntry, RealmPattern, realm};
use crate::relay::upstream::out::Out;
use crate::wire::Realm;

/// Turns tables into entries, one after the other.
pub(super) struct Builder<'a> {
    defaults: &'a RealmTable,
    /// What a `ca-file` of the file is relative to.
    base: &'a Path,
    /// `--ca`: for the realms given on the command line.
    ca_given: Option<&'a Path>,
    ca_files: CaFiles,
    known: HashSet<PatternKey>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        defaults: &'a RealmTable,
        base: &'a Path,
        ca_given: Option<&'a Path>,
    ) -> Self {
        Self {
            defaults,
            base,
            ca_given,
            ca_files: CaFiles::default(),
            known: HashSet::new(),
        }
    }

    /// The file's realms in its order, then those that only the command line knows.
    pub(super) fn all(
        &mut self,
        file: &File,
        mut given: Vec<Given>,
    ) -> Result<(Vec<RealmEntry>, OnFailure), ConfigError> {
        let default_on_failure = self.defaults()?;
        let mut tables: Vec<_> = file.realms.iter().collect();
        tables.sort_by_key(|(name, _)| name.span().start);
        let mut entries = Vec::new();
        for (name, table) in tables {
            entries.push(self.of_file(name, table, &mut given)?);
        }
        for given in given {
            let option = given.option.clone();
            entries.push(self.entry(
                given.pattern.clone(),
                &RealmTable::default(),
                &option,
                Some(&given),
            )?);
        }
        Ok((entries, default_on_failure))
    }

    fn of_file(
        &mut self,
        name: &Spanned<String>,
        table: &RealmTable,
        given: &mut Vec<Given>,
    ) -> Result<RealmEntry, ConfigError> {
        let place = Place::Span(name.span());
        let pattern =
            RealmPattern::parse(name.get_ref()).map_err(|broken| broken.at(name.span()))?;
        let key = pattern.key();
        let given = given
            .iter()
            .position(|given| given.key == key)
            .map(|index| given.remove(index));
        self.entry(pattern, table, &place, given.as_ref())
    }

    fn entry(
        &mut self,
        pattern: RealmPattern,
        table: &RealmTable,
        place: &Place,
        given: Option<&Given>,
    ) -> Result<RealmEntry, ConfigError> {
        self.know(pattern.key(), &pattern.to_string())
            .map_err(|broken| broken.placed(place.clone()))?;
        let shared = self.shared(table, given.is_some())?;
        let keys = self.keys(table);
        keys.guard(&pattern)?;
        let proxies = proxies::read(&pattern, table, self.defaults, place, given)?;
        keys.suit(&proxies)?;
        Ok(RealmEntry {
            aliases: self.aliases(&pattern, table)?,
            direct: direct::read(&pattern, table, self.defaults, place)?,
            proxies,
            out: shared.out,
            ca: shared.ca,
            deadline: shared.deadline,
            on_failure: shared.on_failure,
            target_domain: table
                .target_domain
                .as_ref()
                .map(target_domain)
                .transpose()?,
            dclocator_hint: shared.dclocator_hint,
            pattern,
        })
    }

    fn know(&mut self, key: PatternKey, name: &str) -> Result<(), ConfigError> {
        if self.known.insert(key) {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "realm {name} is configured twice (letter case makes no difference)"
        )))
    }

    fn aliases(
        &mut self,
        pattern: &RealmPattern,
        table: &RealmTable,
    ) -> Result<Vec<Realm>, ConfigError> {
        let Some(list) = &table.aliases else {
            return Ok(Vec::new());
        };
        if !matches!(pattern, RealmPattern::Exact(_)) {
            return Err(
                ConfigError::new("aliases belong to one realm, not to a wildcard").at(list.span()),
            );
        }
        let mut aliases = Vec::new();
        for written in &list.get_ref().0 {
            let alias = self
                .alias(written.get_ref())
                .map_err(|broken| broken.at(written.span()))?;
            aliases.push(alias);
        }
        Ok(aliases)
    }

    fn alias(&mut self, text: &str) -> Result<Realm, ConfigError> {
        match RealmPattern::parse(text)? {
            RealmPattern::Exact(realm) => self
                .know(PatternKey::Exact(realm.key()), text)
                .map(|()| realm),
            _ => Err(ConfigError::new("an alias is one realm, not a wildcard")),
        }
    }

    fn keys<'b>(&self, own: &'b RealmTable) -> Keys<'b>
    where
        'a: 'b,
    {
        let defaults = self.defaults;
        Keys { own, defaults }
    }

    /// What `[defaults]` may say for a realm that says nothing.
    fn shared(&mut self, table: &RealmTable, given: bool) -> Result<Shared, ConfigError> {
        let defaults = self.defaults;
        let on_failure = either(&table.on_failure, &defaults.on_failure);
        let hint = either(&table.dclocator_hint, &defaults.dclocator_hint);
        let deadline = either(&table.deadline_seconds, &defaults.deadline_seconds);
        Ok(Shared {
            out: Arc::new(self.keys(table).out(self.base)?),
            ca: self.ca(either(&table.ca_file, &defaults.ca_file), given)?,
            deadline: seconds(deadline, "deadline-seconds", 1..=120, 9)?,
            on_failure: on_failure
                .map(OnFailure::parse)
                .transpose()?
                .unwrap_or_default(),
            dclocator_hint: hint
                .map(|_| number(hint, "dclocator-hint", 0..=u32::MAX.into(), 0))
                .transpose()?,
        })
    }

    fn ca(
        &mut self,
        written: Option<&Spanned<String>>,
        given: bool,
    ) -> Result<Option<Arc<CaFile>>, ConfigError> {
        if let (true, Some(path)) = (given, self.ca_given) {
            let option = Place::Option("--ca".to_owned());
            return self
                .ca_files
                .load(path.to_owned())
                .map(Some)
                .map_err(|broken| broken.placed(option));
        }
        let Some(written) = written else {
            return Ok(None);
        };
        let path = self.base.join(written.get_ref());
        self.ca_files
            .load(path)
            .map(Some)
            .map_err(|broken| broken.at(written.span()))
    }

    /// Checks `[defaults]` whether or not a realm makes use of it.
    fn defaults(&mut self) -> Result<OnFailure, ConfigError> {
        let defaults = self.defaults;
        if let Some(list) = &defaults.aliases {
            return Err(ConfigError::new(
                "aliases belong to one realm: they can't stand in [defaults]",
            )
            .at(list.span()));
        }
        if let Some(domain) = &defaults.target_domain {
            return Err(ConfigError::new(
                "target-domain names one realm: it can't stand in [defaults]",
            )
            .at(domain.span()));
        }
        proxies::check_defaults(defaults)?;
        direct::check_defaults(defaults)?;
        self.shared(defaults, false).map(|shared| shared.on_failure)
    }
}

struct Shared {
    out: Arc<Out>,
    ca: Option<Arc<CaFile>>,
    deadline: Duration,
    on_failure: OnFailure,
    dclocator_hint: Option<u32>,
}

pub(super) fn either<'a, T>(own: &'a Option<T>, default: &'a Option<T>) -> Option<&'a T> {
    own.as_ref().or(default.as_ref())
}

fn target_domain(written: &Spanned<String>) -> Result<String, ConfigError> {
    realm(written.get_ref())
        .map(|realm| realm.to_string())
        .map_err(|broken| broken.at(written.span()))
}
