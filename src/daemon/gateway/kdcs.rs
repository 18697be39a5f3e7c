//! The KDCs that a gateway knows, and the routes to them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::answer::OnFailure;
use crate::config::gateway::{Discover, GatewayConfig, KdcAddr, KdcRealm, Kdcs};
use crate::exchange::Routing;
use crate::route::{RealmPattern, Route, Routes, UpstreamId};
use crate::upstream::Upstream;
use crate::upstream::dns::{Found, Target};
use crate::upstream::kdc::{Kdc, Permitted, Terms, Transport};
use crate::wire::{ByService, RealmKey};

/// What is configured, what DNS said of it last, and every KDC that is in use, so that one that several realms have in
/// common is one, and that new routes keep the connections to those that stay.
#[derive(Debug)]
pub(super) struct Directory {
    /// What [gateway] says holds after a restart.
    max_in_flight: usize,
    config: GatewayConfig,
    found: HashMap<RealmKey, Found>,
    known: HashMap<Key, Arc<Upstream>>,
}

/// What makes two KDCs one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    transport: Transport,
    max_in_flight: usize,
    permitted: Permitted,
}

impl Directory {
    pub(super) fn new(config: GatewayConfig) -> Self {
        Self {
            max_in_flight: config.serving.max_in_flight_per_kdc,
            config,
            found: HashMap::new(),
            known: HashMap::new(),
        }
    }

    /// What is configured.
    pub(super) fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// Takes another configuration; what DNS said still holds where the same would be asked of it.
    pub(super) fn configure(&mut self, config: GatewayConfig) {
        let before = std::mem::replace(&mut self.config, config);
        let ports = |config: &GatewayConfig, realm: &RealmKey| {
            let entry = config
                .realms
                .iter()
                .find(|entry| entry.realm.key() == *realm);
            match &entry?.kdcs {
                Kdcs::Discovered(discover) => Some(discover.ports.clone()),
                Kdcs::Listed(_) => None,
            }
        };
        self.found.retain(|realm, _| {
            let now = ports(&self.config, realm);
            now.is_some() && now == ports(&before, realm)
        });
    }

    /// Takes what DNS says of a realm; says whether that is other than before.
    pub(super) fn learn(&mut self, realm: RealmKey, found: Found) -> bool {
        let before = self.found.get(&realm);
        let news = before.is_none_or(|before| !before.has_same_targets(&found));
        if news {
            self.found.insert(realm, found);
        }
        news
    }

    /// The routes to all that is known.
    pub(super) fn routing(&mut self) -> Routing {
        let mut routes = Routes::default();
        let mut list = List {
            max_in_flight: self.max_in_flight,
            before: std::mem::take(&mut self.known),
            ids: HashMap::new(),
            upstreams: Vec::new(),
        };
        for entry in &self.config.realms {
            let pattern = RealmPattern::Exact(entry.realm.clone());
            let found = self.found.get(&entry.realm.key());
            routes.add(&pattern, &entry.aliases, list.route(entry, found));
        }
        let List { ids, upstreams, .. } = list;
        let known = |(key, id): (Key, UpstreamId)| Some((key, Arc::clone(upstreams.get(id.0)?)));
        self.known = ids.into_iter().filter_map(known).collect();
        Routing::new(routes, upstreams, OnFailure::default())
    }
}

/// The KDCs so far.
struct List {
    max_in_flight: usize,
    before: HashMap<Key, Arc<Upstream>>,
    ids: HashMap<Key, UpstreamId>,
    upstreams: Vec<Arc<Upstream>>,
}

impl List {
    fn route(&mut self, entry: &KdcRealm, found: Option<&Found>) -> Route {
        let (upstreams, primary) = match &entry.kdcs {
            Kdcs::Listed(listed) => self.listed(listed, entry),
            Kdcs::Discovered(discover) => (self.discovered(found, entry, discover), Vec::new()),
        };
        Route {
            upstreams,
            primary,
            target_domain: None,
            dclocator_hint: None,
            deadline: entry.deadline,
            on_failure: OnFailure::default(),
            silence_is_illness: false,
        }
    }

    /// Those that an administrator has named, and which of them take writes.
    fn listed(
        &mut self,
        listed: &ByService<Option<Vec<KdcAddr>>>,
        entry: &KdcRealm,
    ) -> (ByService<Option<Vec<UpstreamId>>>, Vec<UpstreamId>) {
        let mut primary = Vec::new();
        let mut id = |addr: &KdcAddr| {
            let id = self.id(addr.to_string(), entry.transport, Permitted::Any);
            primary.extend(addr.primary.then_some(id));
            id
        };
        let mut ids =
            |addrs: &Option<Vec<KdcAddr>>| Some(addrs.as_ref()?.iter().map(&mut id).collect());
        let upstreams = ByService {
            kdc: ids(&listed.kdc),
            kpasswd: ids(&listed.kpasswd),
        };
        (upstreams, primary)
    }

    /// Those that DNS names. What a name stands for may change from one moment to the next: each address is judged when it
    /// is used.
    fn discovered(
        &mut self,
        found: Option<&Found>,
        entry: &KdcRealm,
        discover: &Discover,
    ) -> ByService<Option<Vec<UpstreamId>>> {
        let permitted = Permitted::OtherHosts(discover.networks.clone());
        let id = |target: &Target| {
            let transport = match entry.transport {
                Transport::UdpFirst => Transport::UdpFirst,
                Transport::TcpFirst => target.transport,
            };
            self.id(target.name.clone(), transport, permitted.clone())
        };
        let (kdc, kpasswd) = found.map_or((&[][..], &[][..]), |found| (&found.kdc, &found.kpasswd));
        let ids: ByService<Vec<UpstreamId>> = {
            let mut id = id;
            ByService {
                kdc: kdc.iter().map(&mut id).collect(),
                kpasswd: kpasswd.iter().map(&mut id).collect(),
            }
        };
        ByService {
            kdc: entry.services.kdc.then_some(ids.kdc),
            kpasswd: entry.services.kpasswd.then_some(ids.kpasswd),
        }
    }

    fn id(&mut self, name: String, transport: Transport, permitted: Permitted) -> UpstreamId {
        let key = Key {
            name,
            transport,
            max_in_flight: self.max_in_flight,
            permitted,
        };
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = UpstreamId(self.upstreams.len());
        let known = self.before.remove(&key);
        self.upstreams.push(known.unwrap_or_else(|| key.kdc()));
        self.ids.insert(key, id);
        id
    }
}

impl Key {
    fn kdc(&self) -> Arc<Upstream> {
        let Self {
            name,
            transport,
            max_in_flight,
            permitted,
        } = self.clone();
        Arc::new(Upstream::Kdc(Box::new(Kdc::new(Terms {
            name,
            transport,
            max_in_flight,
            permitted,
        }))))
    }
}
