//! What the exchanges say of their realms: whether they can be reached.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::task::{End, ExchangeTask};
use super::{Arrival, Exchange, Routing, now};
use crate::relay::answer::Answer;
use crate::relay::asking::OWN;
use crate::relay::reachability::{HELD, LATE, Reachability, RetryReason};
use crate::relay::routes::is_outage;
use crate::relay::status::ExchangeOutcome;
use crate::wire::{KerberosMessage, Kind, RealmKey, Reply, Service};

impl Exchange {
    /// Which realms can be reached, now and as that changes.
    pub(crate) fn reachability(&self) -> watch::Receiver<Reachability> {
        self.reachability.subscribe()
    }

    /// How often the network became another one: to be watched.
    pub(crate) fn network_changes(&self) -> watch::Receiver<u64> {
        self.networks.subscribe()
    }

    /// These are the realms that are seen to be reachable or not from now on. At a gateway none is: nobody there goes by it.
    pub(super) fn watch_realms(&self, routing: &Routing) {
        let realms: Vec<_> = routing.routes().realms_of_one_client().cloned().collect();
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
        if let Answer::Reply(reply) = answer
            && RetryReason::of(message, reply, waited(arrival)).is_none()
        {
            return;
        }
        let losses = self.reachability.borrow().losses();
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
        if self.watched_realm().is_none() {
            return self.exchange().await;
        }
        if self.message.kind() == Kind::AsReq {
            self.update(|known, _| known.asked(now()));
        }
        let late = self.arrival.at + LATE;
        let mut exchange = pin!(self.exchange());
        let end = match timeout_at(late.into(), &mut exchange).await {
            Ok(end) => end,
            Err(_) => {
                self.record_failure();
                exchange.await
            }
        };
        match (&end.answer, &end.fault) {
            (Some(Answer::Reply(reply)), _) => self.record_reply(reply),
            (_, Some(fault)) if is_outage(fault) => self.record_failure(),
            (_, Some(_)) => self.update(|known, realm| known.doubted(realm, self.arrival.at)),
            _ => match end.outcome() {
                ExchangeOutcome::UpstreamUnknown | ExchangeOutcome::Overloaded => {
                    self.record_failure();
                }
                _ => {}
            },
        }
        end
    }

    fn record_reply(&self, reply: &Reply) {
        let reason = RetryReason::of(&self.message, reply, waited(&self.arrival));
        let refers_to = match &reason {
            Some(RetryReason::Referral(realm)) => self.exchange.configured(realm).filter(|named| {
                // libkrb5 compares with regard to case.
                named.as_str() == realm.as_str()
            }),
            _ => None,
        };
        let refers_to = refers_to.map(|realm| realm.key());
        self.update(|known, realm| {
            let is_news = known.replied(realm, now());
            reason.is_some() && known.turned_away(realm, refers_to.as_ref(), now()) || is_news
        });
    }

    /// There is no reply, or none for too long.
    pub(super) fn record_failure(&self) {
        self.update(|known, realm| known.failed(realm, self.arrival.at));
    }

    fn update(&self, change: impl FnOnce(&mut Reachability, &RealmKey) -> bool) {
        if let Some(realm) = self.watched_realm() {
            let reachability = &self.exchange.reachability;
            reachability.send_if_modified(|known| change(known, &realm));
        }
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
