//! The observers of a gateway's requests: the access log and the metrics. They are told of each once, when it has ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;

use crate::gateway::access_log::AccessLog;
use crate::gateway::metrics::{InFlight, Metrics};
use crate::gateway::record::{RealmName, RequestRecord};
use crate::relay::answer::{Answer, Answered, Source};
use crate::relay::exchange::Exchange;
use crate::wire::{KerberosMessage, Realm};

/// The observers, as far as there are any.
#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// A line for each request.
    pub access_log: Option<AccessLog>,
    /// Numbers.
    pub metrics: Option<Arc<Metrics>>,
}

/// A request under way. It is recorded when this is dropped; before it has [ended](Self::end), as one whose client has gone.
pub(super) struct ObservedRequest {
    /// Nothing where nobody observes.
    pending: Option<PendingRecord>,
}

struct PendingRecord {
    observers: Observers,
    record: RequestRecord,
    since: Instant,
    /// Counted as under way until the record is.
    _in_flight: Option<InFlight>,
}

impl Observers {
    /// A request from `client`, or over a Unix socket, whose headers have come.
    pub(super) fn begin(&self, client: Option<IpAddr>) -> ObservedRequest {
        let is_observed = self.access_log.is_some() || self.metrics.is_some();
        let pending = is_observed.then(|| PendingRecord {
            observers: self.clone(),
            record: RequestRecord {
                client,
                kind: None,
                realm: None,
                inside: None,
                source: Source::Nobody,
                error_code: None,
                status: None,
                elapsed: Duration::ZERO,
                principal: None,
            },
            since: Instant::now(),
            _in_flight: self.metrics.as_ref().map(|metrics| metrics.begin()),
        });
        ObservedRequest { pending }
    }

    fn names_principals(&self) -> bool {
        let access_log = self.access_log.as_ref();
        access_log.is_some_and(AccessLog::names_principals)
    }

    fn observe(&self, record: &RequestRecord) {
        if let Some(access_log) = &self.access_log {
            access_log.write(record);
        }
        if let Some(metrics) = &self.metrics {
            metrics.count(record);
        }
    }
}

impl ObservedRequest {
    /// A request that is not recorded.
    pub(super) fn ignored() -> Self {
        Self { pending: None }
    }

    /// What it asks for, and the realm that stands `inside` if that is another one.
    pub(super) fn set_message(
        &mut self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
        exchange: &Exchange,
    ) {
        let Some(PendingRecord {
            observers, record, ..
        }) = &mut self.pending
        else {
            return;
        };
        let realm = message.realm();
        record.kind = Some(message.kind());
        record.inside = inside.cloned();
        record.realm = Some(match exchange.configured(realm) {
            Some(configured) => RealmName::Configured(configured),
            None => RealmName::Other(realm.clone()),
        });
        if observers.names_principals() {
            record.principal = message.client_name();
        }
    }

    /// What answered it, and how.
    pub(super) fn set_answer(&mut self, answered: &Answered) {
        let Some(PendingRecord { record, .. }) = &mut self.pending else {
            return;
        };
        record.source = answered.source.clone();
        if let Answer::Reply(reply) = &answered.answer {
            record.error_code = reply.error_code();
        }
    }

    /// What its client is told.
    pub(super) fn end(mut self, status: StatusCode) {
        if let Some(pending) = &mut self.pending {
            pending.record.status = Some(status.as_u16());
        }
    }
}

impl Drop for PendingRecord {
    fn drop(&mut self) {
        self.record.elapsed = self.since.elapsed();
        self.observers.observe(&self.record);
    }
}
