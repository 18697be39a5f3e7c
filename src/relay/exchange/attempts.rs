//! One request's attempts: where it goes, when it goes elsewhere as well, and what came of each.

mod records;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use self::records::Attempt;
use super::Routing;
use super::task::{End, ExchangeTask};
use crate::relay::answer::{Answer, Cause, Source};
use crate::relay::clock::now;
use crate::relay::counters::Counters;
use crate::relay::routes::{self, Candidates, Next, UpstreamId};
use crate::relay::status::{AttemptReason, Text};
use crate::relay::upstream::{ConnReuse, Fault, NotReply, Outgoing, SendState, Unsent};
use crate::wire::{KerberosMessage, Kind, Realm, Reply, Resend, krb_error};

/// However often the network changes, no request has more attempts.
const MAX_ATTEMPTS: usize = 8;
/// What must not be sent twice and has not left by then is called back: a connect has failed before.
const STUCK: Duration = Duration::from_millis(3500);

/// The attempts of one request so far, and the upstreams that have had none.
pub(super) struct Attempts<'a> {
    task: &'a ExchangeTask,
    message: &'a KerberosMessage,
    counters: &'a Counters,
    routing: &'a Routing,
    /// Says when the network has become another one.
    networks: watch::Receiver<u64>,
    candidates: Candidates,
    deadline: Instant,
    untried: VecDeque<UpstreamId>,
    under_way: FuturesUnordered<BoxFuture<'static, (Attempt, Result<Reply, Fault>)>>,
    /// In the order in which they were started.
    attempts: Vec<Attempt>,
    /// When the last attempt is late, so that a harmless request goes another way as well.
    late: Option<Instant>,
    /// When the last attempt has kept the request to itself for long enough.
    patience: Option<Instant>,
    last_fault: Option<Fault>,
    /// The verdict was given: what was told stays so, and nothing more is sent.
    gave_up: bool,
}

/// What happens next while attempts are under way.
enum Event {
    Ended(Attempt, Result<Reply, Fault>),
    Late,
    OutOfPatience,
    NetworkChanged,
    Deadline,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        task: &'a ExchangeTask,
        routing: &'a Routing,
        networks: watch::Receiver<u64>,
        candidates: Candidates,
        deadline: Instant,
    ) -> Self {
        Self {
            task,
            message: &task.message,
            counters: &task.exchange.counters,
            routing,
            networks,
            deadline,
            untried: candidates.upstreams.iter().copied().collect(),
            candidates,
            under_way: FuturesUnordered::new(),
            attempts: Vec::new(),
            late: None,
            patience: None,
            last_fault: None,
            gave_up: false,
        }
    }

    /// Tries the upstreams in order until one replies, the resend rule says stop, or time is up; or it is `evicted`, as another
    /// request needs the place.
    pub(super) async fn run(mut self, evicted: &CancellationToken) -> End {
        self.log_put_back();
        self.start_next(AttemptReason::First);
        while !self.under_way.is_empty() {
            let event = tokio::select! {
                biased;
                event = self.next_event() => event,
                () = evicted.cancelled() => return self.end(true),
            };
            match event {
                Event::Ended(attempt, outcome) => match self.judge(outcome) {
                    Ok(reply) => return self.replied(attempt, reply),
                    Err(fault) => self.failed(attempt.number, fault),
                },
                Event::Late => self.hedge(),
                Event::NetworkChanged => self.restart_on_network_change(),
                Event::OutOfPatience => self.lose_patience(),
                Event::Deadline => {
                    self.record_silence();
                    break;
                }
            }
        }
        self.end(false)
    }

    async fn next_event(&mut self) -> Event {
        let timers = [
            (self.late, Event::Late),
            (self.patience, Event::OutOfPatience),
        ];
        let timers = timers.into_iter();
        let timers = timers.filter_map(|(due, event)| Some((due?, event)));
        let first = timers.min_by_key(|(due, _)| *due);
        let first = first.filter(|(due, _)| *due < self.deadline);
        let (due, event) = first.unwrap_or((self.deadline, Event::Deadline));
        tokio::select! {
            biased;
            Some((attempt, outcome)) = self.under_way.next() => Event::Ended(attempt, outcome),
            // It ends with the exchange alone.
            Ok(()) = self.networks.changed() => Event::NetworkChanged,
            () = sleep_until(due.into()) => event,
        }
    }

    /// Starts an attempt at the next upstream; says whether there was one.
    fn start_next(&mut self, why: AttemptReason) -> bool {
        let reuse = match self.message.resend() {
            Resend::Harmless => ConnReuse::Any,
            Resend::Once => ConnReuse::KnownAlive,
        };
        let next = self.untried.pop_front();
        next.is_some_and(|upstream| self.start(why, upstream, reuse))
    }

    /// Starts an attempt, unless the verdict was given. Every attempt begins here.
    fn start(&mut self, why: AttemptReason, id: UpstreamId, reuse: ConnReuse) -> bool {
        let Some(upstream) = self.routing.upstream(id).filter(|_| !self.gave_up) else {
            return false;
        };
        let (upstream, sent) = (Arc::clone(upstream), SendState::default());
        let route = &self.candidates.route;
        let domain = route.target_domain.as_deref();
        let outgoing = Outgoing {
            message: self.message.clone(),
            target_domain: domain.unwrap_or(self.message.realm().as_str()).to_owned(),
            dclocator_hint: self.candidates.dclocator_hint(),
            holder: self.task.arrival.holder,
            reuse,
            sent: sent.clone(),
            others: !self.untried.is_empty(),
            deadline: Some(self.deadline),
        };
        let attempt = Attempt {
            number: self.attempts.len(),
            id,
            upstream: Arc::clone(&upstream),
            why,
            started: now(),
            sent,
            ended: None,
        };
        self.counters.attempts.add();
        if matches!(why, AttemptReason::Hedge | AttemptReason::Resume) {
            self.counters.raced.add();
        }
        let routes = self.routing.routes();
        self.patience = routes.patience(id, self.task.arrival.holder, attempt.started);
        self.late = Some(match self.message.resend() {
            Resend::Harmless => routes.late(&self.candidates, id, true, attempt.started),
            Resend::Once => attempt.started + STUCK,
        });
        self.attempts.push(attempt.clone());
        let send = async move { (attempt, upstream.send(outgoing).await) };
        self.under_way.push(Box::pin(send));
        true
    }

    /// The last attempt is late: its upstream is slow, or its connection is dead without a word. Who is slow is not asked twice, and of
    /// a dead connection its end is told soon enough.
    fn hedge(&mut self) {
        self.late = None;
        let Some(attempt) = self.attempts.last() else {
            return;
        };
        let (upstream, started) = (attempt.id, attempt.started);
        let over_kept = attempt.sent.used_kept_connection();
        if self.message.resend() == Resend::Once {
            return self.retry_unsent(upstream);
        }
        self.put_local_kdcs_last(upstream);
        if self.must_stay_with(upstream) {
            return;
        }
        let routes = self.routing.routes();
        let late = routes.late(&self.candidates, upstream, over_kept, started);
        drop(routes);
        if late > now() {
            self.late = Some(late);
        } else {
            self.start_next(AttemptReason::Hedge);
        }
    }

    /// A login after a change of its password waits for the primary, as what other KDCs say may no longer be so; but not for one
    /// that was silent before.
    fn must_stay_with(&self, upstream: UpstreamId) -> bool {
        let is_primary = |id: &UpstreamId| self.candidates.is_live_primary(*id);
        let is_login = self.message.kind() == Kind::AsReq;
        is_login && is_primary(&upstream) && !self.untried.front().is_some_and(is_primary)
    }

    /// What must not be sent twice waits for something else than an answer, such as a place on a kept connection: it goes
    /// elsewhere, or over a fresh one.
    fn retry_unsent(&mut self, upstream: UpstreamId) {
        let why = AttemptReason::Failover;
        if self.attempts.len() < MAX_ATTEMPTS && self.call_back() && !self.start_next(why) {
            self.start(why, upstream, ConnReuse::Never);
        }
    }

    /// Of several KDCs that might be on this network one is waited for; then they all come last.
    fn put_local_kdcs_last(&mut self, upstream: UpstreamId) {
        let local = &self.candidates.route.local_kdcs;
        if local.contains(&upstream) {
            let untried = self.untried.make_contiguous();
            untried.sort_by_key(|id| local.contains(id));
        }
    }

    /// The network is another one. What has not left is called back and begins anew; what has left and is harmless goes
    /// again. Anything else may still be answered, and must not be sent twice.
    fn restart_on_network_change(&mut self) {
        if self.gave_up || self.attempts.len() >= MAX_ATTEMPTS {
            return;
        }
        if self.call_back() || self.message.resend() == Resend::Harmless {
            self.untried = self.candidates.upstreams.iter().copied().collect();
            self.start_next(AttemptReason::Resume);
        }
    }

    /// Calls the attempts back of which nothing has left; says whether that is all of them.
    fn call_back(&mut self) -> bool {
        for attempt in self.attempts.iter_mut().filter(|each| each.is_under_way()) {
            if attempt.sent.withdraw() {
                attempt.end(Err("called back before it was sent".into()));
            }
        }
        let are_all = !self.attempts.iter().any(Attempt::is_under_way);
        if are_all {
            self.under_way.clear();
        }
        are_all
    }

    /// A reply that does not answer the request is a fault.
    fn judge(&self, outcome: Result<Reply, Fault>) -> Result<Reply, Fault> {
        let (reply, request) = (outcome?, self.message.kind());
        if self.is_of_another_realm(&reply) {
            return Err(Fault::NotKerberos(NotReply::OtherReply));
        }
        routes::fault_in_reply(&reply, request, self.count_sent()).map_or(Ok(reply), Err)
    }

    /// The KRB-ERROR is of the KDC of another realm than was asked, and no referral (RFC 6806 7). A name without a dot says nothing:
    /// Active Directory is asked by its short name and answers by the long one, and Heimdal writes that it knows none.
    fn is_of_another_realm(&self, reply: &Reply) -> bool {
        let code = reply.error_code();
        let Some(realm) = code.and_then(|_| reply.realm()) else {
            return false;
        };
        let message = self.message;
        if code == Some(krb_error::KDC_ERR_WRONG_REALM) || realm.key() == message.realm().key() {
            return false;
        }
        // A gateway is asked for a target-domain, and KDCs answer for the realm in the message.
        let inside = KerberosMessage::parse(message.service(), message.bytes().clone());
        let target = self.candidates.route.target_domain.as_deref();
        let target = target.and_then(|domain| Realm::parse(domain.as_bytes()).ok());
        let inside = inside.as_ref().ok().map(KerberosMessage::realm);
        let asked = [Some(message.realm()), inside, target.as_ref()];
        let is_zone = |realm: &Realm| realm.as_str().contains('.');
        let is_other =
            |asked: &Realm| is_zone(asked) && !self.routing.routes().is_same(asked, &realm);
        is_zone(&realm) && asked.into_iter().flatten().all(is_other)
    }

    /// The attempts of which something may have left.
    fn count_sent(&self) -> usize {
        let attempts = self.attempts.iter();
        attempts.filter(|each| each.sent.may_have_left()).count()
    }

    /// An attempt failed: follows the resend rule.
    fn failed(&mut self, attempt: usize, fault: Fault) {
        let attempt = self.attempts.get_mut(attempt);
        let Some(attempt) = attempt.filter(|each| each.is_under_way()) else {
            // It was called back, and another one was started instead.
            return;
        };
        attempt.end(Err(Text::of_fault(&fault)));
        if fault.surely_not_served() {
            // No KDC has it: it no longer counts among those that may have left.
            attempt.sent = SendState::default();
        }
        let attempt = attempt.clone();
        if fault == Fault::NotKerberos(NotReply::Oversized) {
            self.counters.reply_too_long.add();
        }
        self.record_fault(&attempt, &fault);
        if fault == Fault::NotSent(Unsent::ConnectTimeout) {
            self.put_local_kdcs_last(attempt.id);
        }
        self.failover(attempt.id, &fault);
        self.last_fault = Some(fault);
    }

    fn failover(&mut self, upstream: UpstreamId, fault: &Fault) {
        let why = AttemptReason::Failover;
        let stays = self.must_stay_with(upstream) && !fault.surely_not_served();
        match routes::after(fault, self.message.resend()) {
            Next::OtherUpstream if stays => {}
            Next::FreshConnection => drop(self.start(why, upstream, ConnReuse::Never)),
            Next::OtherUpstream => drop(self.start_next(why)),
            Next::OtherOrSame => {
                let same = self.attempts.iter().filter(|each| each.id == upstream);
                let is_first = same.count() == 1;
                // Not while another one may still answer: a hedge is under way then.
                let is_alone = !self.attempts.iter().any(Attempt::is_under_way);
                if (stays || !self.start_next(why)) && is_first && is_alone {
                    self.start(why, upstream, ConnReuse::Any);
                }
            }
            Next::Stop => {}
        }
    }

    /// The last attempt was silent for long enough: goes on to another upstream, or gives the verdict. An upstream that was
    /// silent before gets less time than the deadline, and must yet be heard when it comes back to life.
    fn lose_patience(&mut self) {
        self.patience = None;
        self.record_silence();
        let stays = |attempt: &Attempt| self.must_stay_with(attempt.id);
        let stays = self.attempts.last().is_some_and(stays);
        // What must not be sent twice, and has not left yet, is called back: then it may go on, or ends as not sent.
        let may_go_on = self.message.resend() == Resend::Harmless && !stays || self.call_back();
        let goes_on = may_go_on && self.start_next(AttemptReason::Failover);
        if !goes_on && !self.under_way.is_empty() && !self.gave_up {
            self.gave_up = true;
            let verdict = self.verdict(self.cause(), self.count_sent() > 0);
            // What a verdict says of the realm is known before it is given.
            self.task.record_failure();
            self.task.settle(verdict, self.last_asked());
        }
    }

    fn replied(mut self, winner: Attempt, reply: Reply) -> End {
        self.counters.replied.add();
        let others = self.attempts.iter().filter(|each| each.is_under_way());
        for slower in others.filter(|each| each.started < winner.started && each.id != winner.id) {
            self.record_fault(slower, &Fault::Silent);
        }
        self.record_reply(&winner);
        for attempt in self.attempts.iter_mut().filter(|each| each.is_under_way()) {
            let is_winner = attempt.number == winner.number;
            attempt.end(Ok(if is_winner { "replied" } else { "superseded" }));
        }
        End {
            answer: Some(Answer::Reply(reply)),
            fault: None,
            source: winner.source(),
            attempts: self.into_records(),
        }
    }

    /// The end without a reply. That what `was_evicted` had none yet says nothing of its upstreams.
    fn end(mut self, was_evicted: bool) -> End {
        let (counter, cause, fault) = if was_evicted {
            (&self.counters.overloaded, Cause::Overloaded, None)
        } else {
            (&self.counters.failed, self.cause(), self.last_fault.take())
        };
        counter.add();
        for attempt in self.attempts.iter_mut().filter(|each| each.is_under_way()) {
            let fault = Fault::out_of_time(attempt.sent.may_have_left());
            attempt.end(Err(Text::of_fault(&fault)));
        }
        self.log_untried();
        // A verdict that says "not sent" is final: what has not left is called back first.
        let may_have_been_sent = !self.attempts.iter().all(|each| each.sent.withdraw());
        End {
            answer: (!self.gave_up).then(|| self.verdict(cause, may_have_been_sent)),
            source: self.last_asked(),
            fault,
            attempts: self.into_records(),
        }
    }

    fn last_asked(&self) -> Source {
        self.attempts.last().map_or(Source::Nobody, Attempt::source)
    }

    fn cause(&self) -> Cause {
        let fault = self.last_fault.as_ref();
        fault.map_or(Cause::Unreachable, Cause::from)
    }

    fn verdict(&self, cause: Cause, may_have_been_sent: bool) -> Answer {
        self.routing
            .verdict(self.message, cause, may_have_been_sent)
    }
}
