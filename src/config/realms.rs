//! `[realms."…"]`: which proxies serve a realm, and how. A realm's own keys go before those of `[defaults]`, and the command line
//! before both.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize as _};

use super::document::{ConfigSection, Document, RealmSection};
use super::error::{ConfigError, ConfigPlace, Located};
use super::kdcs::Direct;
use super::pem::CaFile;
use super::proxies::Proxies;
use super::read::{self, NamedFile};
use super::{Sources, keys, proxies, proxy_options};
pub use crate::relay::answer::OnFailure;
pub use crate::relay::routes::RealmPattern;
use crate::relay::upstream::proxy_options::ProxyOptions;
use crate::wire::Realm;

/// One `[realms."…"]` table, with what it takes from `[defaults]`.
#[derive(Debug, Clone)]
pub struct RealmEntry {
    /// The realms that it serves.
    pub pattern: RealmPattern,
    /// Other names that clients use for it, sent on as the realm's own. Empty unless the pattern is exact.
    pub aliases: Vec<Realm>,
    /// The ways out.
    pub proxies: Proxies,
    /// The KDCs that are asked themselves where they can be reached. None unless the pattern is exact.
    pub direct: Option<Direct>,
    /// How requests get to the proxies, and what they show.
    pub proxy_options: Arc<ProxyOptions>,
    /// Roots of trust besides the system's.
    pub ca: Option<CaFile>,
    /// The most that a request may take until its answer.
    pub deadline: Duration,
    /// How a failure looks to the client.
    pub on_failure: OnFailure,
    /// Sent as the target-domain instead of the realm ([MS-KKDCP] 2.2.2).
    pub target_domain: Option<String>,
    /// Sent as the dclocator-hint ([MS-KKDCP] 2.2.2): flags of [MS-NRPC] 3.5.4.3.1.
    pub dclocator_hint: Option<u32>,
}

impl RealmEntry {
    /// The one realm that it serves, unless its pattern is a wildcard.
    pub fn realm(&self) -> Option<&Realm> {
        self.pattern.exact()
    }
}

/// The realms of the file in its order, then those that only the command line knows; and how a failure of any other looks.
/// `base`: what files named in the file are relative to; `kept`: certificates for files that are of no use any more.
pub(super) fn read(
    document: &Document,
    base: &Path,
    sources: &Sources,
    kept: &[CaFile],
) -> Result<(Vec<RealmEntry>, OnFailure), ConfigError> {
    let mut given = CliRealm::parse(&sources.realms)?;
    let mut reader = RealmReader {
        base,
        given_ca: sources.ca_file.as_deref(),
        kept_ca: kept,
        names: RealmNames::default(),
    };
    reader.check_defaults(&document.defaults)?;
    let mut entries = Vec::new();
    for table in &document.realms {
        let pattern = table.name.parse(|name| RealmPattern::parse(name))?;
        let key = pattern.key();
        let position = given.iter().position(|given| given.pattern.key() == key);
        let given = position.map(|position| given.remove(position));
        entries.push(reader.entry(pattern, table, given.as_ref())?);
    }
    for given in given {
        let table = RealmSection {
            name: given.name.clone(),
            own: ConfigSection::default(),
            all: document.defaults.clone(),
        };
        entries.push(reader.entry(given.pattern.clone(), &table, Some(&given))?);
    }
    Ok((entries, document.defaults.get(&keys::ON_FAILURE)?))
}

/// Makes entries of tables, one after the other.
struct RealmReader<'a> {
    base: &'a Path,
    /// `--ca`: for the realms that are given on the command line.
    given_ca: Option<&'a Path>,
    /// What files of certificates held before.
    kept_ca: &'a [CaFile],
    names: RealmNames,
}

impl RealmReader<'_> {
    fn entry(
        &mut self,
        pattern: RealmPattern,
        table: &RealmSection,
        given: Option<&CliRealm>,
    ) -> Result<RealmEntry, ConfigError> {
        let RealmSection { name, own, all } = table;
        name.parse(|_| self.names.add(&pattern))?;
        let options = proxy_options::read(all, self.base)?;
        let ca = self.ca(all, given.is_some())?;
        proxy_options::check_any_realm(all, &pattern)?;
        let proxies = proxies::read(&pattern, table, given)?;
        proxy_options::check_proxies(all, &proxies)?;
        let target_domain = own.parse(&keys::TARGET_DOMAIN, realm)?;
        let dclocator_hint = all.written::<WrittenHint>(&keys::DCLOCATOR_HINT);
        Ok(RealmEntry {
            aliases: self.names.aliases(&pattern, own)?,
            direct: Direct::read(&pattern, table)?,
            proxies,
            proxy_options: Arc::new(options),
            ca,
            deadline: all.seconds(&keys::RUN_DEADLINE_SECONDS)?,
            on_failure: all.get(&keys::ON_FAILURE)?,
            target_domain: target_domain.map(|realm| realm.to_string()),
            dclocator_hint: dclocator_hint.map(|written| written.value.flags()),
            pattern,
        })
    }

    fn ca(&self, table: &ConfigSection, is_given: bool) -> Result<Option<CaFile>, ConfigError> {
        let given = self.given_ca.filter(|_| is_given);
        let (path, place) = match (given, table.written(&keys::CA_FILE)) {
            (Some(path), _) => (path.to_owned(), ConfigPlace::Option("--ca".to_owned())),
            (None, Some(written)) => (read::path(self.base, &written)?, written.place),
            (None, None) => return Ok(None),
        };
        let file = NamedFile::read(&keys::CA_FILE, path.clone(), place);
        let loaded = file.and_then(|file| CaFile::new(&file));
        let kept = || self.kept_ca.iter().find(|ca| ca.path == path).cloned();
        loaded.or_else(|error| kept().ok_or(error)).map(Some)
    }

    /// Checks `[defaults]`, even if no realm makes use of it.
    fn check_defaults(&self, defaults: &ConfigSection) -> Result<(), ConfigError> {
        proxies::check_defaults(defaults)?;
        super::kdcs::networks(defaults)?;
        proxy_options::read(defaults, self.base)?;
        self.ca(defaults, false).map(drop)
    }
}

/// A dclocator-hint, as it was written.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenHint {
    Number(i64),
    Names(Vec<String>),
}

impl WrittenHint {
    fn flags(&self) -> u32 {
        match self {
            // A signed number is the same 32 bits.
            Self::Number(number) => *number as u32,
            Self::Names(names) => names.iter().fold(0, |flags, name| flags | flag(name)),
        }
    }
}

/// [MS-NRPC] 3.5.4.3.1.
fn flag(name: &str) -> u32 {
    match name {
        "pdc" => 0x80,
        "writable" => 0x1000,
        "next-closest-site" => 0x4_0000,
        _ => 0,
    }
}

/// The names and aliases of realms that were read by now: none may be there twice.
#[derive(Default)]
pub(super) struct RealmNames(HashSet<String>);

impl RealmNames {
    pub(super) fn add(&mut self, pattern: &RealmPattern) -> Result<(), ConfigError> {
        if self.0.insert(pattern.key()) {
            return Ok(());
        }
        Err(ConfigError::new(format!(
            "realm {pattern} is configured twice (letter case makes no difference)"
        )))
    }

    /// The aliases that a realm's table lists.
    pub(super) fn aliases(
        &mut self,
        pattern: &RealmPattern,
        own: &ConfigSection,
    ) -> Result<Vec<Realm>, ConfigError> {
        own.parse_each(&keys::ALIASES, |text: &String| {
            let alias = RealmPattern::parse(text)?;
            self.add(&alias)?;
            match (pattern.exact(), alias) {
                (Some(_), RealmPattern::Exact(alias)) => Ok(alias),
                _ => Err(ConfigError::new("aliases and wildcards don't go together")),
            }
        })
    }
}

/// What `--realm` says of one realm.
pub(super) struct CliRealm {
    pub(super) pattern: RealmPattern,
    /// As the first of its options has it.
    pub(super) name: Located<String>,
    pub(super) proxies: Vec<Located<String>>,
}

impl CliRealm {
    /// Reads `REALM=URL`s; those of one realm become one, in their order.
    fn parse(options: &[String]) -> Result<Vec<Self>, ConfigError> {
        let mut all: Vec<Self> = Vec::new();
        for option in options {
            let place = ConfigPlace::option("--realm", option);
            let (name, url) = option.split_once('=').ok_or_else(|| {
                ConfigError::new("no = between the realm and its proxy")
                    .hint("write it like --realm EXAMPLE.COM=https://kdcproxy.example.com/KdcProxy")
                    .at(&place)
            })?;
            let [name, proxy] = [name, url].map(str::to_owned).map(|value| Located {
                value,
                place: place.clone(),
            });
            let pattern = name.parse(|name| RealmPattern::parse(name))?;
            let key = pattern.key();
            match all.iter_mut().find(|given| given.pattern.key() == key) {
                Some(given) => given.proxies.push(proxy),
                None => all.push(Self {
                    pattern,
                    name,
                    proxies: vec![proxy],
                }),
            }
        }
        Ok(all)
    }
}

impl RealmPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        match text.strip_prefix('*') {
            Some("") => Ok(Self::Any),
            Some(suffix)
                if suffix.len() > 1 && suffix.starts_with('.') && !suffix.contains('*') =>
            {
                realm(suffix).map(Self::Suffix)
            }
            None if !text.contains('*') => realm(text).map(Self::Exact),
            _ => Err(ConfigError::new("* stands alone or before a dot")
                .hint("write \"*.EXAMPLE.COM\" or \"*\"")),
        }
    }

    /// Equal for patterns that stand for the same realms: letter case makes no difference.
    pub(crate) fn key(&self) -> String {
        self.to_string().to_ascii_uppercase()
    }
}

impl fmt::Display for RealmPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(realm) => realm.fmt(f),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

pub(super) fn realm(text: &str) -> Result<Realm, ConfigError> {
    Realm::parse(text.as_bytes()).map_err(|error| ConfigError::new(error.to_string()))
}
