//! The places for connections, over all sockets of a kind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::relay::exchange::Exchange;

/// The connections open at once. When no place is left, the one that has been silent for longest makes room: silent
/// clients must not keep others out.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    seats: Arc<Mutex<Seats>>,
    exchange: Arc<Exchange>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Seats {
    most: usize,
    next: u64,
    taken: HashMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    /// Since when no whole request has come; nothing while one is being answered.
    silent_since: Option<Instant>,
    leave: CancellationToken,
}

/// A place among the connections.
pub(crate) struct Seat {
    id: u64,
    /// Cancelled when the connection has to make room, or the daemon stops.
    pub(crate) leave: CancellationToken,
    connections: Connections,
}

impl Connections {
    /// Places for `most` connections, until `stop`; `exchange` counts.
    pub(crate) fn new(most: usize, exchange: &Arc<Exchange>, stop: &CancellationToken) -> Self {
        Self {
            seats: Arc::new(Mutex::new(Seats {
                most,
                next: 0,
                taken: HashMap::new(),
            })),
            exchange: Arc::clone(exchange),
            stop: stop.clone(),
        }
    }

    /// Who counts.
    pub(crate) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// What says that no new ones are taken, and has those that are silent leave.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many places are taken.
    pub(crate) fn open(&self) -> usize {
        self.seats().taken.len()
    }

    /// A place for a new connection, unless all others are being answered.
    pub(crate) fn take(&self) -> Option<Seat> {
        if self.are_full() && !self.make_room() {
            self.exchange.counters().turned_away.add();
            return None;
        }
        let mut seats = self.seats();
        let id = seats.next;
        seats.next += 1;
        let leave = self.stop.child_token();
        let silent_since = Some(Instant::now());
        seats.taken.insert(
            id,
            Taken {
                silent_since,
                leave: leave.clone(),
            },
        );
        Some(Seat {
            id,
            leave,
            connections: self.clone(),
        })
    }

    fn are_full(&self) -> bool {
        let seats = self.seats();
        seats.taken.len() >= seats.most
    }

    /// Ends the connection that has been silent for longest; says whether there was one.
    pub(crate) fn make_room(&self) -> bool {
        let evicted = self.seats().evict().is_some();
        if evicted {
            self.exchange.counters().evicted.add();
        }
        evicted
    }
}

impl Seats {
    fn evict(&mut self) -> Option<()> {
        let silent = self
            .taken
            .iter()
            .filter_map(|(id, taken)| Some((taken.silent_since?, *id)));
        let (_, longest) = silent.min()?;
        self.taken.remove(&longest)?.leave.cancel();
        Some(())
    }
}

impl Seat {
    /// Says since when no whole request has come; nothing while one is being answered.
    pub(crate) fn silent_since(&self, since: Option<Instant>) {
        if let Some(taken) = self.connections.seats().taken.get_mut(&self.id) {
            taken.silent_since = since;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.seats().taken.remove(&self.id);
    }
}
