//! One request's way through its upstreams.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::{Routing, now};
use crate::relay::answer::{Answer, Cause, Verdict};
use crate::relay::counters::Counters;
use crate::relay::routes::{self, Candidates, Next, Over, UpstreamId};
use crate::relay::upstream::{ConnReuse, Fault, NotReply, Outgoing, SendState, Unsent};
use crate::wire::{KerberosMessage, Reply, Resend, Service, krb_error};

/// However often the network changes, no request has more copies.
const MAX_COPIES: usize = 8;
/// What must not be sent twice and has not left by then is called back: a connect has failed before.
const STUCK: Duration = Duration::from_millis(3500);

/// What is to be answered, and until when.
pub(super) struct Request<'a> {
    pub(super) message: &'a KerberosMessage,
    pub(super) deadline: Instant,
}

/// The copies of one request: those under way, and the upstreams that have not had one.
pub(super) struct Attempts<'a> {
    routing: &'a Routing,
    counters: &'a Counters,
    /// Says when the network has become another one.
    networks: watch::Receiver<u64>,
    candidates: Candidates,
    message: &'a KerberosMessage,
    deadline: Instant,
    untried: VecDeque<UpstreamId>,
    under_way: FuturesUnordered<BoxFuture<'static, Ended>>,
    /// Every copy so far; the youngest stands last.
    copies: Vec<Copy>,
    /// When the youngest copy is late, so that a harmless request goes another way as well.
    late: Option<Instant>,
    /// When the youngest copy has kept the request to itself for long enough.
    patience: Option<Instant>,
    last_fault: Option<Fault>,
    /// Whether an upstream was asked again for want of another.
    asked_again: bool,
}

/// One copy of the request.
struct Copy {
    upstream: UpstreamId,
    asked: Instant,
    sent: SendState,
    under_way: bool,
}

/// How the copy at a place in the list ended.
struct Ended {
    copy: usize,
    outcome: Result<Reply, Fault>,
}

/// What happens next while copies are under way.
enum Event {
    Ended(Ended),
    Late,
    OutOfPatience,
    NetworkChanged,
    Deadline,
}

/// How an exchange ended.
pub(super) struct End {
    /// The answer, unless the verdict that was given before is the last word.
    pub(super) answer: Option<Answer>,
    /// The fault, if it was not a reply.
    pub(super) fault: Option<Fault>,
    /// The upstream that was asked last.
    pub(super) upstream: Option<UpstreamId>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        routing: &'a Routing,
        counters: &'a Counters,
        networks: watch::Receiver<u64>,
        candidates: Candidates,
        Request { message, deadline }: Request<'a>,
    ) -> Self {
        Self {
            routing,
            counters,
            networks,
            message,
            deadline,
            untried: candidates.upstreams.iter().copied().collect(),
            candidates,
            under_way: FuturesUnordered::new(),
            copies: Vec::new(),
            late: None,
            patience: None,
            last_fault: None,
            asked_again: false,
        }
    }

    /// Tries the upstreams in order until one replies, the resend rule says stop, or time is up.
    ///
    /// `give_up` takes a verdict that is given while an answer is still listened for: an upstream that was silent
    /// before gets less patience than the deadline, and must yet be heard when it comes back to life.
    pub(super) async fn run(mut self, give_up: impl FnOnce(Option<UpstreamId>, Verdict)) -> End {
        let mut give_up = Some(give_up);
        self.start_next();
        while !self.under_way.is_empty() {
            match self.next_event().await {
                Event::Ended(ended) => match self.judge(ended.outcome) {
                    Ok(reply) => return self.replied(ended.copy, reply),
                    Err(fault) if self.is_under_way(ended.copy) => {
                        self.failed(ended.copy, fault, give_up.is_some());
                    }
                    // It was called back, and something else was begun instead.
                    Err(_) => {}
                },
                Event::Late if give_up.is_some() => self.race(),
                Event::NetworkChanged if give_up.is_some() => self.go_anew(),
                // What was told stays so: the copies under way are listened to, and no more are sent.
                Event::Late | Event::NetworkChanged => self.late = None,
                Event::OutOfPatience => {
                    if !self.move_on()
                        && !self.under_way.is_empty()
                        && let Some(give_up) = give_up.take()
                    {
                        give_up(self.youngest(), self.verdict(self.copies_that_left() > 0));
                    }
                }
                Event::Deadline => {
                    self.silent();
                    break;
                }
            }
        }
        self.end(give_up.is_none())
    }

    async fn next_event(&mut self) -> Event {
        let due = [
            (self.late, Event::Late),
            (self.patience, Event::OutOfPatience),
        ];
        let due = due
            .into_iter()
            .filter_map(|(due, event)| Some((due?, event)));
        let before_the_end = due.filter(|(due, _)| *due < self.deadline);
        let (due, event) = before_the_end
            .min_by_key(|(due, _)| *due)
            .unwrap_or((self.deadline, Event::Deadline));
        tokio::select! {
            biased;
            Some(ended) = self.under_way.next() => Event::Ended(ended),
            // It ends with the exchange alone.
            Ok(()) = self.networks.changed() => Event::NetworkChanged,
            () = sleep_until(due.into()) => event,
        }
    }

    /// Starts a copy to the next upstream; says whether there was one.
    fn start_next(&mut self) -> bool {
        let Some(upstream) = self.untried.pop_front() else {
            return false;
        };
        let reuse = match self.message.resend() {
            Resend::Harmless => ConnReuse::Any,
            Resend::Once => ConnReuse::KnownAlive,
        };
        self.start(upstream, reuse);
        true
    }

    /// Starts a copy to the next upstream, or else once more to the last one.
    fn start_next_or_again(&mut self, last: UpstreamId) {
        if !self.start_next() && !std::mem::replace(&mut self.asked_again, true) {
            self.start(last, ConnReuse::Any);
        }
    }

    fn start(&mut self, id: UpstreamId, reuse: ConnReuse) {
        let Some(upstream) = self.routing.upstream(id).cloned() else {
            return;
        };
        let (sent, terms) = (SendState::default(), &self.candidates.terms);
        let domain = terms.target_domain.as_deref();
        let outgoing = Outgoing {
            message: self.message.clone(),
            target_domain: domain.unwrap_or(self.message.realm().as_str()).to_owned(),
            dclocator_hint: terms.dclocator_hint,
            reuse,
            sent: sent.clone(),
            others: !self.untried.is_empty(),
        };
        let (copy, asked) = (self.copies.len(), now());
        self.counters.attempts.add();
        self.copies.push(Copy {
            upstream: id,
            asked,
            sent,
            under_way: true,
        });
        self.under_way.push(Box::pin(async move {
            Ended {
                copy,
                outcome: upstream.send(outgoing).await,
            }
        }));
        let routes = self.routing.routes();
        self.patience = routes.patience(id, asked);
        self.late = Some(match self.message.resend() {
            Resend::Harmless => routes.late(&self.candidates, id, Over::Kept, asked),
            Resend::Once => asked + STUCK,
        });
    }

    fn is_under_way(&self, copy: usize) -> bool {
        self.copies.get(copy).is_some_and(|copy| copy.under_way)
    }

    /// The youngest copy is late: a kept connection may be dead without a word, and else the upstream may be.
    fn race(&mut self) {
        self.late = None;
        let Some(copy) = self.copies.last() else {
            return;
        };
        let (upstream, asked, over_kept) =
            (copy.upstream, copy.asked, copy.sent.used_kept_connection());
        if self.message.resend() == Resend::Once {
            return self.unstick(upstream);
        }
        self.pass_over_direct(upstream);
        if over_kept {
            self.counters.raced.add();
            return self.start(upstream, ConnReuse::Never);
        }
        let routes = self.routing.routes();
        let late = routes.late(&self.candidates, upstream, Over::Fresh, asked);
        drop(routes);
        if late > now() {
            self.late = Some(late);
        } else if self.start_next() {
            self.counters.raced.add();
        }
    }

    /// What must not be sent twice waits for something else than an answer, such as a place on a kept connection: it goes over
    /// a fresh one, or elsewhere.
    fn unstick(&mut self, upstream: UpstreamId) {
        if self.copies.len() < MAX_COPIES && self.call_back() && !self.start_next() {
            self.start(upstream, ConnReuse::Never);
        }
    }

    /// Of several KDCs that might be on this network one is waited for; then they all come last.
    fn pass_over_direct(&mut self, upstream: UpstreamId) {
        let direct = &self.candidates.terms.direct;
        if direct.contains(&upstream) {
            let (last, first) = self
                .untried
                .drain(..)
                .partition::<Vec<_>, _>(|id| direct.contains(id));
            self.untried = first.into_iter().chain(last).collect();
        }
    }

    /// The network is another one. What has not left is called back and begins anew; what has left and is harmless goes
    /// again. Anything else may still be answered, and must not be sent twice.
    fn go_anew(&mut self) {
        let is_harmless = self.message.resend() == Resend::Harmless;
        if self.copies.len() < MAX_COPIES && (self.call_back() || is_harmless) {
            self.counters.raced.add();
            self.untried = self.candidates.upstreams.iter().copied().collect();
            self.start_next();
        }
    }

    /// Calls the copies back that have not left; says whether that is all of them.
    fn call_back(&mut self) -> bool {
        let mut all = true;
        for copy in self.copies.iter_mut().filter(|copy| copy.under_way) {
            copy.under_way = !copy.sent.withdraw();
            all &= !copy.under_way;
        }
        if all {
            self.under_way.clear();
        }
        all
    }

    /// Some replies say that there is none.
    fn judge(&self, outcome: Result<Reply, Fault>) -> Result<Reply, Fault> {
        let reply = outcome?;
        match reply.error_code() {
            Some(krb_error::KDC_ERR_SVC_UNAVAILABLE) if self.message.service() == Service::Kdc => {
                Err(Fault::NotServed)
            }
            Some(krb_error::KRB_AP_ERR_REPEAT) if self.copies_that_left() > 1 => Err(Fault::Repeat),
            _ => Ok(reply),
        }
    }

    fn copies_that_left(&self) -> usize {
        self.copies
            .iter()
            .filter(|copy| copy.sent.may_have_left())
            .count()
    }

    /// A copy failed: follows the resend rule, though to no other upstream once the verdict was given.
    fn failed(&mut self, copy: usize, fault: Fault, may_follow: bool) {
        let Some(copy) = self.copies.get_mut(copy) else {
            return;
        };
        copy.under_way = false;
        if fault.reached_no_kdc() {
            copy.sent = SendState::default();
        }
        let (upstream, asked) = (copy.upstream, copy.asked);
        if fault == Fault::NotKerberos(NotReply::Oversized) {
            self.counters.reply_too_long.add();
        }
        self.record(upstream, &fault, asked);
        if fault == Fault::NotSent(Unsent::ConnectTimeout) {
            self.pass_over_direct(upstream);
        }
        match routes::after(&fault, self.message.resend()) {
            Next::FreshConnection if may_follow => self.start(upstream, ConnReuse::Never),
            Next::OtherUpstream if may_follow => drop(self.start_next()),
            Next::OtherOrSame if may_follow => self.start_next_or_again(upstream),
            _ => {}
        }
        self.last_fault = Some(fault);
    }

    /// The youngest copy was silent for long enough; says whether the request went on to another upstream.
    fn move_on(&mut self) -> bool {
        self.patience = None;
        self.silent();
        // What must not be sent twice, and has not left yet, is called back: then it may go on, or ends as not sent.
        let called_back = self.message.resend() == Resend::Once && self.call_back();
        let next = routes::after(&Fault::Silent, self.message.resend());
        (called_back || next == Next::OtherUpstream) && self.start_next()
    }

    /// Records that the copies under way brought nothing in the time that they had.
    fn silent(&mut self) {
        for copy in self.copies.iter().filter(|copy| copy.under_way) {
            self.record(copy.upstream, &Fault::Silent, copy.asked);
        }
        self.last_fault = Some(Fault::Silent);
    }

    fn record(&self, upstream: UpstreamId, fault: &Fault, asked: Instant) {
        let change =
            self.routing
                .routes()
                .record_fault(&self.candidates, upstream, fault, asked, now());
        self.routing.tell(upstream, change);
    }

    fn replied(self, copy: usize, reply: Reply) -> End {
        let copy = self.copies.get(copy);
        if let Some(winner) = copy {
            let lost = |copy: &&Copy| copy.under_way && copy.asked < winner.asked;
            let losers = self.copies.iter().filter(lost);
            for copy in losers.filter(|copy| copy.upstream != winner.upstream) {
                self.record(copy.upstream, &Fault::Silent, copy.asked);
            }
            self.record_reply(winner);
        }
        let upstream = copy.map(|copy| copy.upstream);
        self.counters.replied.add();
        End {
            answer: Some(Answer::Reply(reply)),
            fault: None,
            upstream,
        }
    }

    fn record_reply(&self, copy: &Copy) {
        let (upstream, now) = (copy.upstream, now());
        let mut routes = self.routing.routes();
        let took = now.saturating_duration_since(copy.asked);
        if self.message.resend() == Resend::Harmless && copy.sent.used_kept_connection() {
            routes.record_pace(upstream, took);
        }
        routes.record_latency(upstream, took);
        let change = routes.record_reply(&self.candidates, upstream, now);
        drop(routes);
        self.routing.tell(upstream, change);
    }

    fn end(self, gave_up: bool) -> End {
        self.counters.failed.add();
        // A verdict that says "not sent" is final: what has not left is called back first.
        let may_have_been_sent = !self.copies.iter().all(|copy| copy.sent.withdraw());
        End {
            answer: (!gave_up).then(|| Answer::Verdict(self.verdict(may_have_been_sent))),
            upstream: self.youngest(),
            fault: self.last_fault,
        }
    }

    fn youngest(&self) -> Option<UpstreamId> {
        self.copies.last().map(|copy| copy.upstream)
    }

    fn verdict(&self, may_have_been_sent: bool) -> Verdict {
        Verdict {
            cause: self
                .last_fault
                .as_ref()
                .map_or(Cause::Unreachable, Cause::from),
            may_have_been_sent,
            on_failure: self.candidates.terms.on_failure,
            realm: self.message.realm().clone(),
        }
    }
}
