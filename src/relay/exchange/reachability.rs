//! What the exchanges know of their realms: whether they can be reached, and all else that the status shows.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::task::{End, ExchangeTask};
use super::{Arrival, Exchange, Routing};
use crate::relay::answer::Answer;
use crate::relay::asking::OWN;
use crate::relay::clock::{ClockReading, now, unix_ms};
use crate::relay::reachability::{HELD, LATE, Reachability, RetryReason};
use crate::relay::routes::{StatusContext, is_outage};
use crate::relay::status::{
    ExchangeOutcome, ExchangeRecord, NetworkStatus, RealmStatus, UpstreamStatus,
};
use crate::relay::sync::lock;
use crate::wire::{KerberosMessage, Kind, Realm, RealmKey, Reply, Service};

impl Exchange {
    /// Which realms can be reached, now and as that changes.
    pub(crate) fn reachability(&self) -> watch::Receiver<Reachability> {
        self.reachability.subscribe()
    }

    /// Has those who watch look again: what can be reached may be so by another way.
    pub(super) fn route_changed(&self) {
        self.reachability.send_modify(|_| {});
    }

    /// How often the network became another one: to be watched.
    pub(crate) fn network_changes(&self) -> watch::Receiver<u64> {
        self.networks.subscribe()
    }

    /// These are the realms that are seen to be reachable or not from now on. At a gateway none is: nobody there goes by it.
    pub(super) fn watch_realms(&self, routing: &Routing) {
        let realms: Vec<_> = routing.routes().realms(false).cloned().collect();
        self.reachability
            .send_modify(|known| known.configure(realms, now()));
    }

    /// A client found no place.
    pub(crate) fn refused(&self) {
        self.reachability
            .send_if_modified(|known| known.refused(now()));
    }

    /// So many losses have been acted on. `u64::MAX`: no verdict is to wait.
    pub(crate) fn set_acted_on(&self, losses: u64) {
        self.acted_on.send_replace(losses);
    }

    /// Waits until who goes by what can be reached has acted on all that is known, if `answer` to `message` may have it begin again
    /// at once: it must not find then that its realm may be tried.
    pub(super) async fn acted_on(
        &self,
        message: &KerberosMessage,
        arrival: &Arrival,
        answer: &Answer,
    ) {
        let losses = self.reachability.borrow().losses();
        if *self.acted_on.borrow() >= losses {
            return;
        }
        if let Answer::Reply(reply) = answer
            && RetryReason::of(message, reply, waited(arrival)).is_none()
        {
            return;
        }
        let mut acted_on = self.acted_on.subscribe();
        drop(timeout(HELD, acted_on.wait_for(|acted_on| *acted_on >= losses)).await);
    }
}

/// How long a login has waited. A question of our own is part of none, and makes the connection for those that follow.
fn waited(arrival: &Arrival) -> Duration {
    if arrival.transport == OWN {
        return Duration::ZERO;
    }
    now().saturating_duration_since(arrival.at)
}

impl ExchangeTask {
    /// Takes the request through its upstreams, and records what that says of the realm.
    pub(super) async fn exchange_and_record(&self) -> End {
        let mut exchange = pin!(self.exchange());
        let Some(realm) = self.watched_realm() else {
            return exchange.await;
        };
        if self.message.kind() == Kind::AsReq {
            self.update(|known| known.asked(now()));
        }
        let asked = self.begun;
        let fail = || self.update(|known| known.failed(&realm, asked));
        let end = match timeout_at((asked + LATE).into(), &mut exchange).await {
            Ok(end) => end,
            Err(_) => {
                fail();
                exchange.await
            }
        };
        match (&end.answer, &end.fault, end.outcome()) {
            (Some(Answer::Reply(reply)), ..) => self.record_reply(&realm, reply),
            (_, Some(fault), _) if is_outage(fault) => fail(),
            (_, Some(_), _) => self.update(|known| known.doubted(&realm, asked)),
            (.., ExchangeOutcome::UpstreamUnknown | ExchangeOutcome::Overloaded) => fail(),
            _ => {}
        }
        end
    }

    fn record_reply(&self, realm: &RealmKey, reply: &Reply) {
        let begun = Arrival {
            at: self.begun,
            ..self.arrival
        };
        let reason = RetryReason::of(&self.message, reply, waited(&begun));
        let refers_to = match &reason {
            Some(RetryReason::Referral(realm)) => self.exchange.configured(realm).filter(|named| {
                // libkrb5 compares with regard to case.
                named.as_str() == realm.as_str()
            }),
            _ => None,
        };
        let refers_to = refers_to.map(|realm| realm.key());
        self.update(|known| {
            let is_news = known.replied(realm, now());
            reason.is_some() && known.turned_away(realm, refers_to.as_ref(), now()) || is_news
        });
    }

    /// There is no reply, or none for too long.
    pub(super) fn record_failure(&self) {
        if let Some(realm) = self.watched_realm() {
            self.update(|known| known.failed(&realm, self.begun));
        }
    }

    fn update(&self, change: impl FnOnce(&mut Reachability) -> bool) {
        self.exchange.reachability.send_if_modified(change);
    }

    /// The realm, if it is one of those that are seen to be reachable or not. Password changes don't count: they are too seldom, and
    /// answered by other servers.
    fn watched_realm(&self) -> Option<RealmKey> {
        if self.message.service() != Service::Kdc || self.exchange.reachability.borrow().is_empty()
        {
            return None;
        }
        let realm = self.exchange.configured(self.message.realm())?;
        Some(realm.key())
    }
}

impl Exchange {
    /// The realms, whose candidates refer to the upstreams by their index. Requests wait for no longer than it takes to copy it.
    pub(crate) fn realms_and_upstreams(
        &self,
        now: ClockReading,
    ) -> (Vec<RealmStatus>, Vec<UpstreamStatus>) {
        let routing = self.routing();
        let upstreams = &routing.upstreams;
        let routes = routing.routes();
        let context = StatusContext { upstreams, now };
        let changes = lock(&self.password_changes);
        let mut realms = routes.realm_statuses(&changes, context);
        let known = self.reachability.borrow();
        for realm in &mut realms {
            let name = Realm::parse(realm.name.as_str().as_bytes());
            realm.reachable = name.ok().and_then(|name| known.of(&name.key()));
        }
        (realms, routes.upstream_statuses(context))
    }

    /// The network; its changes are `watched` for by somebody else.
    pub(crate) fn network_status(&self, watched: bool) -> NetworkStatus {
        let routing = self.routing();
        let times = *lock(&self.network_times);
        NetworkStatus {
            watched,
            changes: self.counters.networks.get(),
            changed_at: times.changed.map(unix_ms),
            sleeps: self.counters.sleeps.get(),
            woke_at: times.woke.map(unix_ms),
            captive_portal: routing.routes().is_behind_portal(&routing.upstreams),
        }
    }

    /// Exchanges in progress, and the most that may be.
    pub(crate) fn in_flight(&self) -> (u64, u64) {
        (self.in_flight.held() as u64, self.max_in_flight as u64)
    }

    /// The last exchanges, the newest first.
    pub(crate) fn recent_exchanges(&self) -> Vec<ExchangeRecord> {
        lock(&self.recent).iter().cloned().collect()
    }
}
