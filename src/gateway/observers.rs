//! The observers of a gateway's requests: the access log and the metrics. They are told of each once, when it has ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::StatusCode;

use crate::gateway::access_log::AccessLog;
use crate::gateway::metrics::{GaugeGuard, Metrics};
use crate::gateway::record::RequestRecord;
use crate::relay::answer::{Answer, Answered};
use crate::relay::exchange::Exchange;
use crate::wire::krb_error::KDC_ERR_POLICY;
use crate::wire::{KerberosMessage, Realm};

/// The observers, as far as there are any.
#[derive(Clone, Debug, Default)]
pub struct Observers {
    /// A line for each request.
    pub access_log: Option<AccessLog>,
    /// Numbers.
    pub metrics: Option<Arc<Metrics>>,
}

/// For requests that are not recorded.
pub(super) static NOBODY: Observers = Observers {
    access_log: None,
    metrics: None,
};

/// A request under way. It is recorded when this is dropped; before it has [ended](Self::end), as one whose client has gone.
pub(super) struct ObservedRequest<'a> {
    observers: &'a Observers,
    record: RequestRecord,
    since: Instant,
    /// Counted as under way until the record is.
    _in_flight: Option<GaugeGuard>,
}

impl Observers {
    /// A request from `client`, or over a Unix socket, whose headers have come. `name`: what its client has proved to be.
    pub(super) fn begin(
        &self,
        client: Option<IpAddr>,
        name: Option<Arc<str>>,
    ) -> ObservedRequest<'_> {
        let metrics = self.metrics.as_ref();
        ObservedRequest {
            observers: self,
            record: RequestRecord {
                client,
                name,
                ..RequestRecord::default()
            },
            since: Instant::now(),
            _in_flight: metrics.map(|metrics| GaugeGuard::new(&metrics.in_flight)),
        }
    }
}

impl ObservedRequest<'_> {
    /// What it asks for, and the realm that stands `inside` if that is another one.
    pub(super) fn set_message(
        &mut self,
        message: &KerberosMessage,
        inside: Option<&Realm>,
        exchange: &Exchange,
    ) {
        let configured = exchange.configured(message.realm());
        self.record.kind = Some(message.kind());
        self.record.is_configured = configured.is_some();
        self.record.realm = configured.or_else(|| Some(message.realm().clone()));
        self.record.inside = inside.cloned();
        if let Some(access_log) = &self.observers.access_log
            && access_log.names_principals
        {
            self.record.principal = message.client_name();
        }
    }

    /// What answered it, and how.
    pub(super) fn set_answer(&mut self, answered: &Answered) {
        self.record.source = answered.source.clone();
        if let Answer::Reply(reply) = &answered.answer {
            self.record.error_code = reply.error_code();
        }
    }

    /// A policy refused it, by this key of the configuration.
    pub(super) fn set_refusal(&mut self, key: &'static str) {
        self.record.refused_by = Some(key);
        self.record.error_code = Some(KDC_ERR_POLICY);
    }

    /// What its client is told.
    pub(super) fn end(mut self, status: StatusCode) {
        self.record.status = Some(status.as_u16());
    }
}

impl Drop for ObservedRequest<'_> {
    fn drop(&mut self) {
        self.record.elapsed = self.since.elapsed();
        if let Some(access_log) = &self.observers.access_log {
            access_log.write(&self.record);
        }
        if let Some(metrics) = &self.observers.metrics {
            metrics.count(&self.record);
        }
    }
}
