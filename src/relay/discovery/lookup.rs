//! The look-up of one realm: one at a time, and what came of it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep_until, timeout_at};

use super::RelayHandle;
use super::state::{Learned, LookupScope, LookupState};
use crate::relay::sync::lock;
use crate::relay::text::{Quoted, listed};
use crate::relay::upstream::dns::{Discovery, DnsResults, DnsTarget, LookUpError};
use crate::wire::{Realm, RealmKey};

/// What is looked up of one kind for one realm.
#[derive(Debug)]
pub(crate) struct RealmLookup {
    pub(super) realm: Realm,
    pub(super) discovery: Discovery,
    /// Whether KDCs are listed beside it, which may serve a request meanwhile.
    pub(super) lists_kdcs: bool,
    progress: Mutex<LookupProgress>,
}

#[derive(Debug)]
struct LookupProgress {
    state: LookupState,
    /// Ends with the look-up under way.
    under_way: Option<(watch::Receiver<()>, AbortHandle)>,
}

/// How it stands with a look-up, for those who show it.
#[derive(Debug)]
pub(crate) struct LookupReport {
    pub(crate) realm: RealmKey,
    /// As the configuration calls it.
    pub(crate) what: &'static str,
    /// What DNS said last.
    pub(crate) results: Option<DnsResults>,
    /// When the next one is due, if not at once.
    pub(crate) next: Option<Instant>,
    /// Why the last one failed, if it did.
    pub(crate) failed: Option<LookUpError>,
}

impl RealmLookup {
    /// Nothing was looked up yet; `known` is what is known all the same.
    pub(crate) fn new(
        realm: Realm,
        discovery: Discovery,
        lists_kdcs: bool,
        known: Option<DnsResults>,
    ) -> Self {
        let scope = match discovery {
            Discovery::Kdcs(_) => LookupScope::OneNetwork,
            Discovery::Proxies(_) => LookupScope::Everywhere,
        };
        Self {
            realm,
            discovery,
            lists_kdcs,
            progress: Mutex::new(LookupProgress {
                state: LookupState::new(scope, known),
                under_way: None,
            }),
        }
    }

    /// The same, with what was found by the one of `before` that asked the same.
    pub(super) fn inherit(self, before: &[Arc<Self>]) -> Self {
        let mut before = before.iter();
        let same = before.find(|before| {
            before.realm.key() == self.realm.key() && before.discovery == self.discovery
        });
        match same.and_then(|same| same.results()) {
            Some(known) => Self::new(self.realm, self.discovery, self.lists_kdcs, Some(known)),
            None => self,
        }
    }

    pub(super) fn report(&self) -> LookupReport {
        let progress = self.lock();
        LookupReport {
            realm: self.realm.key(),
            what: self.key(),
            results: progress.state.results().cloned(),
            next: progress.state.next(),
            failed: progress.state.failed().cloned(),
        }
    }

    /// What DNS said last.
    pub(super) fn results(&self) -> Option<DnsResults> {
        self.lock().state.results().cloned()
    }

    /// Whether requests can do without the look-up under way.
    pub(super) fn is_enough(&self) -> bool {
        self.lock().state.is_enough()
    }

    pub(super) fn is_of_kdcs(&self) -> bool {
        matches!(self.discovery, Discovery::Kdcs(_))
    }

    /// Whether there is something to go by.
    pub(super) fn has_found(&self) -> bool {
        self.lock().state.has_found()
    }

    /// Begins a look-up, if one is due; says whether one is under way.
    pub(super) fn begin(self: &Arc<Self>, relay: &RelayHandle) -> bool {
        self.under_way(relay).is_some()
    }

    /// Waits until there is enough to go by, while a look-up may bring it and until `deadline`.
    pub(super) async fn wait(self: &Arc<Self>, relay: &RelayHandle, deadline: Instant) {
        while !self.is_enough() {
            let Some(mut ended) = self.under_way(relay) else {
                return;
            };
            if timeout_at(deadline.into(), ended.changed()).await.is_err() {
                return self.lock().state.wait_is_over();
            }
        }
    }

    fn under_way(self: &Arc<Self>, relay: &RelayHandle) -> Option<watch::Receiver<()>> {
        let mut progress = self.lock();
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
        let network = progress.state.network();
        let task = tokio::spawn(async move {
            lookup.look_up(&relay, network).await;
            drop(ends);
        });
        progress.under_way = Some((ended.clone(), task.abort_handle()));
        Some(ended)
    }

    /// Looks up again and again while the configuration asks for it. `first` is dropped after the first time.
    pub(super) async fn keep_looking_up(self: Arc<Self>, relay: RelayHandle, first: impl Send) {
        let mut first = Some(first);
        while relay.wants(&self) {
            let network = self.lock().state.network();
            self.look_up(&relay, network).await;
            first.take();
            let next = self.lock().state.next();
            sleep_until(next.unwrap_or_else(now).into()).await;
        }
    }

    /// Asks the name servers of `network`, and has requests go where they say.
    async fn look_up(&self, relay: &RelayHandle, network: u64) {
        relay.exchange.counters().look_ups.add();
        let answer = self.discovery.look_up().await;
        // Nothing is waited for from here on: a task that is called off has done all of it or nothing.
        let is_wanted = relay.wants(self);
        match answer {
            Ok(results) => {
                let learned = self.lock().state.answer(network, results.clone(), now());
                if let Some(learned) = learned.filter(|_| is_wanted) {
                    self.follow(relay, learned, &results);
                }
            }
            Err(error) => {
                let is_first = self.lock().state.fail(network, error.clone(), now());
                if is_first && is_wanted {
                    self.log_failed(&error);
                }
            }
        }
    }

    fn follow(&self, relay: &RelayHandle, learned: Learned, found: &DnsResults) {
        if learned.is_news {
            relay.reroute(self);
        }
        if learned.had_failed {
            tracing::info!(realm = %self.realm, "its {} can be looked up again", self.what());
        }
        if learned.is_news {
            self.log_found(found);
        }
    }

    /// The network is another one: the next request has this looked up anew, by the name servers of now.
    pub(super) fn expire(&self) {
        let mut progress = self.lock();
        progress.state.expire();
        if let Some((_, task)) = progress.under_way.take() {
            task.abort();
        }
    }

    /// The key of the configuration that lists what is looked up instead.
    fn key(&self) -> &'static str {
        match self.discovery {
            Discovery::Kdcs(_) => "kdcs",
            Discovery::Proxies(_) => "proxies",
        }
    }

    /// What is looked up, in the plural.
    fn what(&self) -> &'static str {
        match self.discovery {
            Discovery::Kdcs(_) => "KDCs",
            Discovery::Proxies(_) => "KDC proxies",
        }
    }

    fn log_found(&self, found: &DnsResults) {
        let (realm, what) = (&self.realm, self.what());
        let names =
            |all: &[DnsTarget]| listed(&all.iter().map(ToString::to_string).collect::<Vec<_>>());
        let (kdc, kpasswd) = (names(&found.kdc), names(&found.kpasswd));
        tracing::info!(%realm, %kdc, %kpasswd, "{what} found in DNS");
        let otherwise = match self.discovery {
            Discovery::Kdcs(_) => "; discover-ports says which ports may be",
            Discovery::Proxies(_) => "",
        };
        for refused in &found.refused {
            let (name, why) = (Quoted(&refused.name), refused.why);
            tracing::warn!(%realm, %name, %why, "found in DNS and not asked{otherwise}");
        }
    }

    fn log_failed(&self, error: &LookUpError) {
        let (realm, what, key) = (&self.realm, self.what(), self.key());
        tracing::warn!(%realm, %error, "its {what} can't be looked up: what is known of them still holds; {key} lists them instead");
    }

    fn lock(&self) -> MutexGuard<'_, LookupProgress> {
        lock(&self.progress)
    }
}

/// The runtime's clock, which a test can hold still.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
