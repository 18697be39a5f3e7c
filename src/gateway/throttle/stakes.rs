//! Logins that may fail: what the failure costs is at stake while they are under way, or as many could be tried as can be
//! under way at once.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::token_buckets::TokenBuckets;
use super::{SLOTS, Slot, Wait};

/// Slots of which those that wait are woken together, to see whose turn it is.
const WOKEN_TOGETHER: usize = 1 << 8;

/// What failures cost, and how many more may fail of what is under way.
pub(super) struct Stakes {
    failures: TokenBuckets,
    under_way: Box<[AtomicU32]>,
    returned: Box<[Notify]>,
}

/// What one login has at stake, until this is dropped.
#[must_use = "dropped, nothing is at stake"]
pub struct Stake {
    stakes: Arc<Stakes>,
    slot: Slot,
    is_released: bool,
}

impl Stakes {
    pub(super) fn new(failures: TokenBuckets) -> Arc<Self> {
        Arc::new(Self {
            failures,
            under_way: (0..SLOTS).map(|_| AtomicU32::new(0)).collect(),
            returned: (0..SLOTS / WOKEN_TOGETHER).map(|_| Notify::new()).collect(),
        })
    }

    #[expect(clippy::indexing_slicing, reason = "there is one for each number")]
    fn under_way(&self, slot: Slot) -> &AtomicU32 {
        &self.under_way[usize::from(slot.0)]
    }

    #[expect(clippy::indexing_slicing, reason = "there is one for each")]
    fn returned(&self, slot: Slot) -> &Notify {
        &self.returned[usize::from(slot.0) / WOKEN_TOGETHER]
    }

    /// A stake, if one more may fail than is under way. Or else how long it takes the clock until that is so, and how many are
    /// under way.
    pub(super) fn try_take(
        self: &Arc<Self>,
        slot: Slot,
        now: Instant,
    ) -> Result<Stake, (Wait, u32)> {
        let wait = |under_way| self.failures.wait_for(slot, under_way + 1, now);
        let one_more = |under_way| wait(under_way).is_zero().then_some(under_way + 1);
        let taken =
            self.under_way(slot)
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        match taken {
            Ok(_) => Ok(Stake {
                stakes: Arc::clone(self),
                slot,
                is_released: false,
            }),
            Err(under_way) => Err((Wait(wait(under_way)), under_way)),
        }
    }

    /// Waits for a stake, `until` then: what is under way may turn out not to have failed.
    pub(super) async fn take(
        self: &Arc<Self>,
        slot: Slot,
        until: tokio::time::Instant,
    ) -> Result<Stake, Wait> {
        loop {
            let mut returned = pin!(self.returned(slot).notified());
            returned.as_mut().enable();
            let now = tokio::time::Instant::now();
            let (wait, under_way) = match self.try_take(slot, now.into_std()) {
                Ok(stake) => return Ok(stake),
                Err(busy) => busy,
            };
            let due = now + wait.0;
            if now >= until || under_way == 0 && due > until {
                return Err(wait);
            }
            drop(timeout_at(due.min(until), returned).await);
        }
    }
}

impl Stake {
    /// It was right: what has failed before is forgotten.
    pub fn win(self) {
        self.stakes.failures.fill(self.slot);
    }

    /// It failed.
    pub fn lose(self, now: Instant) {
        self.stakes.failures.charge(self.slot, 1, now);
    }

    /// No others wait for it any more; it costs as much if it fails.
    pub fn release(&mut self) {
        if !std::mem::replace(&mut self.is_released, true) {
            let under_way = self.stakes.under_way(self.slot);
            under_way.fetch_sub(1, Ordering::AcqRel);
            self.stakes.returned(self.slot).notify_waiters();
        }
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        self.release();
    }
}
