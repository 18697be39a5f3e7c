//! What DNS said last of KDC proxies that have replied, kept for the next start: that may be where no name server knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::state_file::StateFile;
use crate::config::state_places;
use crate::relay::discovery::RelayHandle;
use crate::relay::upstream::dns::ProxyUrl;
use crate::relay::upstream::dns::{Discovery, DnsResults, RETRY, UpstreamTarget};

const FILE: StateFile = StateFile {
    name: "proxies.toml",
    what: "what was found in DNS",
    title: "What DNS said last of KDC proxies. loopkdc run reads it when it starts, and writes it anew.",
    most: 1 << 20,
};
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
    primary: Vec<String>,
}

/// Writes down what DNS said of KDC proxies that have replied, each time that it is something else, away from those who wait. That
/// this fails is told once: a zone may change as often as it likes.
pub(super) async fn keep(relay: RelayHandle) {
    let mut had_failed = false;
    loop {
        let cache = ProxyCache::of(&relay.proven_proxies().await);
        let Ok(written) = spawn_blocking(move || FILE.write(&state_places(), &cache)).await else {
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
    /// What is kept in the first of `places` that has it.
    pub(super) fn read(places: &[PathBuf]) -> Self {
        FILE.read(places)
            .map(|(cache, _)| cache)
            .unwrap_or_default()
    }

    fn of(proxies: &[(String, DnsResults)]) -> Self {
        let urls = |targets: &[UpstreamTarget]| {
            let urls = targets.iter().filter_map(UpstreamTarget::proxy);
            urls.map(ToString::to_string).collect()
        };
        let realms = proxies.iter().map(|(realm, found)| {
            let cached = CachedRealm {
                kdc: urls(&found.kdc),
                kpasswd: urls(&found.kpasswd),
                primary: urls(&found.primary),
            };
            (realm.clone(), cached)
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
            primary: allowed(&cached.primary, discovery),
            refused: Vec::new(),
            good_for: RETRY,
        };
        (!results.is_empty()).then_some(results)
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
