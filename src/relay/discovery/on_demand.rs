//! Looks up where the requests of the configuration's realms go, when one of them has come.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::lookup::{RealmLookup, now};
use super::plan::RoutePlan;
use super::{RelayDirectory, RelayHandle};
use crate::relay::exchange::{Exchange, RealmResolver};
use crate::relay::upstream::kdc::LOCAL_KDC_TIMEOUT;
use crate::wire::Realm;

/// How long a request waits for proxies of which none is known: as long as for the name, connect and TLS of one.
const PROXIES: Duration = Duration::from_secs(3);

/// What is looked up for the realms of the configuration.
#[derive(Debug)]
pub(super) struct OnDemandResolver {
    pub(super) directory: Arc<Mutex<RelayDirectory>>,
    pub(super) plan: Arc<RoutePlan>,
}

impl RealmResolver for OnDemandResolver {
    fn resolve(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>> {
        let name = realm.as_str();
        let is_its = |lookup: &Arc<RealmLookup>| lookup.discovery.realm.eq_ignore_ascii_case(name);
        let mut realms = self.plan.realms.iter();
        let plan = realms.find(|plan| plan.lookups().any(is_its))?;
        let lookups: Vec<_> = plan.lookups().cloned().collect();
        let lists_some = plan.sources.len() > lookups.len();
        let relay = RelayHandle {
            exchange: Arc::clone(exchange),
            directory: Arc::clone(&self.directory),
        };
        // All at once, whichever is waited for.
        let mut is_awaited = false;
        for lookup in &lookups {
            is_awaited |= lookup.begin(&relay).is_some() && !lookup.is_enough();
        }
        is_awaited.then(|| wait(lookups, lists_some, relay).boxed())
    }

    fn network_changed(&self) {
        self.plan.lookups().for_each(|lookup| lookup.expire());
    }
}

/// `has_others`: there are upstreams that need no look-up.
async fn wait(lookups: Vec<Arc<RealmLookup>>, mut has_others: bool, relay: RelayHandle) {
    let began = now();
    for kdcs in lookups.iter().filter(|lookup| lookup.is_of_kdcs()) {
        kdcs.wait(&relay, began + LOCAL_KDC_TIMEOUT).await;
        has_others |= kdcs.has_found();
    }
    // Where there are KDCs to try, they may be what is needed.
    let patience = if has_others {
        LOCAL_KDC_TIMEOUT
    } else {
        PROXIES
    };
    for proxies in lookups.iter().filter(|lookup| !lookup.is_of_kdcs()) {
        proxies.wait(&relay, began + patience).await;
    }
}
