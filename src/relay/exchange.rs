//! Where a request becomes an answer.
//!
//! Whatever the way in: a copy of a request under way joins it, one answered a moment ago is answered again, and a new
//! one is taken through its upstreams. A client that hangs up strands nobody who joined it, and a panic ends that exchange
//! alone.

mod attempts;
mod reachability;
mod routing;
mod task;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use self::task::ExchangeTask;
use crate::relay::answer::{Answered, Cause, Source};
use crate::relay::clock::now;
use crate::relay::counters::Counters;
use crate::relay::network::{Clocks, Sleep};
use crate::relay::password_changes::PasswordChanges;
use crate::relay::quota::Quota;
use crate::relay::reachability::Reachability;
use crate::relay::retransmits::{Lookup, RetransmitCache};
use crate::relay::routes::{Route, UpstreamId};
use crate::relay::shares::{Holder, Shares};
use crate::relay::status::ExchangeRecord;
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
    /// Who asks, where clients are told apart.
    pub client: Option<IpAddr>,
    /// Who holds the places that it takes.
    pub holder: Holder,
    /// The transport's name, for the log.
    pub transport: &'static str,
    /// The KDC that takes writes is wanted ([MS-NRPC] 3.5.4.3.1).
    pub primary: bool,
    /// Another KDC than so far is wanted (DS_FORCE_REDISCOVERY, [MS-NRPC] 3.5.4.3.1).
    pub rediscover: bool,
}

impl Arrival {
    /// A request over `transport`, now.
    pub fn now(transport: &'static str) -> Self {
        Self {
            at: now(),
            udp_peer: None,
            client: None,
            holder: Holder::Unknown,
            transport,
            primary: false,
            rediscover: false,
        }
    }
}

/// Where joiners wait for the answer.
type Waiting = watch::Receiver<Option<Answered>>;

/// One relay: its routes, its retransmit cache, its limits and its counters.
#[derive(Debug)]
pub struct Exchange {
    routing: RwLock<Arc<Routing>>,
    retransmits: RetransmitCache<Waiting>,
    /// Of realms, whatever the network is and however they are configured.
    password_changes: Mutex<PasswordChanges>,
    in_flight: Arc<Shares>,
    max_in_flight: usize,
    counters: Counters,
    /// The last exchanges, the newest first.
    recent: Mutex<VecDeque<ExchangeRecord>>,
    sleep: Sleep,
    network_times: Mutex<NetworkTimes>,
    /// How often the network became another one: exchanges under way watch it.
    networks: watch::Sender<u64>,
    /// Which realms can be reached; who keeps it elsewhere watches it.
    reachability: watch::Sender<Reachability>,
    /// How many of its losses have been acted on: verdicts wait for that. All of them, where nobody goes by it.
    acted_on: watch::Sender<u64>,
    lines: Mutex<Quota>,
}

/// When the network changed last, and when a request showed last that the machine had slept.
#[derive(Clone, Copy, Debug, Default)]
struct NetworkTimes {
    changed: Option<SystemTime>,
    woke: Option<SystemTime>,
}

impl Exchange {
    /// A relay that has at most `max_in_flight` exchanges under way at once.
    pub fn new(routing: Routing, max_in_flight: usize) -> Arc<Self> {
        let exchange = Arc::new(Self {
            routing: RwLock::new(Arc::new(routing)),
            retransmits: RetransmitCache::default(),
            password_changes: Mutex::default(),
            in_flight: Shares::new(max_in_flight),
            max_in_flight,
            counters: Counters::default(),
            recent: Mutex::default(),
            sleep: Sleep::since(Clocks::now()),
            network_times: Mutex::default(),
            networks: watch::Sender::new(0),
            reachability: watch::Sender::default(),
            acted_on: watch::Sender::new(u64::MAX),
            lines: Mutex::default(),
        });
        let routing = exchange.routing();
        exchange.watch_realms(&routing);
        exchange
    }

    /// What has been counted.
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

    /// The same by another configuration: which realms can be reached has to be seen anew.
    pub fn reconfigure(&self, routing: Routing) {
        self.reroute(routing);
        self.watch_realms(&self.routing());
    }

    /// The network is another one: what was seen of upstreams no longer counts, kept connections lead nowhere, and exchanges
    /// under way may go another way.
    pub fn network_changed(&self) {
        self.counters.networks.add();
        lock(&self.network_times).changed = Some(SystemTime::now());
        self.start_anew("network changed", None);
    }

    /// The same if the machine slept: nobody kept its connections meanwhile, and it may be anywhere.
    fn wake(&self) {
        if let Some(slept) = self.sleep.until(Clocks::now()) {
            self.counters.sleeps.add();
            lock(&self.network_times).woke = Some(SystemTime::now());
            self.start_anew("resumed from sleep", Some(slept.as_secs()));
        }
    }

    fn start_anew(&self, event: &str, seconds: Option<u64>) {
        self.routing().forget();
        self.reachability
            .send_modify(|known| known.network_changed(now()));
        self.networks.send_modify(|networks| *networks += 1);
        if lock(&self.lines).spend(now()) {
            tracing::info!(seconds, "{event}");
        }
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
        let route = routing.routes().route(message.realm()).cloned();
        let (Some(realm), Some(route)) = (self.configured(message.realm()), route) else {
            return routing;
        };
        let Some(looked_up) = resolver.resolve(&realm, self) else {
            return routing;
        };
        let deadline = arrival.at + route.deadline;
        // A request that has no more time is answered by what is known.
        drop(tokio::time::timeout_at(deadline.into(), looked_up).await);
        self.routing()
    }

    /// Answers `message`, within its realm's deadline from its arrival.
    pub async fn answer(self: &Arc<Self>, message: KerberosMessage, arrival: Arrival) -> Answered {
        let answered = self.answer_at_once(&message, arrival).await;
        self.acted_on(&message, &arrival, &answered.answer).await;
        answered
    }

    async fn answer_at_once(
        self: &Arc<Self>,
        message: &KerberosMessage,
        arrival: Arrival,
    ) -> Answered {
        self.wake();
        let (sender, receiver) = watch::channel(None);
        let wait = || receiver.clone();
        let retransmits = &self.retransmits;
        let lookup = retransmits.lookup(message, arrival.udp_peer, arrival.at, wait);
        let answer = match lookup {
            Lookup::Replay(answer) => {
                self.counters.replayed.add();
                answer
            }
            Lookup::Join(waiting) => {
                self.counters.joined.add();
                self.wait(waiting, message).await.answer
            }
            Lookup::New(ticket) => {
                let task = ExchangeTask {
                    exchange: Arc::clone(self),
                    message: message.clone(),
                    arrival,
                    begun: now(),
                    ticket,
                    answered: sender,
                };
                let answered = task.until_answered(receiver).await;
                return answered.unwrap_or_else(|| self.unanswered(message));
            }
        };
        let source = Source::RetransmitCache;
        Answered { answer, source }
    }

    /// Waits for the exchange, whose deadline is no later than that of any request that joined it.
    async fn wait(&self, mut waiting: Waiting, message: &KerberosMessage) -> Answered {
        let answered = waiting.wait_for(Option::is_some).await;
        let answered = answered.ok().and_then(|answered| answered.clone());
        answered.unwrap_or_else(|| self.unanswered(message))
    }

    fn unanswered(&self, message: &KerberosMessage) -> Answered {
        Answered {
            answer: self.routing().verdict(message, Cause::Unanswered, true),
            source: Source::Nobody,
        }
    }

    /// Takes each lock that requests take, one after the other: does not return while somebody holds one for good.
    pub fn probe_locks(&self) {
        drop(self.routing().routes());
        self.retransmits.probe_locks();
        drop(lock(&self.password_changes));
        drop(lock(&self.lines));
    }

    /// True if no KDC of any realm has been reached since the start, or none can be as far as was seen lately.
    pub fn is_cut_off(&self) -> bool {
        let routing = self.routing();
        let routes = routing.routes();
        let is_new = !self.was_reached() && routes.realms(true).next().is_some();
        is_new || routes.is_cut_off(now())
    }

    /// True if there was a reply since the start.
    pub(crate) fn was_reached(&self) -> bool {
        self.counters.replied.get() > 0
    }

    /// The realms whose KDCs can be asked, where this relay is many clients'.
    pub(crate) fn shared_realms(&self) -> Vec<Realm> {
        let routing = self.routing();
        routing.routes().realms(true).cloned().collect()
    }

    /// True if two names are of one realm, aliases included.
    pub fn is_same_realm(&self, one: &Realm, other: &Realm) -> bool {
        self.routing().routes().is_same(one, other)
    }

    /// True if a message may name another realm `inside` than the one that it is addressed to. KDCs go by the realm inside, and may be
    /// those of realms that are not served here, or whose service is not.
    pub fn serves_inside(&self, message: &KerberosMessage, inside: &Realm) -> bool {
        let routing = self.routing();
        let routes = routing.routes();
        let offers = |route: &Arc<Route>| route.upstreams.get(message.service()).is_some();
        // Where nothing serves the realm that it is addressed to, that is said.
        let Some(route) = routes.route(message.realm()) else {
            return true;
        };
        let serves = route.serves_other_realms && routes.route(inside).is_none_or(offers);
        if !serves {
            self.counters.no_upstream.add();
        }
        serves
    }

    /// The realm as it was configured, if it was, itself or as an alias: of those there are only so many, whatever
    /// clients ask for.
    pub fn configured(&self, realm: &Realm) -> Option<Realm> {
        self.routing().routes().configured(realm).cloned()
    }

    /// The names of realms as they were configured, aliases among them.
    pub(crate) fn names(&self, realms: &[Realm]) -> Vec<Realm> {
        let routing = self.routing();
        let routes = routing.routes();
        let names = realms.iter().flat_map(|realm| routes.names(realm));
        names.cloned().collect()
    }

    /// The upstreams by name, and whether each of them serves as far as is known; of those that share a name, whether all do.
    pub fn upstreams(&self) -> BTreeMap<String, bool> {
        let routing = self.routing();
        let routes = routing.routes();
        let mut upstreams = BTreeMap::new();
        for (place, upstream) in routing.upstreams.iter().enumerate() {
            let all = upstreams.entry(upstream.name().to_owned()).or_insert(true);
            *all &= !routes.is_down(UpstreamId(place));
        }
        upstreams
    }
}

#[cfg(test)]
mod tests;
