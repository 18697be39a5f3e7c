//! What the exchanges with an upstream say of it.

use std::time::{Duration, Instant};

use super::health::{Health, MetFault, Outage, Scope};
use super::{Candidates, Current, RouteState, Routes, UpstreamId};
use crate::relay::shares::Holder;
use crate::relay::upstream::{Fault, Unsent};
use crate::wire::{Realm, Service};

/// What a fault says of the upstream.
enum FaultClass {
    /// Nothing: it is about one request or one connection.
    Nothing,
    /// Nothing: it is about this machine's own configuration, and any local user can ask so.
    Misconfigured,
    /// It works, and doesn't serve this realm.
    Refuses,
    /// Nothing came from it.
    Silent,
    /// It fails, whatever it is asked.
    Down,
}

impl FaultClass {
    fn of(fault: &Fault) -> Self {
        match fault {
            Fault::ReusedConnectionClosed
            | Fault::ClosedWithoutReply
            | Fault::Repeat
            | Fault::Status(400 | 413, _)
            | Fault::Page(400 | 413)
            | Fault::NotSent(Unsent::HandedBack | Unsent::Ended | Unsent::Busy | Unsent::TooLong) => {
                Self::Nothing
            }
            Fault::NotSent(Unsent::TicketLoop) => Self::Misconfigured,
            Fault::NotServed
            | Fault::Status(..)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(..) => Self::Refuses,
            Fault::Silent | Fault::NotSent(Unsent::ConnectTimeout) => Self::Silent,
            Fault::NotSent(
                Unsent::Connect(_)
                | Unsent::Untrusted(_)
                | Unsent::ForwardProxy { .. }
                | Unsent::NoCredential(_)
                | Unsent::Unprocessed,
            )
            | Fault::Unanswered
            | Fault::Lifeless
            | Fault::StreamRefused
            | Fault::ClosedWanting(_)
            | Fault::NotKerberos(_) => Self::Down,
        }
    }
}

/// True if `fault` says that its upstream fails or refuses, and not only something of one request or of this machine.
pub(crate) fn is_outage(fault: &Fault) -> bool {
    !matches!(
        FaultClass::of(fault),
        FaultClass::Nothing | FaultClass::Misconfigured
    )
}

impl Routes {
    /// Records how long `id` took for an answer; if it is a `round_trip`, to a harmless request over a reused connection, for
    /// what is to be expected too.
    pub fn record_latency(&mut self, id: UpstreamId, took: Duration, round_trip: bool) {
        let health = self.health.entry(id).or_default();
        health.latency.record(took);
        if round_trip {
            health.rtt.sample(took);
        }
    }

    /// Records a reply from `id`: it is up, and the one to stay with. Says whether that is news, for the log, where each change
    /// is told once and not too often.
    pub fn record_reply(&mut self, candidates: &Candidates, id: UpstreamId, now: Instant) -> bool {
        let health = self.health.entry(id).or_default();
        health.saw_response(now);
        health.last_reply = Some(now);
        let was_down = health.down.take().is_some();
        self.stay_with(candidates, id);
        let Some(state) = self.routes.get_mut(candidates.index) else {
            return false;
        };
        let was_refusing = state
            .refusing
            .remove(&(candidates.wanted.service, id))
            .is_some();
        let is_refusing = state.refusing.keys().any(|(_, other)| *other == id);
        // It is on this network after all.
        state.local_kdc_unreachable &= !state.route.local_kdcs.contains(&id);
        let news = was_down || was_refusing && !is_refusing;
        news && self.health.entry(id).or_default().lines.spend(now)
    }

    /// Has the realm's next requests go to `id`, if the one that they went to has failed; those for the other service too, unless
    /// the two have ways of their own. One request that went elsewhere, which a client can bring about, takes no others along.
    fn stay_with(&mut self, candidates: &Candidates, id: UpstreamId) {
        let Some(state) = self.routes.get_mut(candidates.index) else {
            return;
        };
        let (are_alike, holder) = (state.are_services_alike(), candidates.wanted.holder);
        for service in [Service::Kdc, Service::Kpasswd] {
            if service != candidates.wanted.service && !are_alike {
                continue;
            }
            let serves = state.route.upstreams.get(service).as_ref();
            let fails = |id: UpstreamId, counts: fn(Scope, Holder) -> bool| {
                let outages = self.health.get(&id).into_iter().flat_map(Health::outages);
                let mut outages = outages.chain(state.refusing.get(&(service, id)));
                outages.any(|outage| counts(outage.scope, holder))
            };
            let current = *state.current.get(service);
            let is_left = current
                .of(holder)
                .is_none_or(|id| fails(id, Scope::includes));
            if is_left
                && candidates.may_stay_with(id)
                && serves.is_some_and(|ids| ids.contains(&id))
            {
                let stays = current
                    .id
                    .filter(|id| !fails(*id, |scope, _| scope == Scope::All));
                *state.current.get_mut(service) = Current {
                    id: stays.or(Some(id)),
                    detour: stays.map(|_| (holder, id)),
                };
            }
        }
    }

    /// Records a fault of `id`, which was asked at `asked`; says whether that is news in the same way.
    pub fn record_fault(
        &mut self,
        candidates: &Candidates,
        id: UpstreamId,
        fault: &Fault,
        asked: Instant,
        now: Instant,
    ) -> bool {
        let Some(state) = self.routes.get_mut(candidates.index) else {
            return false;
        };
        if self.forgotten.is_some_and(|forgotten| asked < forgotten) {
            return false;
        }
        let health = self.health.entry(id).or_default();
        health.saw_fault(fault, asked, now);
        let (class, holder) = (FaultClass::of(fault), candidates.wanted.holder);
        let met = MetFault {
            fault,
            holder,
            asked,
            now,
        };
        let is_local = state.route.local_kdcs.contains(&id);
        state.local_kdc_unreachable |= is_local
            && matches!(class, FaultClass::Silent)
            && !health.responded_recently(asked)
            && Scope::of(fault, holder) == Scope::All;
        let news = match class {
            FaultClass::Nothing => false,
            FaultClass::Misconfigured => true,
            FaultClass::Refuses => {
                health.down = None;
                state.refuse((candidates.wanted.service, id), met)
            }
            FaultClass::Silent => {
                let is_its_own = health.met_silence(met);
                let counts = *fault != Fault::Silent || !state.route.shared;
                is_its_own && counts && health.mark_down(met)
            }
            FaultClass::Down => health.mark_down(met),
        };
        news && health.lines.spend(now)
    }

    /// The realm of `candidates`, if the log has yet to say that all its upstreams are down (true), or, where it has said that and one
    /// `has_replied`, that one serves again. Another network alone, of which nothing is known, is no return.
    pub(crate) fn kdc_news(
        &mut self,
        candidates: &Candidates,
        has_replied: bool,
        now: Instant,
    ) -> Option<(Realm, bool)> {
        let state = self.routes.get(candidates.index)?;
        let upstreams = state.route.upstreams.kdc.as_ref()?;
        let is_out = |id: &UpstreamId| {
            self.is_down(*id) || state.local_kdc_unreachable && state.route.local_kdcs.contains(id)
        };
        let is_lost = !upstreams.is_empty() && upstreams.iter().all(is_out);
        let state = self.routes.get_mut(candidates.index)?;
        let is_news = is_lost != state.is_told_lost && (is_lost || has_replied);
        if !is_news || is_lost && !state.lines.spend(now) {
            return None;
        }
        state.is_told_lost = is_lost;
        Some((state.realm()?.clone(), is_lost))
    }
}

impl RouteState {
    /// Marks an upstream as refusing a service of this realm; says whether that is news.
    fn refuse(&mut self, (service, id): (Service, UpstreamId), met: MetFault<'_>) -> bool {
        if self.realm().is_none() {
            return false;
        }
        // Of both services it is one piece of news.
        let is_told = |((_, of), refusal): (&(Service, UpstreamId), &Outage)| {
            *of == id && refusal.fault == *met.fault
        };
        let is_news = !self.refusing.iter().any(is_told);
        let mut refusal = self.refusing.remove(&(service, id));
        Outage::extend(&mut refusal, met);
        let refusal = refusal.map(|refusal| ((service, id), refusal));
        self.refusing.extend(refusal);
        is_news
    }
}
