//! What was found, in the words of our configuration.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use crate::config::{PatternKey, ProxyUrl};
use crate::operate::krb5_conf::profile::{FileLine, Relation};
use crate::relay::routes::RealmPattern;

/// What a file says that `loopkdc run` can do, and what it can't.
#[derive(Debug, Default)]
pub(super) struct ImportedConfig {
    /// What was read, and what of its meaning differs here: comments of the output.
    pub(super) remarks: Vec<String>,
    pub(super) realms: Vec<ImportedRealm>,
    /// Where each of them is.
    known: HashMap<PatternKey, usize>,
    /// What was left out or means something else here, and why.
    notes: Vec<(FileLine, String)>,
}

/// `[realms."…"]`.
#[derive(Debug)]
pub(super) struct ImportedRealm {
    pub(super) pattern: RealmPattern,
    /// Where it stood first.
    pub(super) place: FileLine,
    /// No URL twice.
    pub(super) proxies: Vec<ProxyUrl>,
    pub(super) ca_file: Option<String>,
    /// Comments of the output.
    pub(super) remarks: Vec<String>,
}

impl ImportedRealm {
    pub(super) fn new(pattern: RealmPattern, place: FileLine) -> Self {
        Self {
            pattern,
            place,
            proxies: Vec::new(),
            ca_file: None,
            remarks: Vec::new(),
        }
    }

    /// Adds a way out behind those before it, unless it is one of them.
    pub(super) fn add(&mut self, proxy: ProxyUrl) {
        if !self.proxies.contains(&proxy) {
            self.proxies.push(proxy);
        }
    }
}

impl ImportedConfig {
    pub(super) fn new(remarks: &[&str]) -> Self {
        Self {
            remarks: remarks.iter().map(|remark| (*remark).to_owned()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, place: &FileLine, why: impl Into<String>) {
        self.notes.push((place.clone(), why.into()));
    }

    /// A note on `name = value`.
    pub(super) fn tell(&mut self, relation: &Relation, why: &str) {
        let (name, value) = (relation.name.escape_debug(), relation.value.escape_debug());
        self.note(&relation.place, format!("{name} = {value}: {why}"));
    }

    /// Adds a realm that has a way out; one that is there already, letter case aside, gets what is new.
    pub(super) fn add(&mut self, realm: ImportedRealm) {
        if realm.proxies.is_empty() {
            return;
        }
        let index = *self
            .known
            .entry(realm.pattern.key())
            .or_insert(self.realms.len());
        let Some(known) = self.realms.get_mut(index) else {
            return self.realms.push(realm);
        };
        let (name, before) = (known.pattern.to_string(), known.place.clone());
        for proxy in realm.proxies {
            known.add(proxy);
        }
        known.ca_file = known.ca_file.take().or(realm.ca_file);
        known.remarks.extend(realm.remarks);
        self.note(
            &realm.place,
            format!("realm {}: is {name} of {before} here, as letter case makes no difference: they share their proxies", realm.pattern),
        );
    }

    /// The notes in the order of their lines, the first file's first.
    pub(super) fn notes(&mut self) -> Vec<String> {
        self.notes.sort_by(|(one, _), (other, _)| one.cmp(other));
        let shown = |(place, why): &(FileLine, String)| format!("{place}: {why}");
        self.notes.iter().map(shown).collect()
    }
}

/// The configuration.
impl fmt::Display for ImportedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for remark in &self.remarks {
            writeln!(f, "# {remark}")?;
        }
        self.realms.iter().try_for_each(|realm| realm.fmt(f))
    }
}

impl fmt::Display for ImportedRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[realms.{}]", quoted(&self.pattern.to_string()))?;
        for remark in &self.remarks {
            writeln!(f, "# {remark}")?;
        }
        let proxies: Vec<_> = self
            .proxies
            .iter()
            .map(|proxy| quoted(&proxy.to_string()))
            .collect();
        match proxies.as_slice() {
            [proxy] => writeln!(f, "proxies = [{proxy}]")?,
            proxies => {
                writeln!(f, "proxies = [")?;
                proxies
                    .iter()
                    .try_for_each(|proxy| writeln!(f, "    {proxy},"))?;
                writeln!(f, "]")?;
            }
        }
        match &self.ca_file {
            Some(file) => writeln!(f, "ca-file = {}", quoted(file)),
            None => Ok(()),
        }
    }
}

/// The URL of a proxy, or why it is none.
pub(super) fn url(text: &str) -> Result<ProxyUrl, String> {
    // What stands for octets that are not UTF-8.
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err("is not UTF-8".to_owned());
    }
    // Which browsers, and those who read URLs like them, take for a slash.
    if text.contains('\\') {
        return Err("has a \\ in it".to_owned());
    }
    ProxyUrl::parse(text).map_err(|broken| broken.into_failure(None).message().to_owned())
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                // Infallible: it is a String.
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
