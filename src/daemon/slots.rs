//! Slots for connections, over all sockets of a kind.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::daemon::tasks::Tasks;
use crate::relay::exchange::Exchange;
use crate::relay::shares::{Holder, Share, Shares};

/// How many times more connections may be open than be evicted and not yet closed.
const OF_EVICTED: usize = 8;

/// The limit of connections that are open at once, of which nobody gets all. When there is no slot, an idle connection is
/// evicted: silent clients must not keep others out.
#[derive(Clone, Debug)]
pub struct ConnLimit {
    slots: Arc<Shares>,
    /// Of those that have a slot, and of those that are evicted and still have to close.
    descriptors: Arc<Semaphore>,
    exchange: Arc<Exchange>,
    tasks: Tasks,
    until: CancellationToken,
}

/// The slot of one connection, until it is dropped.
pub(crate) struct ConnSlot {
    share: Share,
    /// Cancelled when the connection is evicted, or the daemon stops.
    pub(crate) close: CancellationToken,
    limit: ConnLimit,
}

impl ConnLimit {
    /// Slots for `most` connections, served in `tasks`; events are counted in the counters of `exchange`.
    pub(crate) fn new(most: usize, exchange: &Arc<Exchange>, tasks: &Tasks) -> Self {
        Self {
            slots: Shares::new(most),
            descriptors: Arc::new(Semaphore::new(most + most / OF_EVICTED + 1)),
            exchange: Arc::clone(exchange),
            until: tasks.stop.clone(),
            tasks: tasks.clone(),
        }
    }

    /// Connections are accepted when the daemon stops, too, until what is under way then has ended.
    pub(crate) fn serving_on(mut self) -> Self {
        self.until = self.tasks.close.clone();
        self
    }

    /// The exchange, which has the counters.
    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Cancelled when no connection is accepted any more.
    pub(crate) fn until(&self) -> &CancellationToken {
        &self.until
    }

    /// When there is a descriptor for one more connection: a crowd's are evicted faster than they close. Nothing when no connection
    /// is accepted any more.
    pub(crate) async fn descriptor(&self) -> Option<OwnedSemaphorePermit> {
        let descriptors = Arc::clone(&self.descriptors);
        let free = self.until.run_until_cancelled(descriptors.acquire_owned());
        free.await?.ok()
    }

    /// Where connections are served.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        self.tasks.of_connections()
    }

    /// How many slots are taken.
    pub(crate) fn open(&self) -> usize {
        self.slots.held()
    }

    /// A slot for a new connection of `holder`, unless that has its part, or all are taken by connections whose requests are
    /// being answered. Until something is known of it, it is the first to be evicted.
    pub(crate) fn acquire(&self, holder: Holder) -> Option<ConnSlot> {
        let Some(share) = self.slots.take(holder, 1) else {
            self.turn_away();
            return None;
        };
        let close = self.tasks.stop.child_token();
        share.give_way_first(close.clone());
        Some(ConnSlot {
            share,
            close,
            limit: self.clone(),
        })
    }

    fn turn_away(&self) {
        self.exchange.counters().turned_away.add();
        self.exchange.refused();
    }

    /// Closes the connection that is the first to make room; false if none is idle.
    pub(crate) fn evict(&self) -> bool {
        self.slots.evict()
    }
}

impl ConnSlot {
    /// The connection is of `holder`; false if that has its part.
    pub(crate) fn pass_to(&self, holder: Holder) -> bool {
        let is_passed = self.share.pass_to(holder);
        if !is_passed {
            self.limit.turn_away();
        }
        is_passed
    }

    /// Whose connection it is.
    pub(crate) fn holder(&self) -> Holder {
        self.share.holder()
    }

    /// A whole request has come: the connection is not evicted before it is answered.
    pub(crate) fn set_busy(&self) {
        self.share.hold();
    }

    /// No request waits for its answer any more. It is known from now on, and strangers are evicted before it.
    pub(crate) fn set_idle(&self) {
        self.share.give_way(self.close.clone());
    }
}

impl Drop for ConnSlot {
    fn drop(&mut self) {
        if self.close.is_cancelled() && !self.limit.tasks.stop.is_cancelled() {
            self.limit.exchange.counters().evicted.add();
        }
    }
}
