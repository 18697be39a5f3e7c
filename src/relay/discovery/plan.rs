//! What a command is configured to do with requests: its realms, where the upstreams of each are known from, and the routes
//! that come of it.

use std::sync::Arc;

use super::lookup::RealmLookup;
use crate::relay::answer::OnFailure;
use crate::relay::failure::Failure;
use crate::relay::routes::{RealmPattern, Route, Routes};
use crate::relay::upstream::dns::UpstreamTarget;
use crate::relay::upstream::kdc::{Permitted, Reach};
use crate::relay::upstream::pool::{PoolBuilder, UpstreamKey, UpstreamOptions};
use crate::wire::{ByService, Realm, Service};

/// What a command is configured to do with requests.
#[derive(Debug, Default)]
pub(crate) struct RoutePlan {
    pub(crate) realms: Vec<RealmPlan>,
    /// How a failure looks to clients that ask for a realm without a route.
    pub(crate) on_failure: OnFailure,
    /// A request begins the look-ups that are due, and waits for what it needs of them. Else no request causes one.
    pub(crate) on_demand: bool,
}

/// A realm, or a wildcard, and where its upstreams are known from.
#[derive(Debug)]
pub(crate) struct RealmPlan {
    pub(crate) pattern: RealmPattern,
    pub(crate) aliases: Vec<Realm>,
    /// In the order to try them.
    pub(crate) sources: Vec<UpstreamSource>,
    /// What is configured for it, with an empty list of upstreams for each service that is offered.
    pub(crate) route: Route,
}

/// Where some upstreams of a realm are known from, and how they are asked.
#[derive(Debug)]
pub(crate) struct UpstreamSource {
    pub(crate) names: UpstreamNames,
    pub(crate) options: UpstreamOptions,
}

/// Where upstreams are known from.
#[derive(Debug)]
pub(crate) enum UpstreamNames {
    /// The configuration, which says of each whether it takes writes.
    Listed(ByService<Vec<(UpstreamTarget, bool)>>),
    /// DNS.
    LookedUp(Arc<RealmLookup>),
}

impl RoutePlan {
    /// What is looked up.
    pub(super) fn lookups(&self) -> impl Iterator<Item = &Arc<RealmLookup>> {
        self.realms.iter().flat_map(RealmPlan::lookups)
    }

    /// The routes to all that is known at the moment.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(super) fn routes(&self, pool: &mut PoolBuilder<'_>) -> Result<Routes, Failure> {
        let mut routes = Routes::default();
        for realm in &self.realms {
            routes.add(&realm.pattern, &realm.aliases, realm.route(pool)?);
        }
        Ok(routes)
    }
}

impl RealmPlan {
    pub(super) fn lookups(&self) -> impl Iterator<Item = &Arc<RealmLookup>> {
        self.sources
            .iter()
            .filter_map(|source| match &source.names {
                UpstreamNames::Listed(_) => None,
                UpstreamNames::LookedUp(lookup) => Some(lookup),
            })
    }

    fn route(&self, pool: &mut PoolBuilder<'_>) -> Result<Route, Failure> {
        let mut route = self.route.clone();
        for service in [Service::Kdc, Service::Kpasswd] {
            let Some(upstreams) = route.upstreams.get_mut(service) else {
                continue;
            };
            for UpstreamSource { names, options } in &self.sources {
                for (target, is_primary) in names.of(service) {
                    let id = pool.id(UpstreamKey {
                        target,
                        permitted: names.permitted(),
                        options: options.clone(),
                    })?;
                    upstreams.push(id);
                    route.primary.extend(is_primary.then_some(id));
                    route.local_kdcs.extend(is_local(options).then_some(id));
                }
            }
        }
        Ok(route)
    }
}

/// These are KDCs of a network that this machine may or may not be on.
fn is_local(options: &UpstreamOptions) -> bool {
    matches!(options, UpstreamOptions::Kdc { reach, .. } if *reach == Reach::OnSomeNetworks)
}

impl UpstreamNames {
    fn of(&self, service: Service) -> Vec<(UpstreamTarget, bool)> {
        match self {
            Self::Listed(listed) => listed.get(service).clone(),
            Self::LookedUp(lookup) => {
                let Some(results) = lookup.results() else {
                    return Vec::new();
                };
                let targets = results.get(service).iter();
                let marked = targets.map(|it| (it.clone(), results.primary.contains(it)));
                marked.collect()
            }
        }
    }

    /// What a name in DNS stands for may change from one moment to the next: each address is judged when it is used.
    fn permitted(&self) -> Permitted {
        match self {
            Self::Listed(_) => Permitted::Any,
            Self::LookedUp(lookup) => lookup.discovery.permitted(),
        }
    }
}
