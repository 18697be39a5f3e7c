//! Looks up where the requests of the configuration's realms go, when one of them has come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::directory::Directory;
use super::search::{Search, now};
use crate::relay::discovery::Known;
use crate::relay::exchange::{self, Exchange};
use crate::relay::upstream::kdc::MOMENT;
use crate::wire::{Realm, RealmKey};

/// How long a request waits for proxies of which none is known: as long as for the name, connect and TLS of one.
const PROXIES: Duration = Duration::from_secs(3);

/// What is looked up for one realm.
#[derive(Clone, Debug, Default)]
pub(super) struct Searches {
    pub(super) kdcs: Option<Arc<Search>>,
    pub(super) proxies: Option<Arc<Search>>,
    /// Whether its KDCs are listed.
    pub(super) lists_kdcs: bool,
}

/// What is looked up for realms, by their names in the configuration.
#[derive(Debug)]
pub(super) struct Finder {
    pub(super) directory: Arc<Mutex<Directory>>,
    pub(super) searches: HashMap<RealmKey, Searches>,
}

impl exchange::Finder for Finder {
    fn asked(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>> {
        let searches = self.searches.get(&realm.key())?;
        let known = Known::of(&self.directory, exchange);
        // Both at once, whoever is waited for.
        let awaited = |search: &Option<Arc<Search>>| {
            let search = search.as_ref()?;
            (search.begin(&known) && !search.is_enough()).then(|| Arc::clone(search))
        };
        let (kdcs, proxies) = (awaited(&searches.kdcs), awaited(&searches.proxies));
        if kdcs.is_none() && proxies.is_none() {
            return None;
        }
        Some(searches.clone().wait(known, kdcs, proxies).boxed())
    }

    fn expire(&self) {
        for searches in self.searches.values() {
            let both = [&searches.kdcs, &searches.proxies];
            both.into_iter()
                .flatten()
                .for_each(|search| search.expire());
        }
    }
}

impl Searches {
    async fn wait(
        self,
        known: Known<Directory>,
        kdcs: Option<Arc<Search>>,
        proxies: Option<Arc<Search>>,
    ) {
        let began = now();
        if let Some(kdcs) = kdcs {
            kdcs.wait(&known, began + MOMENT).await;
        }
        let found_kdcs = self.kdcs.is_some_and(|search| search.has_found());
        // Where there are KDCs to try, they may be what is needed.
        let patience = match self.lists_kdcs || found_kdcs {
            true => MOMENT,
            false => PROXIES,
        };
        if let Some(proxies) = proxies {
            proxies.wait(&known, began + patience).await;
        }
    }
}
