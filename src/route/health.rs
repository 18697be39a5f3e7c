//! What is known of an upstream's health.

use std::time::{Duration, Instant};

/// Less silence says nothing: a copy may leave just before the deadline.
const SILENCE: Duration = Duration::from_millis(500);
/// Changes of one upstream that are told at once, and the time in which one more may be: a local user who can make it
/// fail and serve in turn must not fill the log.
const LINES: u32 = 10;
const LINE: Duration = Duration::from_secs(60);
/// How long a failed connect counts for the gateway's own health: a load balancer asks twice in that time.
const CUT_OFF: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) ill: Option<Illness>,
    pub(super) silent: bool,
    heard: Option<Instant>,
    /// When a connect failed, if nothing was heard since.
    cut_off: Option<Instant>,
    pub(super) lines: Lines,
}

/// The lines that an upstream has had in the log, less those that time has forgiven.
#[derive(Debug, Default)]
pub(super) struct Lines {
    spent: u32,
    forgiven: Option<Instant>,
}

impl Lines {
    pub(super) fn spend(&mut self, now: Instant) -> bool {
        let forgiven = *self.forgiven.get_or_insert(now);
        if forgiven + LINE <= now {
            let lines = now.duration_since(forgiven).as_secs() / LINE.as_secs();
            self.spent = self
                .spent
                .saturating_sub(u32::try_from(lines).unwrap_or(u32::MAX));
            self.forgiven = Some(now);
        }
        let affordable = self.spent < LINES;
        self.spent += u32::from(affordable);
        affordable
    }
}

/// Kinds of illness, as far as people would do something else about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Illness {
    Unreachable,
    /// A captive portal, or no KDC proxy.
    NotKerberos,
}

impl Health {
    pub(super) fn hear(&mut self, now: Instant) {
        self.silent = false;
        self.heard = Some(now);
        self.cut_off = None;
    }

    pub(super) fn fail_to_connect(&mut self, asked: Instant, now: Instant) {
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

    /// Marks it ill; says whether that is news.
    pub(super) fn sicken(&mut self, illness: Illness) -> bool {
        self.ill.replace(illness) != Some(illness)
    }
}
