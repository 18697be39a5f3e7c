//! Where requests go: as the configuration says, and as DNS says of the realms that it has looked up.
//!
//! A tunnel looks up when a request has come ([`Trigger::Requests`]), a gateway again and again ([`Trigger::Time`]). All else is
//! the same: what DNS said last is kept for each realm, routes are made of it, and who runs the daemon is told.

mod lookup;
mod on_demand;
mod state;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::relay::answer::OnFailure;
use crate::relay::exchange::{Exchange, Routing};
use crate::relay::failure::Failure;
use crate::relay::routes::Routes;
use crate::relay::sync::lock;
use crate::relay::upstream::dns::DnsResults;
use crate::relay::upstream::pool::{PoolBuilder, UpstreamPool};
use crate::wire::{Realm, RealmKey};
pub(crate) use lookup::{LookupReport, RealmLookup};
use on_demand::OnDemandResolver;

/// How long readiness waits for name servers: realms that are not looked up must not wait for those that are.
const FIRST: Duration = Duration::from_secs(3);

/// What a command is configured to do with requests.
pub(crate) trait RouteConfig: fmt::Debug + Send {
    /// What is to be looked up.
    fn lookups(&self) -> Vec<RealmLookup>;

    /// The routes to all that is known.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    fn routes(&self, dns: &DnsView, upstreams: &mut PoolBuilder<'_>) -> Result<Routes, Failure>;

    /// How a failure looks to clients that ask for a realm without a route.
    fn on_failure(&self) -> OnFailure;
}

/// What DNS said last of realms.
#[derive(Debug, Default)]
pub(crate) struct DnsView {
    pub(crate) kdcs: HashMap<RealmKey, DnsResults>,
    pub(crate) proxies: HashMap<RealmKey, DnsResults>,
}

/// What brings a look-up about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A request for the realm, if what is known is too old. There is no timer: an idle laptop must not wake.
    Requests,
    /// The end of what the last one is good for ([`RelayHandle::keep_looking_up`]).
    Time,
}

/// The relay of a command, and what its routes are made of.
#[derive(Clone, Debug)]
pub(crate) struct RelayHandle {
    pub(crate) exchange: Arc<Exchange>,
    directory: Arc<Mutex<RelayDirectory>>,
}

#[derive(Debug)]
struct RelayDirectory {
    config: Box<dyn RouteConfig>,
    lookups: Vec<Arc<RealmLookup>>,
    trigger: Trigger,
    /// Every upstream in use, so that new routes keep the connections to those that stay.
    upstreams: UpstreamPool,
    /// Told when DNS names other KDC proxies than before.
    other_proxies: Arc<Notify>,
}

impl RelayHandle {
    /// A relay that goes where `config` says, with at most so many exchanges at once.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(crate) fn new(
        config: impl RouteConfig + 'static,
        trigger: Trigger,
        max_in_flight: usize,
    ) -> Result<Self, Failure> {
        let directory = Arc::new(Mutex::new(RelayDirectory {
            lookups: config.lookups().into_iter().map(Arc::new).collect(),
            config: Box::new(config),
            trigger,
            upstreams: UpstreamPool::default(),
            other_proxies: Arc::default(),
        }));
        let routing = lock(&directory).routing(&directory)?;
        let exchange = Exchange::new(routing, max_in_flight);
        Ok(Self {
            exchange,
            directory,
        })
    }

    /// Takes another configuration. What DNS said still holds where the same is asked of it, and is looked up anew.
    ///
    /// # Errors
    /// Certificates that TLS cannot use; the configuration of before holds then.
    pub(crate) fn configure(&self, config: impl RouteConfig + 'static) -> Result<(), Failure> {
        let lookups = config.lookups().into_iter();
        let mut directory = self.directory();
        let lookups = lookups.map(|lookup| Arc::new(lookup.inherit(&directory.lookups)));
        let lookups = lookups.collect();
        let config_before = std::mem::replace(&mut directory.config, Box::new(config));
        let lookups_before = std::mem::replace(&mut directory.lookups, lookups);
        match directory.routing(&self.directory) {
            Ok(routing) => self.exchange.reroute(routing),
            Err(failure) => {
                (directory.config, directory.lookups) = (config_before, lookups_before);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// DNS says something else than before to `lookup`: requests go where it says.
    fn reroute(&self, lookup: &RealmLookup) {
        // Under its lock: of two changes the later one must stay.
        let mut directory = self.directory();
        match directory.routing(&self.directory) {
            Ok(routing) => self.exchange.reroute(routing),
            Err(error) => tracing::error!("requests go where they went before: {error}"),
        }
        if !lookup.is_of_kdcs() {
            directory.other_proxies.notify_one();
        }
    }

    /// Whether the configuration still asks for it.
    fn wants(&self, lookup: &RealmLookup) -> bool {
        let directory = self.directory();
        let mut lookups = directory.lookups.iter();
        lookups.any(|wanted| std::ptr::eq(&**wanted, lookup))
    }

    /// Has each realm looked up again and again in tasks of `tasks`, until `stop` or another configuration. What is returned
    /// ends when everything was looked up once, or soon.
    pub(crate) fn keep_looking_up(
        &self,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> impl Future<Output = ()> + use<> {
        let lookups = self.directory().lookups.clone();
        let first = TaskTracker::new();
        for lookup in lookups {
            let (relay, stop, looked_up) = (self.clone(), stop.clone(), first.token());
            tasks.spawn(async move {
                let keep = lookup.keep_looking_up(relay, looked_up);
                stop.run_until_cancelled(keep).await;
            });
        }
        first.close();
        // Who has to wait longer is told so in the log.
        async move { drop(timeout(FIRST, first.wait()).await) }
    }

    /// How it stands with the look-ups, for those who show it.
    pub(crate) fn lookups(&self) -> Vec<LookupReport> {
        let directory = self.directory();
        let reports = directory.lookups.iter().map(|lookup| lookup.report());
        reports.collect()
    }

    /// Returns when DNS names other KDC proxies than before.
    pub(crate) async fn other_proxies(&self) {
        let notify = Arc::clone(&self.directory().other_proxies);
        notify.notified().await;
    }

    /// The KDC proxies that DNS names, by realm.
    pub(crate) fn proxies(&self) -> Vec<(Realm, DnsResults)> {
        let directory = self.directory();
        let of_proxies = directory.lookups.iter().filter_map(|lookup| {
            let results = lookup.results().filter(|_| !lookup.is_of_kdcs())?;
            Some((lookup.realm.clone(), results))
        });
        of_proxies.collect()
    }

    fn directory(&self) -> MutexGuard<'_, RelayDirectory> {
        lock(&self.directory)
    }
}

impl RelayDirectory {
    /// The routes to all that is known. `own` is where others find this directory.
    fn routing(&mut self, own: &Arc<Mutex<Self>>) -> Result<Routing, Failure> {
        let mut dns = DnsView::default();
        for lookup in &self.lookups {
            let by_realm = if lookup.is_of_kdcs() {
                &mut dns.kdcs
            } else {
                &mut dns.proxies
            };
            by_realm.extend(
                lookup
                    .results()
                    .map(|results| (lookup.realm.key(), results)),
            );
        }
        let Self {
            config, upstreams, ..
        } = self;
        let (routes, upstreams) = upstreams.rebuild(|builder| config.routes(&dns, builder))?;
        let routing = Routing::new(routes, upstreams, config.on_failure());
        if self.lookups.is_empty() || self.trigger == Trigger::Time {
            return Ok(routing);
        }
        Ok(routing.resolved_by(Arc::new(OnDemandResolver {
            directory: Arc::clone(own),
            lookups: self.lookups.clone(),
        })))
    }
}
