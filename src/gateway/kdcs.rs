//! The KDCs that a gateway knows, and the routes to them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use crate::config::gateway::{GatewayConfig, KdcRealm};
use crate::config::{Discover, KdcAddr, Kdcs};
use crate::relay::answer::OnFailure;
use crate::relay::discovery::{self, Said};
use crate::relay::exchange::Routing;
use crate::relay::routes::{RealmPattern, Route, Routes, UpstreamId};
use crate::relay::upstream::Upstream;
use crate::relay::upstream::dns::{Found, Target};
use crate::relay::upstream::kdc::{Kdc, Permitted, Reach, Terms, Transport};
use crate::relay::upstreams::{Gathering, InUse};
use crate::wire::{ByService, RealmKey};

/// What is configured, what DNS said of it last, and every KDC that is in use, so that one that several realms have in
/// common is one, and that new routes keep the connections to those that stay.
#[derive(Debug)]
pub(super) struct Directory {
    /// What [gateway] says holds after a restart.
    max_in_flight: usize,
    config: GatewayConfig,
    found: Said<Target>,
    in_use: InUse<Terms>,
}

impl Directory {
    pub(super) fn new(config: GatewayConfig) -> Self {
        Self {
            max_in_flight: config.serving.max_in_flight_per_kdc,
            config,
            found: Said::default(),
            in_use: InUse::default(),
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
        self.found.retain(|realm| {
            let now = ports(&self.config, realm);
            now.is_some() && now == ports(&before, realm)
        });
    }

    /// Takes what DNS says of a realm; says whether that is other than before.
    pub(super) fn learn(&mut self, realm: RealmKey, found: Found) -> bool {
        self.found.learn(realm, found)
    }
}

impl discovery::Directory for Directory {
    type Error = Infallible;

    fn routing(&mut self, _: &Arc<Mutex<Self>>) -> Result<Routing, Infallible> {
        let Self { config, found, .. } = self;
        let max_in_flight = self.max_in_flight;
        let (routes, upstreams) = self.in_use.renew(|kdcs| {
            let mut routes = Routes::default();
            let mut list = List {
                max_in_flight,
                kdcs,
            };
            for entry in &config.realms {
                let pattern = RealmPattern::Exact(entry.realm.clone());
                let found = found.of(&entry.realm.key());
                routes.add(&pattern, &entry.aliases, list.route(entry, found));
            }
            Ok::<_, Infallible>(routes)
        })?;
        Ok(Routing::new(routes, upstreams, OnFailure::default()))
    }
}

/// The KDCs so far.
struct List<'a, 'b> {
    max_in_flight: usize,
    kdcs: &'a mut Gathering<'b, Terms>,
}

impl List<'_, '_> {
    fn route(&mut self, entry: &KdcRealm, found: Option<&Found>) -> Route {
        let (upstreams, primary) = match &entry.kdcs {
            Kdcs::Listed(listed) => self.listed(listed, entry),
            Kdcs::Discovered(discover) => (self.discovered(found, entry, discover), Vec::new()),
        };
        Route {
            upstreams,
            primary,
            direct: Vec::new(),
            target_domain: None,
            dclocator_hint: None,
            deadline: entry.deadline,
            on_failure: OnFailure::default(),
            silence_is_illness: false,
            races: false,
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
        let mut id = |target: &Target| {
            let transport = match entry.transport {
                Transport::UdpFirst => Transport::UdpFirst,
                Transport::TcpFirst => target.transport,
            };
            self.id(target.name.clone(), transport, permitted.clone())
        };
        let (kdc, kpasswd) = found.map_or((&[][..], &[][..]), |found| (&found.kdc, &found.kpasswd));
        let mut ids = |targets: &[Target]| targets.iter().map(&mut id).collect();
        let (kdc, kpasswd) = (ids(kdc), ids(kpasswd));
        ByService {
            kdc: entry.services.kdc.then_some(kdc),
            kpasswd: entry.services.kpasswd.then_some(kpasswd),
        }
    }

    fn id(&mut self, name: String, transport: Transport, permitted: Permitted) -> UpstreamId {
        let terms = Terms {
            name,
            transport,
            max_in_flight: self.max_in_flight,
            permitted,
            reach: Reach::Always,
        };
        let make = |terms: &Terms| Ok(Upstream::Kdc(Box::new(Kdc::new(terms.clone()))));
        let Ok::<_, Infallible>(id) = self.kdcs.id(terms, make);
        id
    }
}
