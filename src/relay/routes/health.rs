//! What is known of an upstream's health.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::latency::{Latency, RttEstimator};
use crate::relay::quota::Quota;
use crate::relay::shares::Holder;
use crate::relay::upstream::{Fault, Unsent};

/// Less silence says nothing: an attempt may begin just before the deadline.
const SILENCE: Duration = Duration::from_millis(500);
/// An upstream that answered within this time before it was asked is there, and slow for once.
const RECENT_RESPONSE: Duration = Duration::from_secs(30);
/// How long a failed connect counts for the gateway's own health: a load balancer asks twice in that time.
const CUT_OFF: Duration = Duration::from_secs(10);

/// What is known of one upstream.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// That it fails, whatever it is asked.
    pub(super) down: Option<Outage>,
    /// That nothing came from it in time, and nothing since. It is not [`Self::down`] for that where any client can cause it.
    pub(super) silence: Option<Outage>,
    pub(super) rtt: RttEstimator,
    pub(super) latency: Latency,
    pub(super) last_response: Option<Instant>,
    pub(super) last_reply: Option<Instant>,
    /// The last fault that says something about it, if only to people, and when it was met.
    pub(super) last_fault: Option<(Fault, Instant)>,
    /// When a connect failed, if nothing came from it since.
    connect_failed: Option<Instant>,
    pub(super) lines: Quota,
}

/// Whose requests go by a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those of the only one who met it: what he asks may be what it fails at.
    One(Holder),
    All,
}

impl Scope {
    /// That of a fault which `holder` met. No request can cause that a connection fails or shows no sign of life,
    /// or that a login is wanted.
    pub(super) fn of(fault: &Fault, holder: Holder) -> Self {
        let is_anybodys = match fault {
            Fault::NotSent(_)
            | Fault::Lifeless
            | Fault::AuthenticationRequired(..)
            | Fault::ClosedWanting(_) => true,
            Fault::NotKerberos(what) => what.is_page(),
            // Pages, too, say 504.
            _ => false,
        };
        if is_anybodys || holder == Holder::Unknown {
            Self::All
        } else {
            Self::One(holder)
        }
    }

    /// The same of one that others may have met before.
    fn after(self, before: Self) -> Self {
        if self == before { self } else { Self::All }
    }

    /// True if the requests of `holder` go by it. Whoever can't be told apart may be the one who met it.
    pub(super) fn includes(self, holder: Holder) -> bool {
        match self {
            Self::One(own) => own == holder || holder == Holder::Unknown,
            Self::All => true,
        }
    }
}

/// That an upstream fails in all realms, refuses one, or was silent: the last fault, for how long it comes behind the others, and for
/// whom.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) fault: Fault,
    pub(super) backoff: Backoff,
    pub(super) scope: Scope,
}

/// A fault at `now` of what `holder` asked at `asked`.
#[derive(Clone, Copy)]
pub(super) struct MetFault<'a> {
    pub(super) fault: &'a Fault,
    pub(super) holder: Holder,
    pub(super) asked: Instant,
    pub(super) now: Instant,
}

impl Outage {
    /// One more fault; brings the one before it.
    pub(super) fn extend(outage: &mut Option<Self>, met: MetFault<'_>) -> Option<Fault> {
        let before = outage.as_ref().map(|outage| outage.fault.clone());
        let scope = Scope::of(met.fault, met.holder);
        let outage = outage.get_or_insert_with(|| Self {
            fault: met.fault.clone(),
            backoff: Backoff::default(),
            scope,
        });
        outage.backoff.fail(met.asked, met.now, random());
        outage.fault.clone_from(met.fault);
        outage.scope = scope.after(outage.scope);
        before
    }
}

impl Health {
    /// Nothing but what was said of it in the log and how long its answers took: what was seen was seen from another network.
    pub(super) fn forget(&mut self) {
        *self = Self {
            lines: std::mem::take(&mut self.lines),
            latency: std::mem::take(&mut self.latency),
            ..Self::default()
        };
    }

    pub(super) fn saw_response(&mut self, now: Instant) {
        self.silence = None;
        self.last_response = Some(now);
        self.connect_failed = None;
    }

    /// Takes note of a `fault` of a request sent at `asked`: whether something came from the upstream, whether it could be
    /// connected to. The fault itself is remembered, unless it tells of one connection or one attempt and is over.
    pub(super) fn saw_fault(&mut self, fault: &Fault, asked: Instant, now: Instant) {
        match fault {
            Fault::Status(..)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(..)
            | Fault::NotKerberos(_)
            | Fault::NotServed
            | Fault::Repeat => self.saw_response(now),
            Fault::NotSent(Unsent::Connect(_) | Unsent::ConnectTimeout)
                if !self.responded_since(asked) =>
            {
                self.connect_failed = Some(now);
            }
            Fault::NotSent(_)
            | Fault::ReusedConnectionClosed
            | Fault::ClosedWithoutReply
            | Fault::Unanswered
            | Fault::Lifeless
            | Fault::StreamRefused
            | Fault::ClosedWanting(_)
            | Fault::Silent => {}
        }
        match fault {
            Fault::ReusedConnectionClosed
            | Fault::Repeat
            | Fault::NotSent(Unsent::HandedBack | Unsent::Ended) => {}
            fault => self.last_fault = Some((fault.clone(), now)),
        }
    }

    pub(super) fn has_replied_since_fault(&self) -> bool {
        let fault = self.last_fault.as_ref().map(|(_, at)| *at);
        self.last_reply.is_some() && self.last_reply >= fault
    }

    fn responded_since(&self, asked: Instant) -> bool {
        self.last_response.is_some_and(|response| response > asked)
    }

    pub(super) fn is_cut_off(&self, now: Instant) -> bool {
        self.connect_failed
            .is_some_and(|failed| now < failed + CUT_OFF)
    }

    /// Takes note of silence since it was asked, if it is the upstream's, and says whether it is: a KDC drops a request that it
    /// cannot read, and what came to others meanwhile says more.
    pub(super) fn met_silence(&mut self, met: MetFault<'_>) -> bool {
        let is_its_own = met.asked + SILENCE <= met.now && !self.responded_since(met.asked);
        if is_its_own {
            Outage::extend(&mut self.silence, met);
        }
        is_its_own
    }

    /// That it fails, and that it was silent.
    pub(super) fn outages(&self) -> impl Iterator<Item = &Outage> {
        self.down.iter().chain(&self.silence)
    }

    /// True if it has responded since `asked`, or not long before.
    pub(super) fn responded_recently(&self, asked: Instant) -> bool {
        let response = self.last_response;
        response.is_some_and(|response| response + RECENT_RESPONSE > asked)
    }

    /// Marks it as down, for the longer the more often; says whether that is news: people do something else about what is no
    /// KDC proxy, or a captive portal, than about what they cannot reach.
    pub(super) fn mark_down(&mut self, met: MetFault<'_>) -> bool {
        let is_other = |fault: &Fault| matches!(fault, Fault::NotKerberos(_));
        let before = Outage::extend(&mut self.down, met);
        before.as_ref().map(is_other) != Some(is_other(met.fault))
    }
}

/// After the first failure, and after the last of many.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Failures one after the other, and until when they count.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    last: Option<Instant>,
    until: Option<Instant>,
}

impl Backoff {
    /// One more failure of what was asked at `asked`: those that were under way together are one. Each doubles the time, of
    /// which chance takes up to a quarter: upstreams that failed together must not all come back together. `chance` is any number.
    pub(super) fn fail(&mut self, asked: Instant, now: Instant, chance: u64) {
        if self.last.is_some_and(|last| asked < last) {
            return;
        }
        let pause = pause(SHORTEST, LONGEST, self.failures, chance);
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
        self.until = Some(now + pause.max(SHORTEST));
    }

    /// When it failed last.
    pub(super) fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Until when its failures count, if they do at `now`.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// How many failures count at `now`.
    pub(super) fn counts(&self, now: Instant) -> u32 {
        self.until(now).map_or(0, |_| self.failures)
    }
}

/// `first`, doubled so many `times` and at most `longest`, of which `chance`, any number, takes up to a quarter.
pub(crate) fn pause(first: Duration, longest: Duration, times: u32, chance: u64) -> Duration {
    let doubled = first.saturating_mul(1 << times.min(16)).min(longest);
    doubled - doubled / 4 * u32::try_from(chance % 1024).unwrap_or(0) / 1024
}

/// A number that nobody foresees.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests;
