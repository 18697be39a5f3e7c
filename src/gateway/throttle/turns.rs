//! So many at once for each client: who comes when there are none left waits for his turn.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Slot;

/// Clients are told apart less well here, as 40 octets are kept for each: two that share a slot get in each other's way as long
/// as one of them has all of it.
const SLOTS: usize = 1 << 14;

/// So many turns for each slot.
#[derive(Clone)]
pub(super) struct Turns {
    /// None where there is no bound.
    free: Option<Arc<[Semaphore]>>,
}

/// A turn, until this is dropped.
#[must_use = "dropped, it is over"]
pub struct Turn {
    turns: Turns,
    slot: Slot,
}

impl Turns {
    /// `most` for each; 0 is no bound.
    pub(super) fn new(most: usize) -> Self {
        let free = || (0..SLOTS).map(|_| Semaphore::new(most)).collect();
        Self {
            free: (most > 0).then(free),
        }
    }

    fn free(&self, slot: Slot) -> Option<&Semaphore> {
        self.free.as_ref()?.get(usize::from(slot.0) % SLOTS)
    }

    fn taken(&self, slot: Slot) -> Turn {
        Turn {
            turns: self.clone(),
            slot,
        }
    }

    /// Takes a turn, if there is one.
    pub(super) fn try_take(&self, slot: Slot) -> Option<Turn> {
        if let Some(free) = self.free(slot) {
            free.try_acquire().ok()?.forget();
        }
        Some(self.taken(slot))
    }

    /// Waits for a turn, in the order in which they come.
    pub(super) async fn take(&self, slot: Slot) -> Turn {
        if let Some(free) = self.free(slot)
            && let Ok(permit) = free.acquire().await
        {
            permit.forget();
        }
        self.taken(slot)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(free) = self.turns.free(self.slot) {
            free.add_permits(1);
        }
    }
}
