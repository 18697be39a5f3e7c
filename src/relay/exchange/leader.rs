//! The one who leads a request through its upstreams, for all who ask the same.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use super::attempts::{Attempts, Request};
use super::{Arrival, Exchange, Routing, now};
use crate::relay::answer::{Answer, Answered, Cause, Source};
use crate::relay::explain;
use crate::relay::retransmits::Lead;
use crate::relay::routes::Wanted;
use crate::relay::status::{ExchangeOutcome, ExchangeRecord, Text, unix_ms};
use crate::relay::sync::lock;
use crate::relay::text::Quoted;
use crate::relay::upstream::Fault;
use crate::wire::KerberosMessage;

/// The task that leads one exchange.
pub(super) struct Leader {
    pub(super) exchange: Arc<Exchange>,
    pub(super) message: KerberosMessage,
    pub(super) arrival: Arrival,
    pub(super) lead: Lead,
    pub(super) answered: watch::Sender<Option<Answered>>,
}

impl Leader {
    pub(super) async fn run(self) {
        let networks = self.exchange.networks.subscribe();
        let routing = self.exchange.routing_for(&self.message, self.arrival).await;
        let counters = &self.exchange.counters;
        let wanted = Wanted {
            service: self.message.service(),
            primary: self.arrival.primary,
        };
        let realm = self.message.realm();
        let candidates = routing.routes().candidates(realm, wanted, now());
        let candidates = match candidates {
            Ok(candidates) => candidates,
            Err(none) => {
                counters.no_upstream.add();
                return self.turn_away(&routing, Cause::from(none));
            }
        };
        let deadline = self.arrival.at + candidates.terms.deadline;
        let permit =
            tokio::time::timeout_at(deadline.into(), self.exchange.in_flight.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            counters.overloaded.add();
            return self.turn_away(&routing, Cause::Overloaded);
        };
        let request = Request {
            message: &self.message,
            deadline,
        };
        let attempts = Attempts::new(&routing, counters, networks, candidates, request);
        let end = attempts
            .run(|id, verdict| self.settle(Answer::Verdict(verdict), routing.source(id)))
            .await;
        let source = routing.source(end.upstream);
        let fault = end.fault.as_ref();
        match (&end.answer, fault) {
            (Some(Answer::Reply(reply)), None) => self.record(Ending {
                source: &source,
                outcome: ExchangeOutcome::Replied,
                fault,
                krb_error: reply.error_code(),
            }),
            _ => self.record(Ending {
                source: &source,
                outcome: ExchangeOutcome::Failed,
                fault,
                krb_error: None,
            }),
        }
        if let Some(answer) = end.answer {
            self.settle(answer, source);
        }
    }

    /// Ends an exchange of which nothing was sent.
    fn turn_away(&self, routing: &Routing, cause: Cause) {
        let outcome = match cause {
            Cause::NoUpstream => ExchangeOutcome::NoUpstream,
            Cause::NotOffered => ExchangeOutcome::NotOffered,
            Cause::Unreachable => ExchangeOutcome::UpstreamUnknown,
            _ => ExchangeOutcome::Overloaded,
        };
        self.record(Ending {
            source: &Source::Nobody,
            outcome,
            fault: None,
            krb_error: None,
        });
        let verdict = routing.verdict(&self.message, cause, false);
        self.settle(verdict, Source::Nobody);
    }

    fn settle(&self, answer: Answer, source: Source) {
        let forgotten = lock(&self.exchange.lookaside).settle(&self.lead, &answer, now());
        self.exchange.counters.forgotten.add_all(forgotten);
        self.answered
            .send_replace(Some(Answered { answer, source }));
    }

    /// A line per exchange, at debug, and a place among the last ones: no principal, no secret.
    fn record(&self, ending: Ending<'_>) {
        let upstream = match ending.source {
            Source::Upstream(name) => Some(&**name),
            Source::Lookaside | Source::Nobody => None,
        };
        let took = self.arrival.at.elapsed();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let outcome = match ending.fault {
            Some(fault) => fault.to_string(),
            None => ending.outcome.to_string(),
        };
        tracing::debug!(
            kind = %self.message.kind(),
            realm = %Quoted(self.message.realm().as_str()),
            transport = self.arrival.transport,
            upstream,
            outcome,
            ms = took_ms,
            "exchange"
        );
        self.exchange.recent.push(ExchangeRecord {
            ended_at: unix_ms(SystemTime::now()),
            kind: self.message.kind().name().into(),
            realm: self.message.realm().as_str().into(),
            transport: self.arrival.transport.into(),
            upstream: upstream.map(Text::from),
            outcome: ending.outcome,
            // The log alone may name principals.
            fault: ending
                .fault
                .map(|fault| Text::of_origins(&explain::what(fault))),
            krb_error: ending.krb_error,
            took_ms,
            attempts: Vec::new(),
        });
    }
}

/// How an exchange ended.
struct Ending<'a> {
    source: &'a Source,
    outcome: ExchangeOutcome,
    fault: Option<&'a Fault>,
    krb_error: Option<i32>,
}

impl Drop for Leader {
    /// A leader that ends without a word panicked. What it had sent is not known, and must not be sent again by the copy
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
