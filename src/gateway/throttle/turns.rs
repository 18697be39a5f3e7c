//! How many requests each client has under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{SLOTS, Wait};

/// How many requests are under way in each slot, and may be.
pub(super) struct Turns {
    slots: Arc<[AtomicU32]>,
    most: u32,
}

impl Turns {
    pub(super) fn new(most: u32) -> Option<Self> {
        let slots = || (0..SLOTS).map(|_| AtomicU32::new(0)).collect();
        (most > 0).then(|| Self {
            slots: slots(),
            most,
        })
    }

    pub(super) fn take(&self, slot: u16) -> Result<Turn, Wait> {
        let more = |count| (count < self.most).then_some(count + 1);
        let taken = self
            .slots
            .get(usize::from(slot))
            .map(|count| count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more));
        match taken {
            // Nobody knows when one of them will be answered.
            Some(Err(_)) => Err(Wait(Duration::from_secs(1))),
            // There is a slot for each number.
            Some(Ok(_)) | None => Ok(Turn {
                slots: Arc::clone(&self.slots),
                slot,
            }),
        }
    }
}

/// A request that is counted in `slot`.
pub(super) struct Turn {
    slots: Arc<[AtomicU32]>,
    slot: u16,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(count) = self.slots.get(usize::from(self.slot)) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
