//! Buckets of tokens: how much a client may do for long, and how much at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{SLOTS, Slot, Wait};

/// How long the clock takes at the most to bring what a bucket lacks.
const MOST_LACKING: Duration = Duration::from_secs(10);

/// A bucket of tokens for each slot, by the generic cell rate algorithm (ITU-T I.371): all that is kept of a bucket is when
/// the clock will have filled it.
pub(super) struct TokenBuckets {
    start: Instant,
    /// In nanoseconds from the start.
    full_at: Box<[AtomicU64]>,
    /// How long the clock takes to bring one token, and to fill an empty bucket. Without a bound tokens come in no time, and
    /// no bucket is ever empty.
    one: u64,
    all: u64,
}

impl TokenBuckets {
    pub(super) fn new(tokens: u32, per: Duration, burst: u32, start: Instant) -> Self {
        let one = per.checked_div(tokens).filter(|_| burst > 0);
        let one = one.map(nanos);
        Self {
            start,
            full_at: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            one: one.unwrap_or(0),
            all: one.map_or(u64::MAX / 2, |one| one * u64::from(burst)),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "there is one for each number")]
    fn full_at(&self, slot: Slot) -> &AtomicU64 {
        &self.full_at[usize::from(slot.0)]
    }

    fn since_start(&self, now: Instant) -> u64 {
        nanos(now.saturating_duration_since(self.start))
    }

    /// Takes a token that is there, or that the clock brings within `patience`: [`Self::wait_for`] none more says when.
    pub(super) fn take(&self, slot: Slot, patience: Duration, now: Instant) -> Result<(), Wait> {
        let now = self.since_start(now);
        let latest = now + self.all + nanos(patience);
        let until = |full_at: u64| full_at.max(now) + self.one;
        let taken =
            self.full_at(slot)
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                    Some(until(full_at)).filter(|until| *until <= latest)
                });
        let missing = |full_at| Wait(Duration::from_nanos(until(full_at) - latest));
        taken.map(drop).map_err(missing)
    }

    /// How long it takes the clock until the bucket holds so many.
    pub(super) fn wait_for(&self, slot: Slot, tokens: u32, now: Instant) -> Duration {
        let now = self.since_start(now);
        let full_at = self.full_at(slot).load(Ordering::Acquire).max(now);
        let until = full_at + self.one * u64::from(tokens);
        Duration::from_nanos(until.saturating_sub(now + self.all))
    }

    /// Fills the bucket.
    pub(super) fn fill(&self, slot: Slot) {
        self.full_at(slot).store(0, Ordering::Release);
    }

    /// Takes so many, whether they are there or not.
    pub(super) fn charge(&self, slot: Slot, tokens: u32, now: Instant) {
        let now = self.since_start(now);
        let latest = now + self.all + nanos(MOST_LACKING);
        let charged = |full_at: u64| {
            let until = full_at.max(now) + self.one * u64::from(tokens);
            Some(until.min(latest).max(full_at))
        };
        let _ = self
            .full_at(slot)
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, charged);
    }
}

/// The time of a process, in 64 bits.
fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}
