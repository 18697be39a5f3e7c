//! The routes of a gateway: to the KDCs of its realms, listed or found in DNS.

use crate::config::gateway::{GatewayConfig, KdcRealm};
use crate::config::{Discover, KdcAddr, Kdcs};
use crate::relay::answer::OnFailure;
use crate::relay::discovery::{DnsView, RealmLookup, RouteConfig};
use crate::relay::failure::Failure;
use crate::relay::routes::{RealmPattern, Route, Routes, UpstreamId};
use crate::relay::upstream::dns::{Discovery, DnsResults, DnsTarget};
use crate::relay::upstream::kdc::{Permitted, Reach, Terms, Transport};
use crate::relay::upstream::pool::{PoolBuilder, UpstreamTerms};
use crate::wire::{ByService, Service};

/// What the configuration says of realms.
#[derive(Debug)]
pub(super) struct GatewayRoutes {
    realms: Vec<KdcRealm>,
    /// Requests under way to one KDC at once.
    max_in_flight: usize,
}

impl GatewayRoutes {
    /// What [gateway] says holds after a restart: `max_in_flight` is that of the start.
    pub(super) fn new(config: &GatewayConfig, max_in_flight: usize) -> Self {
        Self {
            realms: config.realms.clone(),
            max_in_flight,
        }
    }
}

impl RouteConfig for GatewayRoutes {
    fn lookups(&self) -> Vec<RealmLookup> {
        let looked_up = self.realms.iter().filter_map(|entry| match &entry.kdcs {
            Kdcs::Listed(_) => None,
            Kdcs::Discovered(discover) => {
                let discovery = Discovery::Kdcs(discover.discovery.clone());
                Some(RealmLookup::new(
                    entry.realm.clone(),
                    discovery,
                    false,
                    None,
                ))
            }
        });
        looked_up.collect()
    }

    fn routes(&self, dns: &DnsView, upstreams: &mut PoolBuilder<'_>) -> Result<Routes, Failure> {
        let mut routes = Routes::default();
        for entry in &self.realms {
            let mut builder = GatewayRouteBuilder {
                entry,
                found: dns.kdcs.get(&entry.realm.key()),
                max_in_flight: self.max_in_flight,
                upstreams,
            };
            let pattern = RealmPattern::Exact(entry.realm.clone());
            routes.add(&pattern, &entry.aliases, builder.route()?);
        }
        Ok(routes)
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::default()
    }
}

/// The upstreams of each service that is offered.
type Upstreams = ByService<Option<Vec<UpstreamId>>>;

/// The route of one realm.
struct GatewayRouteBuilder<'a, 'b> {
    entry: &'a KdcRealm,
    found: Option<&'a DnsResults>,
    /// Requests under way to one KDC at once.
    max_in_flight: usize,
    upstreams: &'a mut PoolBuilder<'b>,
}

impl GatewayRouteBuilder<'_, '_> {
    fn route(&mut self) -> Result<Route, Failure> {
        let entry = self.entry;
        let (upstreams, primary) = match &entry.kdcs {
            Kdcs::Listed(listed) => self.listed(listed)?,
            Kdcs::Discovered(discover) => (self.discovered(discover)?, Vec::new()),
        };
        Ok(Route {
            upstreams,
            primary,
            direct: Vec::new(),
            target_domain: None,
            dclocator_hint: None,
            deadline: entry.deadline,
            on_failure: OnFailure::default(),
            silence_is_illness: false,
            races: false,
        })
    }

    /// Those that an administrator has named, and which of them take writes.
    fn listed(
        &mut self,
        listed: &ByService<Option<Vec<KdcAddr>>>,
    ) -> Result<(Upstreams, Vec<UpstreamId>), Failure> {
        let mut primary = Vec::new();
        let mut ids = |addrs: &Option<Vec<KdcAddr>>| {
            let addrs = addrs.iter().flatten();
            let ids = addrs.map(|addr| {
                let id = self.id(addr.to_string(), self.entry.transport, Permitted::Any)?;
                primary.extend(addr.primary.then_some(id));
                Ok(id)
            });
            ids.collect::<Result<_, Failure>>()
        };
        let (kdc, kpasswd) = (ids(&listed.kdc)?, ids(&listed.kpasswd)?);
        Ok((self.offered(kdc, kpasswd), primary))
    }

    /// Those that DNS names. What a name stands for may change from one moment to the next: each address is judged when it
    /// is used.
    fn discovered(&mut self, discover: &Discover) -> Result<Upstreams, Failure> {
        let found = self.found;
        let permitted = Permitted::OtherHosts(discover.networks.clone());
        let mut ids = |service| {
            let targets = found.map_or(&[][..], |found| found.get(service));
            let ids = targets
                .iter()
                .map(|target| self.target(target, permitted.clone()));
            ids.collect::<Result<_, Failure>>()
        };
        let (kdc, kpasswd) = (ids(Service::Kdc)?, ids(Service::Kpasswd)?);
        Ok(self.offered(kdc, kpasswd))
    }

    /// Nothing for a service that is not offered.
    fn offered(&self, kdc: Vec<UpstreamId>, kpasswd: Vec<UpstreamId>) -> Upstreams {
        let services = self.entry.services;
        ByService {
            kdc: services.kdc.then_some(kdc),
            kpasswd: services.kpasswd.then_some(kpasswd),
        }
    }

    fn target(&mut self, target: &DnsTarget, permitted: Permitted) -> Result<UpstreamId, Failure> {
        let transport = match (self.entry.transport, target) {
            (Transport::TcpFirst, DnsTarget::Kdc { transport, .. }) => *transport,
            (transport, _) => transport,
        };
        self.id(target.to_string(), transport, permitted)
    }

    fn id(
        &mut self,
        name: String,
        transport: Transport,
        permitted: Permitted,
    ) -> Result<UpstreamId, Failure> {
        self.upstreams.id(UpstreamTerms::Kdc(Terms {
            name,
            transport,
            max_in_flight: self.max_in_flight,
            permitted,
            reach: Reach::Always,
        }))
    }
}
