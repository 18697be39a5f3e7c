//! Where requests go: as the configuration says, and as DNS says of the realms that it has looked up. A [`RoutePlan`] is what a command
//! is configured to do with them.
//!
//! What DNS said last is kept for each realm, routes are made of it, and who runs the daemon is told. A tunnel's look-up begins
//! when a request has come and what is known is too old ([`RoutePlan::on_demand`]): an idle laptop must not wake. A gateway looks
//! up by time ([`RelayHandle::keep_looking_up`]) and never for a request: those are anybody's on the Internet.

mod lookup;
mod state;

pub(crate) use lookup::RealmLookup;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::OnFailure;
use super::clock::{ClockReading, now};
use super::exchange::{Exchange, Routing};
use super::failure::Failure;
use super::routes::{RealmPattern, Route, Routes};
use super::status::LookUpStatus;
use super::sync::lock;
use super::upstream::dns::{DnsResults, UpstreamTarget};
use super::upstream::kdc::{Permitted, Reach};
use super::upstream::pool::{PoolBuilder, UpstreamKey, UpstreamOptions, UpstreamPool};
use crate::wire::{ByService, Realm, Service};
use lookup::OnDemandResolver;

/// How long readiness waits for name servers: realms that are not looked up must not wait for those that are.
const FIRST: Duration = Duration::from_secs(3);

/// The relay of a command, and what its routes are made of.
#[derive(Clone, Debug)]
pub(crate) struct RelayHandle {
    pub(crate) exchange: Arc<Exchange>,
    directory: Arc<Mutex<RelayDirectory>>,
}

#[derive(Debug, Default)]
struct RelayDirectory {
    plan: Arc<RoutePlan>,
    /// Every upstream in use, so that new routes keep the connections to those that stay.
    upstreams: UpstreamPool,
    /// Told when other KDC proxies than before have been found and have replied.
    proven_proxies: Arc<Notify>,
}

impl RelayHandle {
    /// A relay that goes where `plan` says, with at most so many exchanges at once.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(crate) fn new(plan: RoutePlan, max_in_flight: usize) -> Result<Self, Failure> {
        let nowhere = Routing::new(Routes::default(), Vec::new(), plan.on_failure);
        let relay = Self {
            exchange: Exchange::new(nowhere, max_in_flight),
            directory: Arc::default(),
        };
        relay.configure(plan)?;
        Ok(relay)
    }

    /// Takes another plan. What DNS said still holds where the same is asked of it, and is looked up anew.
    ///
    /// # Errors
    /// Certificates that TLS cannot use; the plan of before holds then.
    pub(crate) fn configure(&self, plan: RoutePlan) -> Result<(), Failure> {
        let mut directory = self.directory();
        for lookup in plan.lookups() {
            lookup.inherit(directory.plan.lookups());
        }
        let plan = Arc::new(plan);
        let routing = self.routing(&plan, &mut directory.upstreams)?;
        directory.plan = plan;
        self.exchange.reconfigure(routing);
        Ok(())
    }

    /// DNS says something else than before, or what it said counts for something else: requests go where it says.
    fn reroute(&self) {
        // Under its lock: of two changes the later one must stay.
        let mut directory = self.directory();
        let plan = Arc::clone(&directory.plan);
        match self.routing(&plan, &mut directory.upstreams) {
            Ok(routing) => self.exchange.reroute(routing),
            Err(error) => tracing::error!("requests go where they went before: {error}"),
        }
    }

    /// The routes to all that is known at the moment.
    fn routing(&self, plan: &Arc<RoutePlan>, pool: &mut UpstreamPool) -> Result<Routing, Failure> {
        let (routes, upstreams) = pool.rebuild(|pool| plan.routes(pool))?;
        let routing = Routing::new(routes, upstreams, plan.on_failure);
        if !plan.on_demand || plan.lookups().next().is_none() {
            return Ok(routing);
        }
        Ok(routing.resolved_by(Arc::new(OnDemandResolver {
            directory: Arc::clone(&self.directory),
            plan: Arc::clone(plan),
        })))
    }

    /// The plan still asks for it.
    fn wants(&self, lookup: &RealmLookup) -> bool {
        let plan = self.plan();
        let mut lookups = plan.lookups();
        lookups.any(|wanted| std::ptr::eq(&**wanted, lookup))
    }

    /// Has each realm looked up again and again in tasks of `tasks`, until `stop` or another plan.
    pub(crate) fn keep_looking_up(&self, stop: &CancellationToken, tasks: &TaskTracker) {
        for lookup in self.plan().lookups() {
            let keep = Arc::clone(lookup).keep_looking_up(self.clone());
            tasks.spawn(stop.clone().run_until_cancelled_owned(keep));
        }
    }

    /// Returns when everything was looked up once, or soon: who has to wait longer is told so in the log.
    pub(crate) async fn looked_up(&self) {
        let (plan, deadline) = (self.plan(), now() + FIRST);
        join_all(plan.lookups().map(|lookup| lookup.wait(self, deadline))).await;
    }

    /// How it stands with the look-ups, for those who show it.
    pub(crate) fn lookups(&self, now: ClockReading) -> Vec<(String, LookUpStatus)> {
        let plan = self.plan();
        let statuses = plan
            .lookups()
            .map(|lookup| (lookup.discovery.realm.clone(), lookup.status(now)));
        statuses.collect()
    }

    /// Waits until other KDC proxies than before have been found and have replied; brings all that did, by realm.
    pub(crate) async fn proven_proxies(&self) -> Vec<(String, DnsResults)> {
        let notify = Arc::clone(&self.directory().proven_proxies);
        notify.notified().await;
        let plan = self.plan();
        let of_proxies = plan.lookups().filter(|lookup| !lookup.is_of_kdcs());
        let results = of_proxies
            .filter_map(|lookup| Some((lookup.discovery.realm.clone(), lookup.proven()?)));
        results.collect()
    }

    fn plan(&self) -> Arc<RoutePlan> {
        Arc::clone(&self.directory().plan)
    }

    fn directory(&self) -> MutexGuard<'_, RelayDirectory> {
        lock(&self.directory)
    }
}

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
    fn lookups(&self) -> impl Iterator<Item = &Arc<RealmLookup>> {
        self.realms.iter().flat_map(RealmPlan::lookups)
    }

    /// The routes to all that is known at the moment.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    fn routes(&self, pool: &mut PoolBuilder<'_>) -> Result<Routes, Failure> {
        let mut routes = Routes::default();
        for realm in &self.realms {
            routes.add(&realm.pattern, &realm.aliases, realm.route(pool)?);
        }
        Ok(routes)
    }
}

impl RealmPlan {
    fn lookups(&self) -> impl Iterator<Item = &Arc<RealmLookup>> {
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
                let first = names.of(service).into_iter();
                let second = names.second_choice(service).into_iter();
                let second = second.map(|target| (target, false, true));
                let first = first.map(|(target, is_primary)| (target, is_primary, false));
                for (target, is_primary, is_second) in first.chain(second) {
                    let id = pool.id(UpstreamKey {
                        target,
                        permitted: names.permitted(),
                        options: options.clone(),
                    })?;
                    upstreams.push(id);
                    route.primary.extend(is_primary.then_some(id));
                    route.local_kdcs.extend(is_local(options).then_some(id));
                    route.second_choice.extend(is_second.then_some(id));
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

    /// Those that have replied, and that DNS names no more.
    fn second_choice(&self, service: Service) -> Vec<UpstreamTarget> {
        let Self::LookedUp(lookup) = self else {
            return Vec::new();
        };
        let proven = lookup.proven().unwrap_or_default();
        let mut targets = proven.get(service).to_vec();
        let results = lookup.results().unwrap_or_default();
        targets.retain(|target| !results.get(service).contains(target));
        targets
    }

    /// What a name in DNS stands for may change from one moment to the next: each address is judged when it is used.
    fn permitted(&self) -> Permitted {
        match self {
            Self::Listed(_) => Permitted::Any,
            Self::LookedUp(lookup) => lookup.discovery.permitted(),
        }
    }
}

#[cfg(test)]
mod tests;
