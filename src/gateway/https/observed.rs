//! One request under the eyes of those who observe, from its headers to its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::GatewayState;
use crate::gateway::metrics::InFlight;
use crate::gateway::record::{RealmName, Record};
use crate::relay::answer::{Answer, Answered, Source};
use crate::wire::{KerberosMessage, Realm};

/// What is known of a request so far. When it is dropped its observers hear of it; of one that is dropped before it
/// [ended](Self::end), that its client has gone.
pub(super) struct Observed {
    /// Nothing where nobody observes.
    seen: Option<Seen>,
}

struct Seen {
    site: Arc<GatewayState>,
    record: Record,
    since: Instant,
    /// Counted as under way until the record is.
    _in_flight: Option<InFlight>,
}

impl Observed {
    /// A request from `client`, or over a Unix socket, whose headers have come.
    pub(super) fn begin(site: &Arc<GatewayState>, client: Option<IpAddr>) -> Self {
        let observers = &site.terms.observers;
        let seen = observers.are_there().then(|| Seen {
            site: Arc::clone(site),
            record: Record {
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
            _in_flight: observers.metrics.as_ref().map(|metrics| metrics.begin()),
        });
        Self { seen }
    }

    /// A request that nobody wants to hear of.
    pub(super) fn ignored() -> Self {
        Self { seen: None }
    }

    /// What it asks for, and the realm that stands `inside` if that is another one.
    pub(super) fn asks(&mut self, message: &KerberosMessage, inside: Option<&Realm>) {
        let Some(Seen { site, record, .. }) = &mut self.seen else {
            return;
        };
        let realm = message.realm();
        let configured = site.exchange.configured(realm);
        record.kind = Some(message.kind());
        record.inside = inside.cloned();
        record.realm =
            Some(configured.map_or_else(|| RealmName::Other(realm.clone()), RealmName::Configured));
        if site.terms.observers.name_principals() {
            record.principal = message.client_name();
        }
    }

    /// Who answered it, and what.
    pub(super) fn hears(&mut self, answered: &Answered) {
        let Some(Seen { record, .. }) = &mut self.seen else {
            return;
        };
        record.source = answered.source.clone();
        if let Answer::Reply(reply) = &answered.answer {
            record.error_code = reply.error_code();
        }
    }

    /// What its client is told.
    pub(super) fn end(mut self, status: StatusCode) {
        if let Some(seen) = &mut self.seen {
            seen.record.status = Some(status.as_u16());
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.record.elapsed = self.since.elapsed();
        self.site.terms.observers.observe(&self.record);
    }
}
