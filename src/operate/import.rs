//! `loopkdc import`: what other clients' files say of KDC proxies becomes our configuration.
//!
//! `decode` makes a text of a file's octets, and `scan` reads it: both are pure, and files are opened here. What a file says is
//! shown by the rules of `relay::text` alone, each text in one line, so that no file writes a line that looks like ours.

mod decode;
mod mobileconfig;
mod names;
mod policy;
mod scan;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::{CaFile, ProxyUrl, is_signed_data, read};
use crate::operate::krb5_conf::profile::{FileLine, PROXY_COST};
use crate::operate::krb5_conf::{INSTALL_ONLY, MAX_FILE, Machine};
use crate::operate::terminal;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};
use crate::relay::routes::RealmPattern;
use crate::relay::text::urls::without_passwords;
use crate::relay::text::{self, toml};
use decode::decoded;
use scan::scan;

/// How Apple's property list begins in its binary form.
const BINARY_PLIST: &[u8] = b"bplist0";
/// What is shown of a text of the file, in characters: a file may be one line.
const MAX_SHOWN: usize = 200;

/// Prints the configuration that the file amounts to on stdout, and on stderr what of it was left out, and why.
/// `realm` is that of proxies that stand without one.
///
/// # Errors
/// A file that can't be read, or says nothing of KDC proxies.
pub fn import(file: &Path, realm: Option<&str>) -> Result<(), Failure> {
    let octets = read::at_most(file, MAX_FILE).map_err(|error| {
        let failure = read::describe(&error, "the file", file).into_failure(None);
        failure
            .hint("name the krb5.conf of another client")
            .hint(Hint::typed("loopkdc import /etc/krb5.conf"))
    })?;
    let (warnings, configuration) = imported(file, &octets, realm);
    warnings.iter().for_each(terminal::print_warning);
    terminal::print(&configuration?);
    Ok(())
}

/// What is to be known of a file that holds `octets`, and the configuration that it amounts to.
pub fn imported(
    file: &Path,
    octets: &[u8],
    realm: Option<&str>,
) -> (Vec<Finding>, Result<String, Failure>) {
    if let Some(failure) = no_text(&file.to_string_lossy(), octets) {
        return (Vec::new(), Err(failure));
    }
    let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut found = scan(
        &path.to_string_lossy(),
        &decoded(octets),
        realm,
        &mut Machine,
    );
    found.check_ca_files();
    let notes = found.notes().into_iter();
    let warning = |(place, what): Note| Finding::warning(what).in_file(place.position());
    let mut warnings: Vec<_> = notes.map(warning).collect();
    if !found.has_proxies() {
        return (warnings, Err(nothing(file, &found)));
    }
    if let Some(place) = &found.native {
        warnings.push(left_behind().in_file(place.position()));
    }
    let name = file.to_string_lossy();
    let (name, version) = (text::line(&name), env!("CARGO_PKG_VERSION"));
    let head = format!("# Made from {name:?} by \"loopkdc import\", version {version}.\n");
    (warnings, Ok(format!("{head}{found}")))
}

/// What a profile is that is none yet, and the commands that make a text of it. What is signed may be in pieces.
fn no_text(file: &str, octets: &[u8]) -> Option<Failure> {
    let text = format!("{file}.xml");
    let is = |form| Failure::new(Exit::Config, format!("{} is {form}", text::line(file)));
    let to_xml = ["plistutil", "-i", file, "-o", &text];
    let on_a_mac = ["plutil", "-convert", "xml1", "-o", &text, file];
    let content = "openssl smime -verify -inform DER -noverify";
    let content = content.split(' ').chain(["-in", file, "-out", &text]);
    let failure = if octets.starts_with(BINARY_PLIST) {
        is("in Apple's binary form")
            .command("make a text of it", to_xml)
            .command("or on a Mac", on_a_mac)
    } else if is_signed_data(octets) {
        is("signed").command("make a text of it", content)
    } else {
        return None;
    };
    Some(failure.command("and then", ["loopkdc", "import", &text]))
}

/// The lines that were taken would stand beside ours.
fn left_behind() -> Finding {
    let what =
        format!("once loopkdc serves these realms, this line and its like should go: {PROXY_COST}");
    Finding::warning(what).typed("have all such lines made comments", INSTALL_ONLY)
}

fn nothing(file: &Path, found: &ImportedConfig) -> Failure {
    let file = file.to_string_lossy();
    let what = format!("{} names no KDC proxy that can be taken", text::line(&file));
    let failure = Failure::new(Exit::Config, what);
    if found.lacks_realm {
        let command = ["loopkdc", "import", "--realm", "EXAMPLE.COM", &file];
        return failure.command("say which realm the proxy is for", command);
    }
    failure
        .hint("in a krb5.conf, import takes \"kdc = https://…\" of [realms]")
        .hint("of Windows, it takes any text with a realm and <https proxy.example.com:443:KdcProxy />: an export (.reg, registry.pol, XML), or what a tool shows")
        .hint("to write a configuration by hand, two lines do: config.example.toml shows every key")
}

/// As much of a text of the file as is shown: no password, behind a scheme or, as Windows has it, without one.
fn shown(text: &str) -> String {
    let text = without_passwords(text.trim());
    let words = text.split_inclusive([' ', '\t', ',']).map(|word| {
        let (user, host) = word.split_at(word.rfind('@').unwrap_or_default());
        if user.contains("://") {
            return word.to_owned();
        }
        "*".repeat(user.chars().count()) + host
    });
    text::short(&words.collect::<String>(), MAX_SHOWN)
}

/// Adds a proxy behind those before it, unless it is one of them.
fn add(list: &mut Vec<ProxyUrl>, proxy: ProxyUrl) {
    if !list.contains(&proxy) {
        list.push(proxy);
    }
}

/// What a file says that `loopkdc run` can do, and what it can't.
#[derive(Debug, Default)]
struct ImportedConfig {
    realms: HashMap<String, ImportedRealm>,
    /// Where a krb5.conf names the first proxy that was taken.
    native: Option<FileLine>,
    /// The realm of proxies that stand without one, if it was given.
    given: Option<String>,
    /// Some proxies do, and it was not.
    lacks_realm: bool,
    /// Windows asks no KDC itself there.
    is_direct_ruled_out: bool,
    /// What was left out outside of any realm, and why.
    notes: Vec<Note>,
}

/// `[realms."…"]`.
#[derive(Debug)]
struct ImportedRealm {
    pattern: RealmPattern,
    /// Where it stands first, and behind how many others: a file may be one line.
    place: (FileLine, usize),
    /// No URL twice.
    proxies: Vec<ProxyUrl>,
    /// Likewise.
    primary_proxies: Vec<ProxyUrl>,
    /// Likewise.
    kpasswd_proxies: Vec<ProxyUrl>,
    /// With where it was named.
    ca_file: Option<(FileLine, PathBuf)>,
    /// What was meant for a proxy and is none that can be taken.
    refused: Vec<Note>,
    /// What else was left out, or means something else here.
    notes: Vec<Note>,
}

/// Where something is, and what is to be known of it.
type Note = (FileLine, String);

impl ImportedConfig {
    fn note(&mut self, place: &FileLine, what: String) {
        self.notes.push((place.clone(), what));
    }

    /// The realm of this name, letter case aside. None, and a note, if it is no name of a realm.
    fn realm(&mut self, name: &str, place: &FileLine) -> Option<&mut ImportedRealm> {
        match RealmPattern::parse(name) {
            Ok(pattern) => {
                let place = (place.clone(), self.realms.len());
                let realm = self.realms.entry(pattern.key());
                Some(realm.or_insert_with(|| ImportedRealm::new(pattern, place)))
            }
            Err(error) => {
                let why = error.into_failure(None);
                let what = format!("realm {}: {}", shown(name), why.message());
                self.note(place, what);
                None
            }
        }
    }

    /// The realm of this name, or that which was given. None, and a note on `what`, if there is neither.
    fn realm_or_given(
        &mut self,
        name: Option<&str>,
        what: &str,
        place: &FileLine,
    ) -> Option<&mut ImportedRealm> {
        if let Some(name) = name.map(str::to_owned).or_else(|| self.given.clone()) {
            return self.realm(&name, place);
        }
        self.lacks_realm = true;
        self.note(
            place,
            format!("{what}: no realm stands with it, and no --realm says one"),
        );
        None
    }

    /// Leaves files out that hold no certificates.
    fn check_ca_files(&mut self) {
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

    fn has_proxies(&self) -> bool {
        self.realms.values().any(ImportedRealm::has_proxies)
    }

    /// What is to be known, in the order of the lines, each note in one: they quote the file.
    fn notes(&self) -> Vec<Note> {
        let mut notes = self.notes.clone();
        for realm in self.realms.values() {
            notes.extend(realm.refused.iter().cloned());
            if realm.has_proxies() {
                notes.extend(realm.notes.iter().cloned());
            } else {
                let what = "names no KDC proxy, and is left out";
                let what = format!("realm {} {what}", realm.pattern);
                notes.push((realm.place.0.clone(), what));
            }
        }
        notes.sort();
        let line = |(place, what): Note| (place, text::line(&what).into_owned());
        notes.into_iter().map(line).collect()
    }
}

impl ImportedRealm {
    fn new(pattern: RealmPattern, place: (FileLine, usize)) -> Self {
        Self {
            pattern,
            place,
            proxies: Vec::new(),
            primary_proxies: Vec::new(),
            kpasswd_proxies: Vec::new(),
            ca_file: None,
            refused: Vec::new(),
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
        if self.is_direct_ruled_out {
            let reason = "With ForceProxy, Windows asks no KDC itself.";
            writeln!(f, "\n[defaults]\n# {reason}\ndirect = \"never\"")?;
        }
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
