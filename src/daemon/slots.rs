//! Slots for connections, over all sockets of a kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::daemon::tasks::Tasks;
use crate::relay::exchange::Exchange;
use crate::relay::sync::lock;

/// The limit of connections that are open at once. When no slot is left, the connection that has been idle for longest is
/// evicted: silent clients must not keep others out.
#[derive(Clone, Debug)]
pub(crate) struct ConnLimit {
    slots: Arc<Mutex<SlotTable>>,
    exchange: Arc<Exchange>,
    tasks: Tasks,
}

#[derive(Debug)]
struct SlotTable {
    most: usize,
    next_id: u64,
    taken: HashMap<u64, TakenSlot>,
}

#[derive(Debug)]
struct TakenSlot {
    /// Since when no whole request has come; nothing while one is being answered.
    idle_since: Option<Instant>,
    close: CancellationToken,
}

/// The slot of one connection, until it is dropped.
pub(crate) struct ConnSlot {
    id: u64,
    /// Cancelled when the connection is evicted, or the daemon stops.
    pub(crate) close: CancellationToken,
    limit: ConnLimit,
}

impl ConnLimit {
    /// Slots for `most` connections, served in `tasks`; events are counted in the counters of `exchange`.
    pub(crate) fn new(most: usize, exchange: &Arc<Exchange>, tasks: &Tasks) -> Self {
        Self {
            slots: Arc::new(Mutex::new(SlotTable {
                most,
                next_id: 0,
                taken: HashMap::new(),
            })),
            exchange: Arc::clone(exchange),
            tasks: tasks.clone(),
        }
    }

    /// The exchange, which has the counters.
    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Cancelled when the daemon stops: no connection is accepted then, and idle ones are closed.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.tasks.stop
    }

    /// Where connections are served.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks.tracker
    }

    fn slots(&self) -> MutexGuard<'_, SlotTable> {
        lock(&self.slots)
    }

    /// How many slots are taken.
    pub(crate) fn open(&self) -> usize {
        self.slots().taken.len()
    }

    /// A slot for a new connection, unless all are taken by connections whose requests are being answered.
    pub(crate) fn acquire(&self) -> Option<ConnSlot> {
        if self.is_full() && !self.evict_idlest() {
            self.exchange.counters().turned_away.add();
            self.exchange.refused();
            return None;
        }
        let mut slots = self.slots();
        let id = slots.next_id;
        slots.next_id += 1;
        let close = self.tasks.stop.child_token();
        let taken = TakenSlot {
            idle_since: Some(Instant::now()),
            close: close.clone(),
        };
        slots.taken.insert(id, taken);
        Some(ConnSlot {
            id,
            close,
            limit: self.clone(),
        })
    }

    fn is_full(&self) -> bool {
        let slots = self.slots();
        slots.taken.len() >= slots.most
    }

    /// Closes the connection that has been idle for longest; false if none is idle.
    pub(crate) fn evict_idlest(&self) -> bool {
        let evicted = self.slots().evict_idlest().is_some();
        if evicted {
            self.exchange.counters().evicted.add();
        }
        evicted
    }
}

impl SlotTable {
    fn evict_idlest(&mut self) -> Option<()> {
        let taken = self.taken.iter();
        let idle = taken.filter_map(|(id, slot)| Some((slot.idle_since?, *id)));
        let (_, idlest) = idle.min()?;
        self.taken.remove(&idlest)?.close.cancel();
        Some(())
    }
}

impl ConnSlot {
    /// A whole request has come: the connection is not evicted before it is answered.
    pub(crate) fn set_busy(&self) {
        self.set_idle_since(None);
    }

    /// No request waits for its answer any more.
    pub(crate) fn set_idle(&self) {
        self.set_idle_since(Some(Instant::now()));
    }

    fn set_idle_since(&self, since: Option<Instant>) {
        if let Some(taken) = self.limit.slots().taken.get_mut(&self.id) {
            taken.idle_since = since;
        }
    }
}

impl Drop for ConnSlot {
    fn drop(&mut self) {
        self.limit.slots().taken.remove(&self.id);
    }
}
