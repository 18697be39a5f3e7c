//! An attempt, what is kept and logged of it, and why others had none.

use std::sync::Arc;
use std::time::Instant;

use super::Attempts;
use crate::relay::answer::Source;
use crate::relay::clock::{ClockReading, millis, now, unix_ms};
use crate::relay::explain::UpstreamKind;
use crate::relay::routes::{StatusContext, UpstreamId};
use crate::relay::status::{AttemptReason, AttemptRecord, Text};
use crate::relay::upstream::{Fault, SendState, Upstream};
use crate::wire::{Realm, Resend};

impl Attempts<'_> {
    /// Records that the attempts under way brought nothing in the time that they had.
    pub(super) fn record_silence(&mut self) {
        for attempt in self.attempts.iter().filter(|each| each.is_under_way()) {
            self.record_fault(attempt, &Fault::out_of_time(attempt.sent.may_have_left()));
        }
        self.last_fault = Some(Fault::out_of_time(self.count_sent() > 0));
    }

    pub(super) fn record_fault(&self, attempt: &Attempt, fault: &Fault) {
        let (id, started) = (attempt.id, attempt.started);
        let mut routes = self.routing.routes();
        let is_news = routes.record_fault(&self.candidates, id, fault, started, now());
        let kdc_news = routes.kdc_news(&self.candidates, false, now());
        drop(routes);
        if is_news {
            let upstream = attempt.upstream.name();
            let (kind, fault) = (UpstreamKind::of(upstream), format_args!("{fault:#}"));
            tracing::info!(upstream, %fault, "{kind} down");
            self.task.exchange.route_changed();
        }
        log_kdc_news(kdc_news);
    }

    pub(super) fn record_reply(&self, attempt: &Attempt) {
        let (id, now) = (attempt.id, now());
        let took = now.saturating_duration_since(attempt.started);
        let is_harmless = self.message.resend() == Resend::Harmless;
        let is_round_trip = is_harmless && attempt.sent.used_kept_connection();
        let mut routes = self.routing.routes();
        routes.record_latency(id, took, is_round_trip);
        let is_news = routes.record_reply(&self.candidates, id, now);
        let kdc_news = routes.kdc_news(&self.candidates, true, now);
        drop(routes);
        if is_news {
            let upstream = attempt.upstream.name();
            tracing::info!(upstream, "{} up again", UpstreamKind::of(upstream));
            self.task.exchange.route_changed();
        }
        log_kdc_news(kdc_news);
    }

    /// Why there were no further attempts.
    pub(super) fn log_untried(&self) {
        let why_not = if self.message.resend() == Resend::Once && self.count_sent() > 0 {
            "what may have been sent must not be sent twice"
        } else {
            "the exchange ended before its turn"
        };
        let was_tried = |id: &UpstreamId| self.attempts.iter().any(|each| each.id == *id);
        for upstream in self.untried.iter().filter(|id| !was_tried(id)) {
            self.log_passed_over(*upstream, why_not, None);
        }
    }

    /// Which upstreams others are tried before, and why.
    pub(super) fn log_put_back(&self) {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let (upstreams, now) = (&self.routing.upstreams, ClockReading::now());
        let context = StatusContext { upstreams, now };
        let put_back = self.routing.routes().put_back(&self.candidates, context);
        for candidate in put_back {
            let why_not = candidate.state.to_string();
            let retry_at = candidate.retry_at;
            let retry_ms = retry_at.map(|at| at.saturating_sub(unix_ms(now.wall)));
            self.log_passed_over(UpstreamId(candidate.upstream), &why_not, retry_ms);
        }
    }

    fn log_passed_over(&self, upstream: UpstreamId, why_not: &str, retry_ms: Option<u64>) {
        if let Some(upstream) = self.routing.upstream(upstream).map(|each| each.name()) {
            let kind = UpstreamKind::of(upstream);
            tracing::debug!(upstream, why_not, retry_ms, "{kind} passed over");
        }
    }

    /// What came of each, if there was more than one: else the exchange itself says it.
    pub(super) fn into_records(self) -> Vec<AttemptRecord> {
        if self.attempts.len() < 2 {
            return Vec::new();
        }
        let attempts = self.attempts.into_iter();
        attempts.filter_map(Attempt::into_record).collect()
    }
}

/// Who runs it is to hear of a realm that it can serve no more, whether its KDCs are behind proxies or not.
fn log_kdc_news(news: Option<(Realm, bool)>) {
    match news {
        Some((realm, true)) => {
            tracing::warn!(%realm, "no KDC of the realm can be reached any more")
        }
        Some((realm, false)) => tracing::info!(%realm, "a KDC of the realm can be reached again"),
        None => {}
    }
}

/// One sending of the request to one upstream.
#[derive(Clone)]
pub(super) struct Attempt {
    /// Its place among them.
    pub(super) number: usize,
    pub(super) id: UpstreamId,
    pub(super) upstream: Arc<Upstream>,
    pub(super) why: AttemptReason,
    pub(super) started: Instant,
    pub(super) sent: SendState,
    /// Its fault, if it had one, and how long it took; none while it is under way.
    pub(super) ended: Option<(Option<Text>, u64)>,
}

impl Attempt {
    pub(super) fn source(&self) -> Source {
        Source::Upstream(self.upstream.name().into())
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    /// Ends it with an outcome or a fault, and says so at debug. No principal, no secret.
    pub(super) fn end(&mut self, outcome: Result<&str, Text>) {
        let (upstream, why) = (self.upstream.name(), self.why);
        let took_ms = millis(now().saturating_duration_since(self.started));
        let shown = match &outcome {
            Ok(outcome) => outcome,
            Err(fault) => fault.as_str(),
        };
        tracing::debug!(upstream, %why, outcome = shown, ms = took_ms, "attempt");
        self.ended = Some((outcome.err(), took_ms));
    }

    /// What the status shows of it.
    pub(super) fn into_record(self) -> Option<AttemptRecord> {
        let (fault, took_ms) = self.ended?;
        Some(AttemptRecord {
            upstream: self.upstream.name().into(),
            why: self.why,
            fault,
            took_ms,
        })
    }
}
