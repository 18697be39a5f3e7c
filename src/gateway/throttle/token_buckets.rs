//! Buckets of tokens: how much a client may do for long, and how much at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{SLOTS, Slot, Wait};

/// A bucket of tokens for each slot, by the generic cell rate algorithm (ITU-T I.371): all that is kept of a bucket is when
/// the clock will have filled it.
pub(super) struct TokenBuckets {
    pub(super) start: Instant,
    /// In nanoseconds from the start.
    full_at: Box<[AtomicU64]>,
    /// How long the clock takes to bring one token, and to fill an empty bucket. Without a bound tokens come in no time, and
    /// no bucket is ever empty.
    one: u64,
    all: u64,
}

/// A token that was taken from the bucket in `slot`: lost, unless it is [given back](Self::give_back).
#[must_use = "dropped, it is lost"]
pub struct Token {
    pub(super) buckets: Arc<TokenBuckets>,
    slot: Slot,
    /// When the clock will have brought it again, behind those that were taken before.
    until: u64,
}

impl TokenBuckets {
    pub(super) fn new(tokens: u32, per: Duration, burst: u32, start: Instant) -> Self {
        let one = per.checked_div(tokens).filter(|_| burst > 0);
        let one = one.map(|one| one.as_nanos() as u64);
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
        now.saturating_duration_since(self.start).as_nanos() as u64
    }

    pub(super) fn take(self: &Arc<Self>, slot: Slot, now: Instant) -> Result<Token, Wait> {
        let now = self.since_start(now);
        let empty = now + self.all;
        let until = |full_at: u64| full_at.max(now) + self.one;
        let taken =
            self.full_at(slot)
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                    Some(until(full_at)).filter(|until| *until <= empty)
                });
        match taken {
            Ok(full_at) => Ok(Token {
                buckets: Arc::clone(self),
                slot,
                until: until(full_at),
            }),
            Err(full_at) => Err(Wait(Duration::from_nanos(until(full_at) - empty))),
        }
    }
}

impl Token {
    /// Gives back what the clock has not brought again by `now`: with all of it, a bucket that was full meanwhile would hold
    /// more than its burst.
    pub fn give_back(&self, now: Instant) {
        let brought = self.buckets.since_start(now);
        let rest = self.until.saturating_sub(brought).min(self.buckets.one);
        let full_at = self.buckets.full_at(self.slot);
        full_at.fetch_sub(rest, Ordering::Relaxed);
    }
}
