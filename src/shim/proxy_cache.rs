//! What DNS said last of KDC proxies, kept for the next start: that may be where no name server knows.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

use crate::config::read;
use crate::config::state_places;
use crate::relay::discovery::RelayHandle;
use crate::relay::upstream::dns::{Discovery, DnsResults, RETRY, UpstreamTarget};
use crate::relay::upstream::kkdcp::ProxyUrl;

const FILE: &str = "proxies.toml";
/// What fills more octets was not written here.
const MAX_FILE: u64 = 1024 * 1024;
/// As many as a look-up finds.
const MAX_PROXIES: usize = 16;

/// The file. What else stands in it may be a later version's.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ProxyCache {
    realms: BTreeMap<String, CachedRealm>,
}

/// URLs of KDC proxies.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct CachedRealm {
    kdc: Vec<String>,
    kpasswd: Vec<String>,
}

/// Writes down what DNS says of KDC proxies, each time that it is something else, away from those who wait. That this fails is
/// told once: a zone may change as often as it likes.
pub(super) async fn keep(relay: RelayHandle) {
    let mut had_failed = false;
    loop {
        let cache = ProxyCache::of(&relay.other_proxies().await);
        let Ok(written) = spawn_blocking(move || cache.write(&state_places())).await else {
            return;
        };
        match &written {
            Ok(place) => {
                tracing::debug!(place = %place.display(), "what was found in DNS is kept for the next start")
            }
            Err(why) if had_failed => {
                tracing::debug!("what was found in DNS can't be kept for the next start: {why}")
            }
            Err(why) => {
                tracing::warn!("what was found in DNS can't be kept for the next start: {why}")
            }
        }
        had_failed |= written.is_err();
    }
}

impl ProxyCache {
    /// Reads the file in the first of `places` that has one. One that can't be read is told and left alone.
    pub(super) fn read(places: &[PathBuf]) -> Self {
        for file in places.iter().map(|place| place.join(FILE)) {
            let why = match read::at_most(&file, MAX_FILE) {
                Err(error) if read::is_missing(&error) => continue,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
                Err(error) => error.to_string(),
                Ok(octets) => match toml::from_slice(&octets) {
                    Ok(cache) => return cache,
                    Err(error) => error.message().to_owned(),
                },
            };
            let file = file.display();
            tracing::warn!(%file, "what was found in DNS before can't be read and has to be found anew: {why}");
            break;
        }
        Self::default()
    }

    fn of(proxies: &[(String, DnsResults)]) -> Self {
        let urls = |targets: &[UpstreamTarget]| {
            let urls = targets.iter().filter_map(UpstreamTarget::proxy);
            urls.map(ToString::to_string).collect()
        };
        let realms = proxies.iter().map(|(realm, found)| {
            let (kdc, kpasswd) = (urls(&found.kdc), urls(&found.kpasswd));
            (realm.clone(), CachedRealm { kdc, kpasswd })
        });
        Self {
            realms: realms.collect(),
        }
    }

    /// What is known of what `discovery` looks up. The file is as good as anybody's word, and held to the same rules as DNS.
    pub(super) fn results(&self, discovery: &Discovery) -> Option<DnsResults> {
        let is_its = |name: &str| name.eq_ignore_ascii_case(&discovery.realm);
        let (_, cached) = self.realms.iter().find(|(name, _)| is_its(name))?;
        let results = DnsResults {
            kdc: allowed(&cached.kdc, discovery),
            kpasswd: allowed(&cached.kpasswd, discovery),
            refused: Vec::new(),
            good_for: RETRY,
        };
        (!results.is_empty()).then_some(results)
    }

    /// Writes the file into the first of `places` that takes it, and says which; or why none does.
    fn write(&self, places: &[PathBuf]) -> Result<PathBuf, String> {
        let mut failed = Vec::new();
        for place in places {
            match self.write_into(place) {
                Ok(()) => return Ok(place.clone()),
                Err(error) => failed.push(format!("{}: {error}", place.display())),
            }
        }
        Err(failed.join("; "))
    }

    /// Whole or not at all, and for nobody else to read.
    fn write_into(&self, place: &Path) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(place)?;
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let mut file = NamedTempFile::new_in(place)?;
        let title = "# What DNS said last of KDC proxies. loopkdc run reads it when it starts, and writes it anew.\n";
        write!(file, "{title}\n{text}")?;
        file.as_file().sync_all()?;
        file.persist(place.join(FILE))?;
        Ok(())
    }
}

fn allowed(urls: &[String], discovery: &Discovery) -> Vec<UpstreamTarget> {
    let urls = urls.iter().filter_map(|text| ProxyUrl::read(text).ok());
    let urls = urls.filter(|url| discovery.refuses(url).is_none());
    let mut proxies = Vec::new();
    for proxy in urls.map(UpstreamTarget::Proxy).take(MAX_PROXIES) {
        if !proxies.contains(&proxy) {
            proxies.push(proxy);
        }
    }
    proxies
}

#[cfg(test)]
mod tests;
