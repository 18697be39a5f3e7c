//! What DNS said last of KDC proxies, kept for the next start: that may be where no name server knows.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::config::read::{self, Unreadable};
use crate::config::state_places;
use crate::relay::discovery::RelayHandle;
use crate::relay::upstream::dns::{Allowed, DnsResults, DnsTarget, RETRY};
use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::wire::{Realm, RealmKey};

const FILE: &str = "proxies.toml";
/// What fills more octets was not written here.
const MAX_FILE: u64 = 1024 * 1024;
/// As many as a look-up finds.
const MAX_PROXIES: usize = 16;

/// The file, wherever it can be.
#[derive(Debug)]
pub(super) struct ProxyCache {
    /// Folders, of which the first that will do is used.
    places: Vec<PathBuf>,
    /// Whether it was told that nothing can be kept.
    is_told: bool,
}

impl Default for ProxyCache {
    fn default() -> Self {
        Self::at(state_places())
    }
}

/// The file's shape. What else stands in it may be a later version's.
#[derive(Default, Deserialize)]
struct CacheFile {
    #[serde(default)]
    realms: HashMap<String, CachedRealm>,
}

#[derive(Default, Deserialize)]
struct CachedRealm {
    #[serde(default)]
    kdc: Vec<String>,
    #[serde(default)]
    kpasswd: Vec<String>,
}

/// Writes down what DNS says of KDC proxies, each time that it is something else, away from those who wait.
pub(super) async fn keep(relay: RelayHandle) {
    let mut cache = ProxyCache::default();
    loop {
        relay.other_proxies().await;
        let proxies = relay.proxies();
        let written = spawn_blocking(move || {
            cache.write(&proxies);
            cache
        });
        match written.await {
            Ok(back) => cache = back,
            Err(_) => return,
        }
    }
}

impl ProxyCache {
    fn at(places: Vec<PathBuf>) -> Self {
        let is_told = false;
        Self { places, is_told }
    }

    /// What is known of these realms, as far as it is allowed. The file is as good as anybody's word: what is read is held to
    /// the rules of what is found, and a file that can't be read is told and left alone.
    pub(super) fn recall(&self, realms: &[(Realm, Allowed)]) -> HashMap<RealmKey, DnsResults> {
        let places = if realms.is_empty() {
            &[][..]
        } else {
            &self.places
        };
        for place in places {
            let file = place.join(FILE);
            match read::at_most(&file, MAX_FILE) {
                Ok(octets) => return recalled(&file, &octets, realms),
                Err(Unreadable::Missing | Unreadable::Denied { .. }) => {}
                Err(Unreadable::Other(error)) => {
                    tell_broken(&file, &error.to_string());
                    break;
                }
            }
        }
        HashMap::new()
    }

    /// Writes `proxies` down. A failure is told once: the next look-up finds them anew.
    fn write(&mut self, proxies: &[(Realm, DnsResults)]) {
        let text = text(proxies);
        let mut failed = Vec::new();
        for place in &self.places {
            match write(place, &text) {
                Ok(()) => {
                    tracing::debug!(place = %place.display(), "what was found in DNS is kept for the next start");
                    return;
                }
                Err(error) => failed.push(format!("{}: {error}", place.display())),
            }
        }
        if !std::mem::replace(&mut self.is_told, true) {
            let failed = failed.join("; ");
            tracing::warn!("what was found in DNS can't be kept for the next start: {failed}");
        }
    }
}

fn tell_broken(file: &Path, why: &str) {
    let file = file.display();
    tracing::warn!(%file, "what was found in DNS before can't be read and has to be found anew: {why}");
}

fn recalled(
    file: &Path,
    octets: &[u8],
    realms: &[(Realm, Allowed)],
) -> HashMap<RealmKey, DnsResults> {
    let written: CacheFile = match toml::from_slice(octets) {
        Ok(written) => written,
        Err(error) => {
            tell_broken(file, error.message());
            return HashMap::new();
        }
    };
    let by_key = written.realms.iter().filter_map(|(name, of_realm)| {
        let realm = Realm::parse(name.as_bytes()).ok()?;
        Some((realm.key(), of_realm))
    });
    let by_key: HashMap<_, _> = by_key.collect();
    let known = realms.iter().filter_map(|(realm, allowed)| {
        let of_realm = by_key.get(&realm.key())?;
        let results = DnsResults {
            kdc: proxies(&of_realm.kdc, allowed),
            kpasswd: proxies(&of_realm.kpasswd, allowed),
            refused: Vec::new(),
            good_for: RETRY,
        };
        (!results.is_empty()).then(|| (realm.key(), results))
    });
    known.collect()
}

fn proxies(written: &[String], allowed: &Allowed) -> Vec<DnsTarget> {
    let read = written
        .iter()
        .filter_map(|text| ProxyUrl::read(text).ok())
        .filter(|proxy| allowed.refuses(proxy).is_none())
        .map(DnsTarget::Proxy);
    let mut proxies = Vec::new();
    for proxy in read.take(MAX_PROXIES) {
        if !proxies.contains(&proxy) {
            proxies.push(proxy);
        }
    }
    proxies
}

fn text(proxies: &[(Realm, DnsResults)]) -> String {
    let mut text = String::from(
        "# What DNS said last of KDC proxies. loopkdc run reads it when it starts, and writes it anew.\n",
    );
    for (realm, found) in proxies {
        text.push_str(&format!(
            "\n[realms.{}]\nkdc = [{}]\nkpasswd = [{}]\n",
            quoted(realm.as_str()),
            list(&found.kdc),
            list(&found.kpasswd)
        ));
    }
    text
}

fn list(proxies: &[DnsTarget]) -> String {
    let urls = proxies.iter().filter_map(DnsTarget::proxy);
    let quoted = urls.map(|url| quoted(url.as_url().as_str()));
    quoted.collect::<Vec<_>>().join(", ")
}

/// Neither realms nor URLs hold control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whole or not at all, and for nobody else to read.
fn write(place: &Path, text: &str) -> io::Result<()> {
    make(place)?;
    let own = place.join(format!("{FILE}.{}", std::process::id()));
    // What a process of that id has left.
    drop(fs::remove_file(&own));
    let written = create(&own).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&own, place.join(FILE))
    });
    if written.is_err() {
        drop(fs::remove_file(&own));
    }
    written
}

fn make(place: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(place)
}

fn create(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

#[cfg(test)]
mod tests;
