//! What is known of an upstream's health.

use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::latency::Latency;
use super::pace::Pace;
use crate::relay::lines::Lines;
use crate::relay::upstream::{Fault, Unsent};

/// Less silence says nothing: a copy may leave just before the deadline.
const SILENCE: Duration = Duration::from_millis(500);
/// Who was heard within this time before it was asked is there, and slow for once.
const JUST_HEARD: Duration = Duration::from_secs(30);
/// How long a failed connect counts for the gateway's own health: a load balancer asks twice in that time.
const CUT_OFF: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) ill: Option<Illness>,
    pub(super) silent: bool,
    /// What its illness costs it.
    pub(super) backoff: Backoff,
    pub(super) pace: Pace,
    pub(super) latency: Latency,
    heard: Option<Instant>,
    replied: Option<Instant>,
    /// The last fault that says something about it, if only to people, and when it was met.
    met: Option<(Fault, Instant)>,
    /// When a connect failed, if nothing was heard since.
    cut_off: Option<Instant>,
    pub(super) lines: Lines,
}

/// Kinds of illness, as far as people would do something else about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Illness {
    Unreachable,
    /// A captive portal, or no KDC proxy.
    NotKerberos,
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

    pub(super) fn hear(&mut self, now: Instant) {
        self.silent = false;
        self.heard = Some(now);
        self.cut_off = None;
    }

    pub(super) fn reply(&mut self, now: Instant) {
        self.replied = Some(now);
    }

    pub(super) fn was_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Takes note of a `fault` of a request sent at `asked`: whether the upstream was heard, whether it could be connected to.
    /// The fault itself is remembered, unless it tells of one connection or one copy and is over.
    pub(super) fn meet(&mut self, fault: &Fault, asked: Instant, now: Instant) {
        let is_over = matches!(
            fault,
            Fault::ReusedConnectionClosed
                | Fault::Repeat
                | Fault::NotSent(Unsent::HandedBack | Unsent::Ended)
        );
        if !is_over {
            self.met = Some((fault.clone(), now));
        }
        match fault {
            Fault::Status(_)
            | Fault::Page(_)
            | Fault::AuthenticationRequired(_)
            | Fault::NotKerberos(_)
            | Fault::NotServed
            | Fault::Repeat => self.hear(now),
            Fault::NotSent(Unsent::Connect(_) | Unsent::ConnectTimeout) => {
                self.fail_to_connect(asked, now);
            }
            _ => {}
        }
    }

    /// The last fault that says something about it, and when it was met.
    pub(super) fn last_fault(&self) -> Option<(&Fault, Instant)> {
        self.met.as_ref().map(|(fault, at)| (fault, *at))
    }

    pub(super) fn has_replied_since(&self) -> bool {
        let met = self.met.as_ref().map(|(_, at)| *at);
        self.replied.is_some() && self.replied >= met
    }

    /// It serves; says whether that is news.
    pub(super) fn recover(&mut self) -> bool {
        self.backoff = Backoff::default();
        self.ill.take().is_some()
    }

    fn fail_to_connect(&mut self, asked: Instant, now: Instant) {
        if self.heard.is_none_or(|heard| heard <= asked) {
            self.cut_off = Some(now);
        }
    }

    pub(super) fn is_cut_off(&self, now: Instant) -> bool {
        self.cut_off.is_some_and(|failed| now < failed + CUT_OFF)
    }

    /// Whether silence since `asked` is the upstream's: a KDC drops a request that it cannot read, and what others
    /// heard meanwhile says more.
    pub(super) fn is_silent_since(&self, asked: Instant, now: Instant) -> bool {
        asked + SILENCE <= now && self.heard.is_none_or(|heard| heard <= asked)
    }

    /// Whether it was heard since `asked`, or not long before.
    pub(super) fn was_just_heard(&self, asked: Instant) -> bool {
        self.heard.is_some_and(|heard| heard + JUST_HEARD > asked)
    }

    /// Marks it ill, and the worse the longer it is; says whether that is news.
    pub(super) fn sicken(
        &mut self,
        illness: Illness,
        asked: Instant,
        now: Instant,
        chance: u64,
    ) -> bool {
        self.backoff.fail(asked, now, chance);
        self.ill.replace(illness) != Some(illness)
    }
}
