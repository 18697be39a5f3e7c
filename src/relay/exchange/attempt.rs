//! One attempt, and what is told of it.

use std::sync::Arc;
use std::time::Instant;

use super::now;
use crate::relay::answer::Source;
use crate::relay::routes::UpstreamId;
use crate::relay::status::{AttemptReason, AttemptRecord, Text, millis};
use crate::relay::upstream::{SendState, Upstream};

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
