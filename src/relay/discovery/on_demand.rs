//! Looks up where the requests of the configuration's realms go, when one of them has come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::lookup::{RealmLookup, now};
use super::{RelayDirectory, RelayHandle};
use crate::relay::exchange::{Exchange, RealmResolver};
use crate::relay::upstream::kdc::MOMENT;
use crate::wire::Realm;

/// How long a request waits for proxies of which none is known: as long as for the name, connect and TLS of one.
const PROXIES: Duration = Duration::from_secs(3);

/// What is looked up for the realms of the configuration.
#[derive(Debug)]
pub(super) struct OnDemandResolver {
    pub(super) directory: Arc<Mutex<RelayDirectory>>,
    pub(super) lookups: Vec<Arc<RealmLookup>>,
}

impl RealmResolver for OnDemandResolver {
    fn resolve(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>> {
        let key = realm.key();
        let of_realm = self
            .lookups
            .iter()
            .filter(|lookup| lookup.realm.key() == key);
        let of_realm: Vec<_> = of_realm.cloned().collect();
        let relay = RelayHandle {
            exchange: Arc::clone(exchange),
            directory: Arc::clone(&self.directory),
        };
        // All at once, whichever is waited for.
        let mut is_awaited = false;
        for lookup in &of_realm {
            is_awaited |= lookup.begin(&relay) && !lookup.is_enough();
        }
        is_awaited.then(|| wait(of_realm, relay).boxed())
    }

    fn network_changed(&self) {
        self.lookups.iter().for_each(|lookup| lookup.expire());
    }
}

async fn wait(lookups: Vec<Arc<RealmLookup>>, relay: RelayHandle) {
    let began = now();
    let mut has_kdcs = lookups.iter().any(|lookup| lookup.lists_kdcs);
    for kdcs in lookups.iter().filter(|lookup| lookup.is_of_kdcs()) {
        kdcs.wait(&relay, began + MOMENT).await;
        has_kdcs |= kdcs.has_found();
    }
    // Where there are KDCs to try, they may be what is needed.
    let patience = if has_kdcs { MOMENT } else { PROXIES };
    for proxies in lookups.iter().filter(|lookup| !lookup.is_of_kdcs()) {
        proxies.wait(&relay, began + patience).await;
    }
}
