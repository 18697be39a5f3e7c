//! What the exchanges with an upstream say of it.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::health::Illness;
use super::{Candidates, Change, RouteState, Routes, UpstreamId};
use crate::relay::upstream::{Fault, Unsent};
use crate::wire::Service;

/// What an upstream says to the one realm of a route, and for how long that counts.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) fault: Fault,
    pub(super) backoff: Backoff,
}

/// What a fault says of the upstream.
enum Says {
    /// Nothing: it is about one request or one connection.
    Nothing,
    /// Nothing: it is about this machine's own configuration, and any local user can ask so.
    Misconfigured,
    /// It works, and doesn't serve this realm.
    Refuses,
    /// It was not heard.
    Silent,
    Ill(Illness),
}

impl Says {
    fn by(fault: &Fault) -> Self {
        match fault {
            Fault::ReusedConnectionClosed
            | Fault::ClosedWithoutReply
            | Fault::Repeat
            | Fault::Status(400 | 413)
            | Fault::Page(400 | 413)
            | Fault::NotSent(Unsent::HandedBack | Unsent::Ended | Unsent::Busy | Unsent::TooLong) => {
                Self::Nothing
            }
            Fault::NotSent(Unsent::TicketLoop) => Self::Misconfigured,
            Fault::NotServed
            | Fault::Status(_)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(_) => Self::Refuses,
            Fault::Silent | Fault::NotSent(Unsent::ConnectTimeout) => Self::Silent,
            Fault::NotSent(_) | Fault::Unanswered | Fault::ClosedAfterCertificateRequest => {
                Self::Ill(Illness::Unreachable)
            }
            Fault::NotKerberos(_) => Self::Ill(Illness::NotKerberos),
        }
    }
}

impl Routes {
    /// Records how long `id` took to answer a harmless request over a kept connection.
    pub fn record_pace(&mut self, id: UpstreamId, took: Duration) {
        self.health.entry(id).or_default().pace.sample(took);
    }

    /// Records how long `id` took for an answer, over whichever connection.
    pub fn record_latency(&mut self, id: UpstreamId, took: Duration) {
        self.health.entry(id).or_default().latency.record(took);
    }

    /// Records a reply from `id`: it is well, and the one to stay with.
    pub fn record_reply(
        &mut self,
        candidates: &Candidates,
        id: UpstreamId,
        now: Instant,
    ) -> Option<Change> {
        let health = self.health.entry(id).or_default();
        health.hear(now);
        health.reply(now);
        let was_ill = health.recover();
        self.stay_with(candidates, id);
        let state = self.routes.get_mut(candidates.route)?;
        let was_refusing = state.refusing.remove(&(candidates.service, id)).is_some();
        let is_refusing = state.refusing.keys().any(|(_, other)| *other == id);
        // It is on this network after all.
        state.set_aside &= !state.terms.direct.contains(&id);
        let news = was_ill || was_refusing && !is_refusing;
        let health = self.health.get_mut(&id)?;
        (news && health.lines.spend(now)).then_some(Change::Well)
    }

    /// Has the realm's next requests go to `id`, if the one that they went to has failed. One request that went elsewhere,
    /// which a client can bring about, takes no others along.
    fn stay_with(&mut self, candidates: &Candidates, id: UpstreamId) {
        let Some(state) = self.routes.get_mut(candidates.route) else {
            return;
        };
        for service in [Service::Kdc, Service::Kpasswd] {
            let serves = state.terms.upstreams.get(service).as_ref();
            let is_left = state.current.get(service).is_none_or(|current| {
                let health = self.health.get(&current);
                let fails = health.is_some_and(|health| health.ill.is_some() || health.silent);
                fails || state.refusing.contains_key(&(service, current))
            });
            if is_left && candidates.stays && serves.is_some_and(|ids| ids.contains(&id)) {
                *state.current.get_mut(service) = Some(id);
            }
        }
    }

    /// Records a fault of `id`, which was asked at `asked`; says so if it is news.
    pub fn record_fault(
        &mut self,
        candidates: &Candidates,
        id: UpstreamId,
        fault: &Fault,
        asked: Instant,
        now: Instant,
    ) -> Option<Change> {
        if self.forgotten.is_some_and(|forgotten| asked < forgotten) {
            return None;
        }
        let state = self.routes.get_mut(candidates.route)?;
        let health = self.health.entry(id).or_default();
        let chance = self.chance.draw();
        health.meet(fault, asked, now);
        let says = Says::by(fault);
        let is_direct = state.terms.direct.contains(&id);
        state.set_aside |=
            is_direct && matches!(says, Says::Silent) && !health.was_just_heard(asked);
        let news = match says {
            Says::Nothing => false,
            Says::Misconfigured => true,
            Says::Refuses => {
                health.recover();
                state.refuse((candidates.service, id), fault, asked, now, chance)
            }
            Says::Silent => {
                let silent = health.is_silent_since(asked, now);
                health.silent |= silent;
                let says_so = *fault != Fault::Silent || state.terms.silence_is_illness;
                silent && says_so && health.sicken(Illness::Unreachable, asked, now, chance)
            }
            Says::Ill(illness) => health.sicken(illness, asked, now, chance),
        };
        (news && health.lines.spend(now)).then(|| Change::Ill(fault.clone()))
    }
}

impl RouteState {
    /// Marks an upstream as refusing a service of this realm; says whether that is news.
    fn refuse(
        &mut self,
        id: (Service, UpstreamId),
        fault: &Fault,
        asked: Instant,
        now: Instant,
        chance: u64,
    ) -> bool {
        if self.realm.is_none() {
            return false;
        }
        let before = self.refusing.remove(&id);
        // Of both services it is one piece of news.
        let others = self
            .refusing
            .iter()
            .filter(|((_, other), _)| *other == id.1);
        let mut told = others.map(|(_, other)| other).chain(&before);
        let news = !told.any(|refusal| refusal.fault == *fault);
        let mut backoff = before.map(|before| before.backoff).unwrap_or_default();
        backoff.fail(asked, now, chance);
        let fault = fault.clone();
        self.refusing.insert(id, Refusal { fault, backoff });
        news
    }
}
