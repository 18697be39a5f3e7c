//! A look-up that requests bring about: one at a time, and none while what is known holds. There is no timer: what nobody
//! asks for is not looked up.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use super::directory::Directory;
use super::due::{Due, Network, Scope};
use crate::relay::discovery::{Known, Teller};
use crate::relay::sync::lock;
use crate::relay::upstream::dns::{Discovery, Found, LookUpError, ProxyDiscovery, Target};
use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::wire::Realm;

/// What is looked up.
#[derive(Debug)]
pub(super) enum Wanted {
    /// KDCs that are asked themselves.
    Kdcs(Discovery),
    /// KDC proxies.
    Proxies(Arc<ProxyDiscovery>),
}

/// What DNS says of it.
#[derive(Debug)]
pub(super) enum Answer {
    Kdcs(Found),
    Proxies(Found<ProxyUrl>),
}

/// The look-ups of one kind for one realm.
#[derive(Debug)]
pub(super) struct Search {
    realm: Realm,
    wanted: Wanted,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    due: Due,
    /// Ends with the look-up under way.
    under_way: Option<(watch::Receiver<()>, AbortHandle)>,
    /// Why the last one failed, if it did.
    failed: Option<LookUpError>,
    teller: Teller,
}

/// How it stands with the look-ups, for those who show it.
#[derive(Debug)]
pub(super) struct Standing {
    /// When the next one is due, if not at once.
    pub(super) next: Option<Instant>,
    /// Why the last one failed, if it did.
    pub(super) failed: Option<LookUpError>,
}

impl Wanted {
    async fn look_up(&self) -> Result<Answer, LookUpError> {
        match self {
            Self::Kdcs(discovery) => discovery.look_up().await.map(Answer::Kdcs),
            Self::Proxies(discovery) => discovery.look_up().await.map(Answer::Proxies),
        }
    }
}

impl Search {
    /// Nothing was looked up yet; `found` says that something is known all the same.
    pub(super) fn new(realm: Realm, wanted: Wanted, found: bool) -> Self {
        let (scope, teller) = match wanted {
            Wanted::Kdcs(_) => (Scope::OneNetwork, Teller::of_kdcs(realm.clone())),
            Wanted::Proxies(_) => (Scope::Everywhere, Teller::of_proxies(realm.clone())),
        };
        Self {
            realm,
            wanted,
            state: Mutex::new(State {
                due: Due::new(scope, found),
                under_way: None,
                failed: None,
                teller,
            }),
        }
    }

    pub(super) fn realm(&self) -> &Realm {
        &self.realm
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.lock();
        Standing {
            next: state.due.next(),
            failed: state.failed.clone(),
        }
    }

    /// Whether requests can do without the look-up under way.
    pub(super) fn is_enough(&self) -> bool {
        self.lock().due.is_enough()
    }

    /// Whether there is something to go by.
    pub(super) fn has_found(&self) -> bool {
        self.lock().due.has_found()
    }

    /// Begins a look-up, if one is due; says whether one is under way.
    pub(super) fn begin(self: &Arc<Self>, known: &Known<Directory>) -> bool {
        self.under_way(known).is_some()
    }

    /// Waits until there is enough to go by, while a look-up may bring it and until `deadline`.
    pub(super) async fn wait(self: &Arc<Self>, known: &Known<Directory>, deadline: Instant) {
        while !self.is_enough() {
            let Some(mut ended) = self.under_way(known) else {
                return;
            };
            if timeout_at(deadline.into(), ended.changed()).await.is_err() {
                return self.lock().due.wait_is_over();
            }
        }
    }

    fn under_way(self: &Arc<Self>, known: &Known<Directory>) -> Option<watch::Receiver<()>> {
        let mut state = self.lock();
        if let Some((ended, _)) = &state.under_way
            && ended.has_changed().is_ok()
        {
            return Some(ended.clone());
        }
        if !state.due.is_due(now()) {
            return None;
        }
        known.exchange.counters().look_ups.add();
        let (ends, ended) = watch::channel(());
        let look_up = Arc::clone(self).run(known.clone(), state.due.network());
        let task = tokio::spawn(async move {
            look_up.await;
            drop(ends);
        });
        state.under_way = Some((ended.clone(), task.abort_handle()));
        Some(ended)
    }

    async fn run(self: Arc<Self>, known: Known<Directory>, network: Network) {
        let answer = self.wanted.look_up().await;
        // Nothing is waited for from here on: a task that is called off has done all of it or nothing.
        let mut state = self.lock();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if state.due.fail(network, now()) {
                    state.teller.failed(&error);
                    state.failed = Some(error);
                }
                return;
            }
        };
        let (found, good_for) = match &answer {
            Answer::Kdcs(found) => (!found.is_empty(), found.good_for),
            Answer::Proxies(found) => (!found.is_empty(), found.good_for),
        };
        if !state.due.answer(network, found, good_for, now()) {
            return;
        }
        state.failed = None;
        let news = known.directory().learn(&self, &answer);
        if news {
            known.reroute();
        }
        match &answer {
            Answer::Kdcs(found) => state.teller.found(found, news, kdc),
            Answer::Proxies(found) => state.teller.found(found, news, proxy),
        }
        if news && matches!(answer, Answer::Proxies(_)) {
            Directory::remember(&known);
        }
    }

    /// The network is another one: the next request has this looked up anew, by the name servers of now.
    pub(super) fn expire(&self) {
        let mut state = self.lock();
        state.due.expire();
        if let Some((_, task)) = state.under_way.take() {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

pub(super) fn kdc(target: &Target) -> String {
    target.name.clone()
}

/// Without the path, which some keep a secret.
pub(super) fn proxy(url: &ProxyUrl) -> String {
    url.as_url().origin().ascii_serialization()
}

/// The runtime's clock, which a test can hold still.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
