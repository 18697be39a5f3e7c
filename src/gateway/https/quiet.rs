//! When a connection may be ended: for silence, for an answer that is not taken, to make room, or because the daemon stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::daemon::slots::ConnSlot;

/// The requests of one connection, and until when it may stay without one.
#[derive(Clone)]
pub(super) struct Quiet {
    requests: Arc<watch::Sender<Progress>>,
    slot: Arc<ConnSlot>,
}

struct Progress {
    /// Whose headers have come.
    begun: usize,
    /// And whose bodies have come too.
    whole: usize,
    /// Until when the next one's headers must have come, if none is begun.
    until: Instant,
    idle_timeout: Duration,
    /// The answers that were not taken: since when, and how many octets.
    untaken: Vec<(Instant, usize)>,
    /// How long each of them may stay so.
    taking: Duration,
}

impl Progress {
    /// When the connection is to end, unless something comes of it before.
    fn end(&self, now: Instant) -> Instant {
        let asked = match self.begun {
            0 => self.until,
            // From its answer on there will be no less time.
            _ => now + self.idle_timeout,
        };
        let oldest = self.untaken.iter().map(|(since, _)| *since).min();
        oldest.map_or(asked, |oldest| asked.min(oldest + self.taking))
    }
}

impl Quiet {
    /// A new connection, whose first request must begin by `until`, and later ones within `idle_timeout`.
    pub(super) fn new(slot: ConnSlot, until: Instant, idle_timeout: Duration) -> Self {
        let requests = Progress {
            begun: 0,
            whole: 0,
            until,
            idle_timeout,
            untaken: Vec::new(),
            taking: idle_timeout,
        };
        Self {
            requests: Arc::new(watch::Sender::new(requests)),
            slot: Arc::new(slot),
        }
    }

    /// Cancelled when the connection is to make room, or the daemon stops.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.slot.close
    }

    /// Says that a request has begun, until what is returned is dropped.
    pub(super) fn begin(&self) -> Begun {
        self.note(|requests| requests.begun += 1);
        Begun {
            quiet: self.clone(),
            whole: false,
        }
    }

    /// Says that an answer of so many octets was given, and is not taken until what is returned is dropped; and how many
    /// octets were not taken before.
    pub(super) fn give(&self, octets: usize) -> (Given, usize) {
        let (since, mut before) = (Instant::now(), 0);
        self.note(|requests| {
            before = requests.untaken.iter().map(|(_, octets)| octets).sum();
            requests.untaken.push((since, octets));
        });
        let given = Given {
            quiet: self.clone(),
            answer: (since, octets),
        };
        (given, before)
    }

    /// Whether a request is whole and waits for its answer.
    pub(super) fn is_owing(&self) -> bool {
        self.requests.borrow().whole > 0
    }

    /// Whether a request is begun and not answered.
    pub(super) fn is_asked(&self) -> bool {
        self.requests.borrow().begun > 0
    }

    /// From now on a connection without a request gets `time` only.
    pub(super) fn hurry(&self, time: Duration) {
        self.requests.send_modify(|requests| {
            requests.idle_timeout = time;
            requests.until = Instant::now() + time;
        });
    }

    /// Waits until the connection has been without a request for too long, or an answer untaken.
    pub(super) async fn too_long(&self) {
        let mut requests = self.requests.subscribe();
        loop {
            let now = Instant::now();
            let until = {
                let requests = requests.borrow_and_update();
                let end = requests.end(now);
                if end <= now {
                    return;
                }
                // What is noted meanwhile ends no earlier.
                end.min(now + requests.taking)
            };
            tokio::select! {
                () = sleep_until(until) => {}
                Ok(()) = requests.changed() => {}
            }
        }
    }

    /// Takes note of what leaves no less time than there was. Nobody is told: it is the connection's own task that would be
    /// woken, and again another thread by that.
    fn note(&self, change: impl FnOnce(&mut Progress)) {
        self.requests.send_if_modified(|requests| {
            change(requests);
            false
        });
    }
}

/// A request whose headers have come.
pub(super) struct Begun {
    quiet: Quiet,
    whole: bool,
}

impl Begun {
    /// Says that its body has come: from now on nothing but the answer is waited for.
    pub(super) fn is_whole(&mut self) {
        self.whole = true;
        self.quiet.note(|requests| requests.whole += 1);
        self.quiet.slot.set_busy();
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut silent = false;
        self.quiet.note(|requests| {
            requests.begun -= 1;
            requests.whole -= usize::from(self.whole);
            silent = requests.whole == 0;
            requests.until = Instant::now() + requests.idle_timeout;
        });
        if silent && self.whole {
            self.quiet.slot.set_idle();
        }
    }
}

/// An answer that was given.
pub(super) struct Given {
    quiet: Quiet,
    answer: (Instant, usize),
}

impl Drop for Given {
    fn drop(&mut self) {
        self.quiet.note(|requests| {
            let mut untaken = requests.untaken.iter();
            if let Some(taken) = untaken.position(|untaken| *untaken == self.answer) {
                requests.untaken.swap_remove(taken);
            }
        });
    }
}
