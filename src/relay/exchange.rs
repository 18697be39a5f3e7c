//! The room where a request becomes an answer.
//!
//! Whatever the way in: a copy of a request under way joins it, one answered a moment ago is answered again, and a new
//! one is led through its upstreams. The leader runs in a task of its own, so that a client that hangs up
//! strands nobody who joined it, and so that a panic ends that exchange alone.

mod attempts;
mod leader;
mod recent;
mod routing;
mod status;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};

use self::leader::Leader;
use self::recent::RecentExchanges;
use crate::relay::answer::{Answered, Cause, Source, Verdict};
use crate::relay::counters::Counters;
use crate::relay::lines::Lines;
use crate::relay::network::{Clocks, Sleep};
use crate::relay::retransmits::{Asked, Lookaside};
use crate::relay::routes::UpstreamId;
use crate::relay::sync::lock;
use crate::wire::{KerberosMessage, Realm};

pub use self::routing::{RealmResolver, Routing};

/// Where a request came from and when.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When its last octet was read; deadlines count from here.
    pub at: Instant,
    /// Its sender, if it came over UDP.
    pub udp_peer: Option<SocketAddr>,
    /// The transport's name, for the log.
    pub transport: &'static str,
    /// Whether the KDC that takes writes is wanted ([MS-NRPC] 3.5.4.3.1).
    pub primary: bool,
}

impl Arrival {
    /// A request over `transport`, now.
    #[must_use]
    pub fn now(transport: &'static str) -> Self {
        Self {
            at: now(),
            udp_peer: None,
            transport,
            primary: false,
        }
    }
}

/// Where joiners wait for the leader's answer.
type Waiting = watch::Receiver<Option<Answered>>;

/// One relay: its routes, its lookaside, its limits and its counters.
#[derive(Debug)]
pub struct Exchange {
    routing: RwLock<Arc<Routing>>,
    lookaside: Mutex<Lookaside<Waiting>>,
    in_flight: Semaphore,
    max_in_flight: usize,
    counters: Counters,
    recent: RecentExchanges,
    sleep: Sleep,
    /// How often the network became another one: exchanges under way hear of it.
    networks: watch::Sender<u64>,
    lines: Mutex<Lines>,
}

impl Exchange {
    /// A relay that leads at most `max_in_flight` exchanges at once.
    #[must_use]
    pub fn new(routing: Routing, max_in_flight: usize) -> Arc<Self> {
        Arc::new(Self {
            routing: RwLock::new(Arc::new(routing)),
            lookaside: Mutex::default(),
            in_flight: Semaphore::new(max_in_flight),
            max_in_flight,
            counters: Counters::default(),
            recent: RecentExchanges::default(),
            sleep: Sleep::since(Clocks::now()),
            networks: watch::Sender::new(0),
            lines: Mutex::default(),
        })
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Replaces the routes and upstreams; exchanges under way end on the old ones. What is known of an upstream that
    /// stays is still known.
    pub fn reroute(&self, routing: Routing) {
        let mut current = self.routing.write().unwrap_or_else(PoisonError::into_inner);
        routing.inherit(&current);
        *current = Arc::new(routing);
    }

    /// The network is another one: what was seen of upstreams no longer counts, kept connections lead nowhere, and exchanges
    /// under way may go another way.
    pub fn network_changed(&self) {
        self.counters.networks.add();
        self.recent.network_changed();
        self.start_anew();
        if lock(&self.lines).spend(now()) {
            tracing::info!("network changed");
        }
    }

    /// The same if the machine slept: nobody kept its connections meanwhile, and it may be anywhere.
    fn wake(&self) {
        let Some(slept) = self.sleep.until(Clocks::now()) else {
            return;
        };
        self.counters.sleeps.add();
        self.recent.woke();
        self.start_anew();
        if lock(&self.lines).spend(now()) {
            tracing::info!(seconds = slept.as_secs(), "resumed from sleep");
        }
    }

    fn start_anew(&self) {
        self.routing().forget();
        self.networks.send_modify(|networks| *networks += 1);
    }

    fn routing(&self) -> Arc<Routing> {
        Arc::clone(&self.routing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The routes for `message`, when what has to be looked up for it was looked up, or time is up. Nothing but a realm that
    /// was configured is looked up.
    async fn routing_for(
        self: &Arc<Self>,
        message: &KerberosMessage,
        arrival: Arrival,
    ) -> Arc<Routing> {
        let routing = self.routing();
        let Some(resolver) = &routing.resolver else {
            return routing;
        };
        let (realm, terms) = {
            let routes = routing.routes();
            let realm = routes.configured(message.realm()).cloned();
            (realm, routes.terms(message.realm()).cloned())
        };
        let (Some(realm), Some(terms)) = (realm, terms) else {
            return routing;
        };
        let Some(looked_up) = resolver.resolve(&realm, self) else {
            return routing;
        };
        let deadline = arrival.at + terms.deadline;
        // Who has no more time is told what there is.
        drop(tokio::time::timeout_at(deadline.into(), looked_up).await);
        self.routing()
    }

    /// Answers `message`, within its realm's deadline from its arrival.
    pub async fn answer(self: &Arc<Self>, message: KerberosMessage, arrival: Arrival) -> Answered {
        self.wake();
        let (sender, receiver) = watch::channel(None);
        let asked =
            lock(&self.lookaside).ask(&message, arrival.udp_peer, arrival.at, || receiver.clone());
        match asked {
            Asked::Replay(answer) => {
                self.counters.replayed.add();
                let source = Source::Lookaside;
                return Answered { answer, source };
            }
            Asked::Join(waiting) => {
                self.counters.joined.add();
                let answer = self.wait(waiting, &message).await.answer;
                let source = Source::Lookaside;
                return Answered { answer, source };
            }
            Asked::Lead(lead) => {
                let leader = Leader {
                    exchange: Arc::clone(self),
                    message: message.clone(),
                    arrival,
                    lead,
                    answered: sender,
                };
                tokio::spawn(leader.run());
            }
        }
        self.wait(receiver, &message).await
    }

    /// Waits for the leader, whose deadline is no later than that of anyone who joined it.
    async fn wait(&self, mut waiting: Waiting, message: &KerberosMessage) -> Answered {
        let answer = waiting
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|answer| answer.clone());
        answer.unwrap_or_else(|| Answered {
            answer: self.routing().verdict(message, Cause::Unanswered, true),
            source: Source::Nobody,
        })
    }

    /// Takes each lock that requests take, one after the other: does not return while somebody holds one for good.
    pub fn take_turns(&self) {
        drop(self.routing().routes());
        drop(lock(&self.lookaside));
        drop(lock(&self.lines));
    }

    /// Whether no upstream of any realm can be reached, as far as was seen lately.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.routing().routes().is_cut_off(now())
    }

    /// Whether two names are of one realm, aliases included.
    #[must_use]
    pub fn is_same_realm(&self, one: &Realm, other: &Realm) -> bool {
        self.routing().routes().is_same(one, other)
    }

    /// The verdict on a message with the realm `inside` it, if that is one that is known here and does not offer what the
    /// message asks for.
    #[must_use]
    pub fn withheld(&self, message: &KerberosMessage, inside: &Realm) -> Option<Verdict> {
        let routing = self.routing();
        if !routing.routes().withholds(inside, message.service()) {
            return None;
        }
        self.counters.no_upstream.add();
        Some(Verdict {
            cause: Cause::NotOffered,
            may_have_been_sent: false,
            on_failure: routing.on_failure,
            realm: inside.clone(),
        })
    }

    /// The realm as it was configured, if it was, itself or as an alias: of those there are only so many, whatever
    /// clients ask for.
    #[must_use]
    pub fn configured(&self, realm: &Realm) -> Option<Realm> {
        self.routing().routes().configured(realm).cloned()
    }

    /// The upstreams by name, and whether each of them serves as far as is known; of those that share a name, whether all do.
    #[must_use]
    pub fn upstreams(&self) -> BTreeMap<String, bool> {
        let routing = self.routing();
        let routes = routing.routes();
        let mut upstreams = BTreeMap::new();
        for (place, upstream) in routing.upstreams.iter().enumerate() {
            let all = upstreams.entry(upstream.name().to_owned()).or_insert(true);
            *all &= !routes.is_ill(UpstreamId(place));
        }
        upstreams
    }
}

/// The runtime's clock, which a test can hold still.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
