//! One exchange: for all who ask the same, it takes the request through its upstreams.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::{Arrival, Exchange, Routing};
use crate::relay::answer::{Answer, Answered, Cause, Source};
use crate::relay::clock::{millis, now, unix_ms};
use crate::relay::detach::DetachOnDrop;
use crate::relay::retransmits::ExchangeTicket;
use crate::relay::routes::{Candidates, Wanted};
use crate::relay::status::{AttemptRecord, ExchangeOutcome, ExchangeRecord, Text};
use crate::relay::sync::lock;
use crate::relay::text::Quoted;
use crate::relay::upstream::{Fault, UserTurn};
use crate::wire::krb_error::NamedCode;
use crate::wire::{KerberosMessage, Kind, Reply};

/// So many exchanges are remembered for the status.
const MAX_RECENT: usize = 50;

/// What one exchange does.
pub(super) struct ExchangeTask {
    pub(super) exchange: Arc<Exchange>,
    pub(super) message: KerberosMessage,
    pub(super) arrival: Arrival,
    /// When it was its turn.
    pub(super) begun: Instant,
    pub(super) ticket: ExchangeTicket,
    pub(super) answered: watch::Sender<Option<Answered>>,
}

/// How an exchange ended.
pub(super) struct End {
    /// The answer, unless the verdict that was given before is the last word.
    pub(super) answer: Option<Answer>,
    /// The fault, if it was not a reply.
    pub(super) fault: Option<Fault>,
    /// The upstream that replied, or was asked last.
    pub(super) source: Source,
    /// What came of each attempt, if there was more than one.
    pub(super) attempts: Vec<AttemptRecord>,
}

impl End {
    /// The end of an exchange without an attempt.
    pub(super) fn unsent(verdict: Answer) -> Self {
        Self {
            answer: Some(verdict),
            fault: None,
            source: Source::Nobody,
            attempts: Vec::new(),
        }
    }

    pub(super) fn outcome(&self) -> ExchangeOutcome {
        match (&self.answer, &self.source) {
            (Some(Answer::Reply(_)), _) => ExchangeOutcome::Replied,
            (Some(Answer::Verdict(verdict)), Source::Nobody) => match verdict.cause {
                Cause::NoUpstream => ExchangeOutcome::NoUpstream,
                Cause::NotOffered => ExchangeOutcome::NotOffered,
                Cause::Unreachable => ExchangeOutcome::UpstreamUnknown,
                _ => ExchangeOutcome::Overloaded,
            },
            _ => ExchangeOutcome::Failed,
        }
    }
}

impl ExchangeTask {
    /// Runs where the first who asked waits for it, until it is `answered`. What is left of it then, or when he has gone, goes on by
    /// itself. No `async fn`: that would hold the exchange twice.
    pub(super) fn until_answered(
        self,
        answered: watch::Receiver<Option<Answered>>,
    ) -> impl Future<Output = Option<Answered>> {
        // A panic in it has its verdict told, and is nobody else's.
        let run = AssertUnwindSafe(self.run()).catch_unwind();
        let mut run = DetachOnDrop::new(run.map(drop));
        poll_fn(move |context| {
            let has_ended = run.poll_unpin(context).is_ready();
            let answered = answered.borrow().clone();
            if answered.is_some() || has_ended {
                Poll::Ready(answered)
            } else {
                Poll::Pending
            }
        })
    }

    async fn run(mut self) {
        let mut end = match self.users_turn().await {
            Ok(turn) => {
                // Waiting for it says nothing of the realm.
                self.begun = now();
                let end = self.exchange_and_record().await;
                if let Some(turn) = turn {
                    turn.end(&self.message, end.answer.as_ref());
                }
                end
            }
            Err(verdict) => End::unsent(verdict),
        };
        self.record(&mut end);
        if let (Some(Answer::Reply(reply)), Source::Upstream(name)) = (&end.answer, &end.source) {
            self.tell_resolver(name, reply);
        }
        if let Some(answer) = end.answer {
            self.settle(answer, end.source);
        }
    }

    /// Waits until it is its user's turn to ask the gateway that all users of this machine ask.
    async fn users_turn(&self) -> Result<Option<UserTurn>, Answer> {
        let routing = self.exchange.routing();
        if !routing.has_user_shares {
            return Ok(None);
        }
        let Ok(candidates) = self.candidates(&routing) else {
            return Ok(None);
        };
        let first = candidates.upstreams.first();
        let first = first.and_then(|first| routing.upstream(*first));
        let Some(shares) = first.and_then(|first| first.user_shares()) else {
            return Ok(None);
        };
        let deadline = self.arrival.at + candidates.route.deadline;
        let turn = shares.turn(self.arrival.holder, &self.message, deadline.into());
        turn.await.map_err(|()| {
            self.exchange.counters.held_back.add();
            routing.verdict(&self.message, Cause::HeldBack, false)
        })
    }

    pub(super) async fn exchange(&self) -> End {
        let networks = self.exchange.networks.subscribe();
        let routing = self.exchange.routing_for(&self.message, self.arrival).await;
        let counters = &self.exchange.counters;
        let candidates = match self.candidates(&routing) {
            Ok(candidates) => candidates,
            Err(cause) => {
                counters.no_upstream.add();
                return End::unsent(routing.verdict(&self.message, cause, false));
            }
        };
        let deadline = self.arrival.at + candidates.route.deadline;
        let turn = self.exchange.in_flight.turn(self.arrival.holder);
        let Ok(place) = timeout_at(deadline.into(), turn).await else {
            counters.overloaded.add();
            return End::unsent(routing.verdict(&self.message, Cause::Overloaded, false));
        };
        let evicted = CancellationToken::new();
        let attempts = Attempts::new(self, &routing, networks, candidates, deadline);
        let answer = pin!(attempts.run(&evicted));
        place.hold_for(answer, || evicted.clone()).await
    }

    fn candidates(&self, routing: &Routing) -> Result<Candidates, Cause> {
        let wanted = self.wanted(routing);
        let routes = routing.routes();
        routes.candidates(self.message.realm(), wanted, now())
    }

    fn wanted(&self, routing: &Routing) -> Wanted {
        let arrival = &self.arrival;
        let are_any = || {
            let changes = lock(&self.exchange.password_changes);
            changes.realms(now()).next().is_some()
        };
        let has_changed = || {
            let realm = routing.routes().realm_key(self.message.realm());
            lock(&self.exchange.password_changes).is_recent(arrival.client, realm, now())
        };
        Wanted {
            holder: arrival.holder,
            service: self.message.service(),
            primary: arrival.primary
                || self.message.kind() == Kind::AsReq && are_any() && has_changed(),
            rediscover: arrival.rediscover,
        }
    }

    /// Who looks up where the realm's requests go is told that this upstream is one of its.
    fn tell_resolver(&self, upstream: &str, reply: &Reply) {
        let (exchange, realm) = (&self.exchange, self.message.realm());
        let routing = exchange.routing();
        if let Some(resolver) = &routing.resolver
            && let Some(configured) = exchange.configured(realm)
            && reply
                .realm()
                .is_some_and(|of| exchange.is_same_realm(&of, realm))
        {
            resolver.replied(&configured, upstream, exchange);
        }
    }

    /// Remembers what may be a change of a password, before its user hears of it and logs in. A result that is no KRB-ERROR is
    /// encrypted (RFC 3244 2). One without a result counts as well, as he is told to try the new password first; but not at a
    /// gateway, where anybody can bring that about.
    fn record_change(&self, answer: &Answer) {
        let (routing, realm) = (self.exchange.routing(), self.message.realm());
        let (key, is_shared) = {
            let routes = routing.routes();
            let route = routes.route(realm);
            (
                routes.realm_key(realm),
                route.is_some_and(|route| route.shared),
            )
        };
        let may_be_changed = match answer {
            Answer::Reply(reply) => reply.error_code().is_none(),
            Answer::Verdict(verdict) => verdict.may_have_been_sent && !is_shared,
        };
        if may_be_changed {
            lock(&self.exchange.password_changes).record(self.arrival.client, key, now());
            let realm = Quoted(realm.as_str());
            tracing::debug!(%realm, "a password was changed: logins ask for the KDC that takes writes");
        }
    }

    pub(super) fn settle(&self, answer: Answer, source: Source) {
        if self.message.kind() == Kind::Kpasswd {
            self.record_change(&answer);
        }
        let retransmits = &self.exchange.retransmits;
        let forgotten = retransmits.settle(&self.ticket, &answer, now());
        self.exchange.counters.forgotten.add_all(forgotten);
        self.answered
            .send_replace(Some(Answered { answer, source }));
    }

    /// A line per exchange, at debug, and a place among the last ones: no principal, no secret.
    fn record(&self, end: &mut End) {
        let outcome = end.outcome();
        let upstream = match &end.source {
            Source::Upstream(name) => Some(&**name),
            Source::RetransmitCache | Source::Nobody => None,
        };
        let (kind, realm) = (self.message.kind(), self.message.realm().as_str());
        let (transport, took_ms) = (self.arrival.transport, millis(self.arrival.at.elapsed()));
        let fault = end.fault.as_ref();
        let krb_error = match &end.answer {
            Some(Answer::Reply(reply)) => reply.error_code(),
            _ => None,
        };
        let shown = match (fault, krb_error) {
            (Some(fault), _) => fault.to_string(),
            (None, Some(code)) => NamedCode(code).to_string(),
            (None, None) => outcome.to_string(),
        };
        tracing::debug!(
            %kind,
            realm = %Quoted(realm),
            transport,
            upstream,
            // As text, which is quoted in the line.
            outcome = shown,
            ms = took_ms,
            "exchange"
        );
        let record = ExchangeRecord {
            ended_at: unix_ms(SystemTime::now()),
            kind: Text::fixed(kind.name()),
            realm: realm.into(),
            transport: Text::fixed(transport),
            upstream: upstream.map(Text::from),
            outcome,
            // The log alone may name principals.
            fault: fault.map(Text::of_fault),
            krb_error,
            took_ms,
            attempts: std::mem::take(&mut end.attempts),
        };
        let mut recent = lock(&self.exchange.recent);
        recent.push_front(record);
        recent.truncate(MAX_RECENT);
    }
}

impl Drop for ExchangeTask {
    /// One that ends without a word panicked. What it had sent is not known, and must not be sent again by the copy
    /// that the client sends next.
    fn drop(&mut self) {
        if self.answered.borrow().is_none() {
            self.exchange.counters.panicked.add();
            let routing = self.exchange.routing();
            let verdict = routing.verdict(&self.message, Cause::Unanswered, true);
            self.settle(verdict, Source::Nobody);
        }
    }
}
