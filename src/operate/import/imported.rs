//! What was found, in the words of our configuration.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use crate::config::{CaFile, ProxyUrl};
use crate::operate::krb5_conf::profile::FileLine;
use crate::relay::routes::RealmPattern;
use crate::relay::text::{self, toml};

/// What a file says that `loopkdc run` can do, and what it can't.
#[derive(Debug, Default)]
pub(super) struct ImportedConfig {
    realms: HashMap<String, ImportedRealm>,
    /// Where a krb5.conf names the first proxy that was taken.
    pub(super) native: Option<FileLine>,
    /// What was left out outside of any realm, and why.
    notes: Vec<Note>,
}

/// `[realms."…"]`.
#[derive(Debug)]
pub(super) struct ImportedRealm {
    pattern: RealmPattern,
    /// Where it stands first.
    place: FileLine,
    /// No URL twice.
    pub(super) proxies: Vec<ProxyUrl>,
    /// Likewise.
    pub(super) primary_proxies: Vec<ProxyUrl>,
    /// Likewise.
    pub(super) kpasswd_proxies: Vec<ProxyUrl>,
    /// With where it was named.
    pub(super) ca_file: Option<(FileLine, PathBuf)>,
    /// What was left out, or means something else here.
    pub(super) notes: Vec<Note>,
}

/// Where something is, and what is to be known of it.
pub(super) type Note = (FileLine, String);

impl ImportedConfig {
    pub(super) fn note(&mut self, place: &FileLine, what: String) {
        self.notes.push((place.clone(), what));
    }

    /// The realm of this name, letter case aside. None, and a note, if it is no name of a realm.
    pub(super) fn realm(&mut self, name: &str, place: &FileLine) -> Option<&mut ImportedRealm> {
        match RealmPattern::parse(name) {
            Ok(pattern) => {
                let realm = self.realms.entry(pattern.key());
                Some(realm.or_insert_with(|| ImportedRealm::new(pattern, place.clone())))
            }
            Err(error) => {
                let why = error.into_failure(None);
                let what = format!("realm {}: {}", text::line(name), why.message());
                self.note(place, what);
                None
            }
        }
    }

    /// Leaves files out that hold no certificates.
    pub(super) fn check_ca_files(&mut self) {
        for realm in self.realms.values_mut() {
            let Some((place, path)) = &mut realm.ca_file else {
                continue;
            };
            *path = std::path::absolute(&*path).unwrap_or_else(|_| path.clone());
            if let Err(error) = CaFile::load(path) {
                let why = error.into_failure(None).message().to_owned();
                realm.notes.push((place.clone(), why));
                realm.ca_file = None;
            }
        }
    }

    pub(super) fn has_proxies(&self) -> bool {
        self.realms.values().any(ImportedRealm::has_proxies)
    }

    /// What is to be known, in the order of the lines.
    pub(super) fn notes(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        for realm in self.realms.values() {
            if realm.has_proxies() {
                notes.extend(realm.notes.iter().cloned());
            } else {
                let what = "names no KDC proxy, and is left out";
                notes.push((
                    realm.place.clone(),
                    format!("realm {} {what}", realm.pattern),
                ));
            }
        }
        notes.sort();
        notes
    }
}

impl ImportedRealm {
    fn new(pattern: RealmPattern, place: FileLine) -> Self {
        Self {
            pattern,
            place,
            proxies: Vec::new(),
            primary_proxies: Vec::new(),
            kpasswd_proxies: Vec::new(),
            ca_file: None,
            notes: Vec::new(),
        }
    }

    fn has_proxies(&self) -> bool {
        !self.proxies.is_empty() || !self.primary_proxies.is_empty()
    }

    /// The keys that say more than is so without them.
    fn lists(&self) -> impl Iterator<Item = (&str, &Vec<ProxyUrl>)> {
        let (proxies, primary) = (&self.proxies, &self.primary_proxies);
        let others = proxies.iter().filter(|proxy| !primary.contains(proxy));
        let for_kpasswd: Vec<_> = primary.iter().chain(others).collect();
        let is_usual = self.kpasswd_proxies.iter().eq(for_kpasswd);
        let lists = [
            ("proxies", proxies, proxies.is_empty()),
            ("primary-proxies", primary, primary == proxies),
            ("kpasswd-proxies", &self.kpasswd_proxies, is_usual),
        ];
        let said = lists.into_iter().filter(|(_, list, _)| !list.is_empty());
        said.filter(|(_, _, is_so)| !is_so)
            .map(|(key, list, _)| (key, list))
    }
}

/// The configuration: realms in the order in which they come first.
impl fmt::Display for ImportedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let realms = self.realms.values().filter(|realm| realm.has_proxies());
        let mut realms: Vec<_> = realms.collect();
        realms.sort_by_key(|realm| &realm.place);
        realms.iter().try_for_each(|realm| realm.fmt(f))
    }
}

impl fmt::Display for ImportedRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.pattern.to_string();
        writeln!(f, "\n[realms.{}]", toml::string(&name))?;
        for (key, list) in self.lists() {
            writeln!(f, "{key} = [")?;
            for proxy in list {
                writeln!(f, "    {},", toml::string(&proxy.to_string()))?;
            }
            writeln!(f, "]")?;
        }
        if let Some((_, path)) = &self.ca_file {
            let path = toml::string(&path.to_string_lossy());
            writeln!(f, "# Besides the system's certificates.\nca-file = {path}")?;
        }
        Ok(())
    }
}
