//! The KDCs that a gateway knows, and the routes to them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::answer::OnFailure;
use crate::config::gateway::{GatewayConfig, KdcAddr, KdcRealm, Kdcs};
use crate::exchange::Routing;
use crate::route::{RealmPattern, Route, Routes, UpstreamId};
use crate::upstream::Upstream;
use crate::upstream::kdc::{Kdc, Transport};
use crate::wire::ByService;

/// Every KDC that is in use, so that one that several realms have in common is one, and that a new configuration keeps
/// the connections to those that stay.
#[derive(Debug, Default)]
pub(super) struct KdcRegistry {
    known: HashMap<Key, Arc<Upstream>>,
}

/// What makes two KDCs one.
type Key = (String, Transport);

impl KdcRegistry {
    /// The routes that `config` asks for.
    pub(super) fn routing(&mut self, config: &GatewayConfig) -> Routing {
        let mut routes = Routes::default();
        let mut list = List {
            before: std::mem::take(&mut self.known),
            ids: HashMap::new(),
            upstreams: Vec::new(),
        };
        for entry in &config.realms {
            let pattern = RealmPattern::Exact(entry.realm.clone());
            routes.add(&pattern, &entry.aliases, list.route(entry));
        }
        let List { ids, upstreams, .. } = list;
        let known = |(key, id): (Key, UpstreamId)| Some((key, Arc::clone(upstreams.get(id.0)?)));
        self.known = ids.into_iter().filter_map(known).collect();
        Routing::new(routes, upstreams, OnFailure::default())
    }
}

/// The KDCs so far.
struct List {
    before: HashMap<Key, Arc<Upstream>>,
    ids: HashMap<Key, UpstreamId>,
    upstreams: Vec<Arc<Upstream>>,
}

impl List {
    fn route(&mut self, entry: &KdcRealm) -> Route {
        let Kdcs::Listed(listed) = &entry.kdcs else {
            todo!()
        };
        let mut primary = Vec::new();
        let mut ids = |addrs: &[KdcAddr]| -> Vec<UpstreamId> {
            let mut ids = Vec::new();
            for addr in addrs {
                let id = self.id((addr.to_string(), entry.transport));
                primary.extend(addr.primary.then_some(id));
                ids.push(id);
            }
            ids
        };
        Route {
            upstreams: ByService {
                kdc: ids(&listed.kdc),
                kpasswd: ids(&listed.kpasswd),
            },
            primary,
            target_domain: None,
            dclocator_hint: None,
            deadline: entry.deadline,
            on_failure: OnFailure::default(),
        }
    }

    fn id(&mut self, key: Key) -> UpstreamId {
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = UpstreamId(self.upstreams.len());
        let known = self.before.remove(&key);
        self.upstreams.push(known.unwrap_or_else(|| {
            let (name, transport) = key.clone();
            Arc::new(Upstream::Kdc(Kdc::new(name, transport)))
        }));
        self.ids.insert(key, id);
        id
    }
}
