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
    /// What came of it; none while it is under way.
    pub(super) record: Option<AttemptRecord>,
}

impl Attempt {
    pub(super) fn source(&self) -> Source {
        Source::Upstream(self.upstream.name().into())
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.record.is_none()
    }

    /// Ends it with an outcome or a fault: a line at debug, and a place in the status. No principal, no secret.
    pub(super) fn end(&mut self, outcome: Result<&str, Text>) {
        let (upstream, why) = (self.upstream.name(), self.why);
        let took_ms = millis(now().saturating_duration_since(self.started));
        let shown = match &outcome {
            Ok(outcome) => outcome,
            Err(fault) => fault.as_str(),
        };
        tracing::debug!(upstream, %why, outcome = shown, ms = took_ms, "attempt");
        self.record = Some(AttemptRecord {
            upstream: upstream.into(),
            why,
            fault: outcome.err(),
            took_ms,
        });
    }
}
