//! For how long an upstream that failed comes behind the others.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

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
