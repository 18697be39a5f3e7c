//! The room where a request becomes an answer.
//!
//! Whatever the way in: a copy of a request under way joins it, one answered a moment ago is answered again, and a new
//! one is led through its upstreams. The leader runs in a task of its own, so that a client that hangs up
//! strands nobody who joined it, and so that a panic ends that exchange alone.

mod attempts;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};

use self::attempts::{Attempts, End};
use crate::answer::{Answer, Cause, OnFailure, Verdict};
use crate::counters::Counters;
use crate::lookaside::{Asked, Lead, Lookaside};
use crate::route::{Change, Routes, UpstreamId};
use crate::upstream::Fault;
use crate::upstream::kkdcp::KdcProxy;
use crate::wire::KerberosMessage;

/// Where a request came from and when.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When its last octet was read; deadlines count from here.
    pub at: Instant,
    /// Its sender, if it came over UDP.
    pub udp_peer: Option<SocketAddr>,
    /// The transport's name, for the log.
    pub transport: &'static str,
}

/// The realms' routes and the upstreams that they lead to; replaced as a whole when the configuration is read anew.
#[derive(Debug)]
pub struct Routing {
    routes: Mutex<Routes>,
    upstreams: Vec<Arc<KdcProxy>>,
    on_failure: OnFailure,
}

impl Routing {
    /// `routes` speaks of `upstreams` by their place; `on_failure` is for realms that have no route.
    #[must_use]
    pub fn new(routes: Routes, upstreams: Vec<Arc<KdcProxy>>, on_failure: OnFailure) -> Self {
        Self {
            routes: Mutex::new(routes),
            upstreams,
            on_failure,
        }
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        lock(&self.routes)
    }

    fn upstream(&self, id: UpstreamId) -> Option<&Arc<KdcProxy>> {
        self.upstreams.get(id.0)
    }

    /// Tells a change of health in the log, once.
    fn tell(&self, id: UpstreamId, change: Option<Change>) {
        let Some(upstream) = self.upstream(id).map(|upstream| upstream.name()) else {
            return;
        };
        match change {
            Some(Change::Ill(fault)) => tracing::info!(upstream, %fault, "upstream ill"),
            Some(Change::Well) => tracing::info!(upstream, "upstream well again"),
            None => {}
        }
    }
}

/// Where joiners wait for the leader's answer.
type Waiting = watch::Receiver<Option<Answer>>;

/// One relay: its routes, its lookaside, its limits and its counters.
#[derive(Debug)]
pub struct Exchange {
    routing: RwLock<Arc<Routing>>,
    lookaside: Mutex<Lookaside<Waiting>>,
    in_flight: Semaphore,
    counters: Counters,
}

impl Exchange {
    /// A relay that leads at most `max_in_flight` exchanges at once.
    #[must_use]
    pub fn new(routing: Routing, max_in_flight: usize) -> Arc<Self> {
        Arc::new(Self {
            routing: RwLock::new(Arc::new(routing)),
            lookaside: Mutex::default(),
            in_flight: Semaphore::new(max_in_flight),
            counters: Counters::default(),
        })
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Replaces the routes and upstreams; exchanges under way end on the old ones.
    pub fn reroute(&self, routing: Routing) {
        *self.routing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(routing);
    }

    fn routing(&self) -> Arc<Routing> {
        Arc::clone(&self.routing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers `message`, within its realm's deadline from its arrival.
    pub async fn answer(self: &Arc<Self>, message: KerberosMessage, arrival: Arrival) -> Answer {
        let (sender, receiver) = watch::channel(None);
        let asked =
            lock(&self.lookaside).ask(&message, arrival.udp_peer, arrival.at, || receiver.clone());
        match asked {
            Asked::Replay(answer) => {
                self.counters.replayed.add();
                return answer;
            }
            Asked::Join(waiting) => {
                self.counters.joined.add();
                return self.wait(waiting, &message).await;
            }
            Asked::Lead(lead) => {
                let leader = Leader {
                    exchange: Arc::clone(self),
                    lead,
                    answered: sender,
                };
                tokio::spawn(leader.run(message.clone(), arrival));
            }
        }
        self.wait(receiver, &message).await
    }

    /// Waits for the leader, whose deadline is no later than that of anyone who joined it.
    async fn wait(&self, mut waiting: Waiting, message: &KerberosMessage) -> Answer {
        let answer = waiting
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|answer| answer.clone());
        // A leader that ended without a word panicked: what it had sent is not known.
        answer.unwrap_or_else(|| {
            self.counters.panicked.add();
            Answer::Verdict(self.routing().verdict(message, Cause::Unanswered, true))
        })
    }
}

impl Routing {
    /// A verdict on a message that no attempt was made for, told as its realm wants it.
    fn verdict(
        &self,
        message: &KerberosMessage,
        cause: Cause,
        may_have_been_sent: bool,
    ) -> Verdict {
        let candidates = self.routes().candidates(message.realm());
        Verdict {
            cause,
            may_have_been_sent,
            on_failure: candidates.map_or(self.on_failure, |found| found.terms.on_failure),
            realm: message.realm().clone(),
        }
    }
}

/// The task that leads one exchange.
struct Leader {
    exchange: Arc<Exchange>,
    lead: Lead,
    answered: watch::Sender<Option<Answer>>,
}

impl Leader {
    async fn run(self, message: KerberosMessage, arrival: Arrival) {
        let routing = self.exchange.routing();
        let candidates = routing.routes().candidates(message.realm());
        let Some(candidates) = candidates else {
            self.exchange.counters.no_upstream.add();
            return self.settle(Answer::Verdict(routing.verdict(
                &message,
                Cause::NoUpstream,
                false,
            )));
        };
        let deadline = arrival.at + candidates.terms.deadline;
        let permit =
            tokio::time::timeout_at(deadline.into(), self.exchange.in_flight.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            self.exchange.counters.overloaded.add();
            return self.settle(Answer::Verdict(routing.verdict(
                &message,
                Cause::Overloaded,
                false,
            )));
        };
        let attempts = Attempts::new(
            &routing,
            &self.exchange.counters,
            candidates,
            &message,
            deadline,
        );
        let end = attempts
            .run(|verdict| self.settle(Answer::Verdict(verdict)))
            .await;
        log(&message, &arrival, &routing, &end);
        if let Some(answer) = end.answer {
            self.settle(answer);
        }
    }

    fn settle(&self, answer: Answer) {
        lock(&self.exchange.lookaside).settle(&self.lead, &answer, Instant::now());
        self.answered.send_replace(Some(answer));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.answered.borrow().is_none() {
            lock(&self.exchange.lookaside).abandon(&self.lead);
        }
    }
}

/// A line per exchange, at debug: no principal, no secret.
fn log(message: &KerberosMessage, arrival: &Arrival, routing: &Routing, end: &End) {
    let upstream = end
        .upstream
        .and_then(|id| routing.upstream(id))
        .map(|upstream| upstream.name());
    tracing::debug!(
        kind = %message.kind(),
        realm = %message.realm(),
        transport = arrival.transport,
        upstream,
        outcome = end.fault.as_ref().map_or_else(|| "replied".to_owned(), Fault::to_string),
        ms = u64::try_from(arrival.at.elapsed().as_millis()).unwrap_or(u64::MAX),
        "exchange"
    );
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
