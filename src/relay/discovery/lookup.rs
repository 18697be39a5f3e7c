//! The look-up of one realm: one at a time, and what came of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::state::{Learned, LookupState};
use super::{RealmPlan, RelayDirectory, RelayHandle, RoutePlan};
use crate::relay::clock::{ClockReading, now};
use crate::relay::exchange::{Exchange, RealmResolver};
use crate::relay::explain::UpstreamKind;
use crate::relay::status::{LookUpStatus, RejectedName, Text};
use crate::relay::sync::lock;
use crate::relay::text::{Quoted, listed};
use crate::relay::upstream::dns::{Discovery, DnsResults, LookUpError, RETRY, UpstreamTarget};
use crate::relay::upstream::kdc::LOCAL_KDC_TIMEOUT;
use crate::wire::Realm;

/// What is looked up of one kind for one realm.
#[derive(Debug)]
pub(crate) struct RealmLookup {
    pub(super) discovery: Discovery,
    progress: Mutex<LookupProgress>,
}

#[derive(Debug)]
struct LookupProgress {
    state: LookupState,
    /// Ends with the look-up under way.
    under_way: Option<(watch::Receiver<()>, AbortOnDropHandle<()>)>,
}

impl RealmLookup {
    /// Nothing was looked up yet; `known` is what is known all the same.
    pub(crate) fn new(discovery: Discovery, known: Option<DnsResults>) -> Arc<Self> {
        let state = LookupState::new(discovery.kind, known);
        Arc::new(Self {
            discovery,
            progress: Mutex::new(LookupProgress {
                state,
                under_way: None,
            }),
        })
    }

    /// Takes over what was found by the one of `before` that asked the same.
    pub(super) fn inherit<'a>(&self, mut before: impl Iterator<Item = &'a Arc<Self>>) {
        if let Some(same) = before.find(|before| before.discovery == self.discovery)
            && same.results().is_some()
        {
            let state = lock(&same.progress).state.clone();
            lock(&self.progress).state = state.inherited();
        }
    }

    /// How it stands with it.
    pub(super) fn status(&self, now: ClockReading) -> LookUpStatus {
        let state = &lock(&self.progress).state;
        let found = state.results.as_ref();
        let names = |targets: Option<&Vec<UpstreamTarget>>| {
            let names = targets.into_iter().flatten().map(ToString::to_string);
            names.map(|name| Text::of_origins(&name)).collect()
        };
        let rejected = found.into_iter().flat_map(|found| &found.refused);
        let rejected = rejected.map(|refused| RejectedName {
            name: Text::of_origins(&refused.name),
            why: refused.why.as_str().into(),
        });
        let next = state.next.filter(|next| *next > now.instant);
        LookUpStatus {
            what: self.discovery.kind.key().into(),
            kdc: names(found.map(|found| &found.kdc)),
            kpasswd: names(found.map(|found| &found.kpasswd)),
            rejected: rejected.collect(),
            expires_at: next.map(|next| now.unix_ms_of(next)),
            error: state.failed.as_ref().map(|error| error.to_string().into()),
        }
    }

    /// What DNS said last.
    pub(super) fn results(&self) -> Option<DnsResults> {
        lock(&self.progress).state.results.clone()
    }

    /// What DNS said last of KDC proxies of which one has replied.
    pub(super) fn proven(&self) -> Option<DnsResults> {
        lock(&self.progress).state.proven.clone()
    }

    /// Requests can do without the look-up under way.
    pub(super) fn is_enough(&self) -> bool {
        lock(&self.progress).state.is_enough
    }

    pub(super) fn is_of_kdcs(&self) -> bool {
        self.discovery.kind == UpstreamKind::Kdc
    }

    /// There is something to go by.
    pub(super) fn has_found(&self) -> bool {
        lock(&self.progress).state.has_found()
    }

    /// Waits until there is enough to go by, while a look-up may bring it and until `deadline`.
    pub(super) async fn wait(self: &Arc<Self>, relay: &RelayHandle, deadline: Instant) {
        while !self.is_enough() {
            let Some(mut ended) = self.begin(relay) else {
                return;
            };
            if timeout_at(deadline.into(), ended.changed()).await.is_err() {
                return lock(&self.progress).state.wait_is_over();
            }
        }
    }

    /// Begins a look-up, if one is due; brings what ends with the one under way, if one is.
    pub(super) fn begin(self: &Arc<Self>, relay: &RelayHandle) -> Option<watch::Receiver<()>> {
        let is_rerouting_due = lock(&self.progress).state.take_rerouting();
        if is_rerouting_due {
            relay.reroute();
        }
        let mut progress = lock(&self.progress);
        if let Some((ended, _)) = &progress.under_way
            && ended.has_changed().is_ok()
        {
            return Some(ended.clone());
        }
        if !progress.state.is_due(now()) {
            return None;
        }
        let (ends, ended) = watch::channel(());
        let (lookup, relay) = (Arc::clone(self), relay.clone());
        let network = progress.state.network;
        let task = tokio::spawn(async move {
            lookup.look_up(&relay, network).await;
            drop(ends);
        });
        progress.under_way = Some((ended.clone(), AbortOnDropHandle::new(task)));
        Some(ended)
    }

    /// Looks up again and again, while the configuration asks for it.
    pub(super) async fn keep_looking_up(self: Arc<Self>, relay: RelayHandle) {
        while relay.wants(&self) {
            if let Some(mut ended) = self.begin(&relay) {
                // That the look-up has ended is an error of the channel.
                let _ = ended.changed().await;
            }
            let next = lock(&self.progress).state.next;
            sleep_until(next.unwrap_or_else(|| now() + RETRY).into()).await;
        }
    }

    /// Asks the name servers of `network`, and has requests go where they say.
    async fn look_up(&self, relay: &RelayHandle, network: u64) {
        relay.exchange.counters().look_ups.add();
        let answer = self.discovery.look_up().await;
        // Nothing is waited for from here on: a task that is called off has done all of it or nothing.
        let is_wanted = relay.wants(self);
        let learned = lock(&self.progress)
            .state
            .learn(network, answer.clone(), now());
        let Some(learned) = learned.filter(|_| is_wanted) else {
            return;
        };
        if learned.is_news {
            relay.reroute();
        }
        lock(&self.progress).state.enter_routes(network);
        self.log(learned, &answer);
    }

    /// The network is another one: the next request has this looked up anew, by the name servers of now.
    pub(super) fn expire(&self) {
        let mut progress = lock(&self.progress);
        progress.state.expire();
        progress.under_way = None;
    }

    /// What is looked up, in the plural.
    fn what(&self) -> &'static str {
        match self.discovery.kind {
            UpstreamKind::Kdc => "KDCs",
            UpstreamKind::Proxy => "KDC proxies",
        }
    }

    fn log(&self, learned: Learned, answer: &Result<DnsResults, LookUpError>) {
        let (realm, what, key) = (
            &self.discovery.realm,
            self.what(),
            self.discovery.kind.key(),
        );
        match answer {
            Ok(_) if learned.had_failed => {
                tracing::info!(%realm, "its {what} can be looked up again");
            }
            Err(error) if !learned.had_failed => {
                tracing::warn!(%realm, %error, "its {what} can't be looked up: what is known of them still holds; {key} lists them instead");
            }
            _ => {}
        }
        let Some(found) = answer.as_ref().ok().filter(|_| learned.is_news) else {
            return;
        };
        let names = |all: &[UpstreamTarget]| {
            listed(&all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (kdc, kpasswd) = (names(&found.kdc), names(&found.kpasswd));
        tracing::info!(%realm, %kdc, %kpasswd, "{what} found in DNS");
        for refused in &found.refused {
            let (name, why) = (Quoted(&refused.name), &refused.why);
            tracing::warn!(%realm, %name, %why, "found in DNS and not asked");
        }
    }
}

/// How long a request waits for proxies of which none is known: as long as for the name, connect and TLS of one.
const PROXIES: Duration = Duration::from_secs(3);

/// What is looked up for the realms of the configuration.
#[derive(Debug)]
pub(super) struct OnDemandResolver {
    pub(super) directory: Arc<Mutex<RelayDirectory>>,
    pub(super) plan: Arc<RoutePlan>,
}

impl OnDemandResolver {
    fn plan_of(&self, realm: &Realm) -> Option<&RealmPlan> {
        let name = realm.as_str();
        let is_its = |lookup: &Arc<RealmLookup>| lookup.discovery.realm.eq_ignore_ascii_case(name);
        let mut realms = self.plan.realms.iter();
        realms.find(|plan| plan.lookups().any(is_its))
    }

    fn relay(&self, exchange: &Arc<Exchange>) -> RelayHandle {
        RelayHandle {
            exchange: Arc::clone(exchange),
            directory: Arc::clone(&self.directory),
        }
    }
}

impl RealmResolver for OnDemandResolver {
    fn resolve(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>> {
        let plan = self.plan_of(realm)?;
        let lookups: Vec<_> = plan.lookups().cloned().collect();
        let lists_some = plan.sources.len() > lookups.len();
        let relay = self.relay(exchange);
        // All at once, whichever is waited for.
        let mut is_awaited = false;
        for lookup in &lookups {
            is_awaited |= lookup.begin(&relay).is_some() && !lookup.is_enough();
        }
        is_awaited.then(|| wait(lookups, lists_some, relay).boxed())
    }

    fn replied(&self, realm: &Realm, upstream: &str, exchange: &Arc<Exchange>) {
        let mut lookups = self.plan_of(realm).into_iter().flat_map(RealmPlan::lookups);
        if lookups.any(|lookup| lock(&lookup.progress).state.prove(upstream)) {
            let relay = self.relay(exchange);
            relay.reroute();
            relay.directory().proven_proxies.notify_one();
        }
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
    for proxies in lookups.iter().filter(|lookup| !lookup.is_of_kdcs()) {
        // Where there are KDCs to try, or proxies of before, they may be what is needed.
        let patience = if has_others || proxies.has_found() {
            LOCAL_KDC_TIMEOUT
        } else {
            PROXIES
        };
        proxies.wait(&relay, began + patience).await;
    }
}

#[cfg(test)]
mod tests;
