//! When a connection is closed: for silence, for a response that is not taken, to make room, or because the daemon stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::daemon::slots::ConnSlot;

/// The timer of one connection, and its slot.
pub(super) struct ConnTimer {
    activity: watch::Sender<ConnActivity>,
    slot: ConnSlot,
}

/// What is under way over a connection.
struct ConnActivity {
    /// Requests whose headers have come, and that are not answered.
    begun: usize,
    /// Those of them whose bodies have come too.
    whole: usize,
    /// Until when the next request's headers must have come, if none is begun.
    until: Instant,
    idle_timeout: Duration,
    /// The responses that were not taken: since when, and how many octets.
    untaken: Vec<(Instant, usize)>,
    /// How long each of them may stay so.
    response_timeout: Duration,
}

impl ConnActivity {
    /// When the timer expires, unless something happens before.
    fn expiry(&self, now: Instant) -> Instant {
        let idle = match self.begun {
            0 => self.until,
            // From its response on there will be no less time.
            _ => now + self.idle_timeout,
        };
        let oldest = self.untaken.iter().map(|(since, _)| *since).min();
        oldest.map_or(idle, |oldest| idle.min(oldest + self.response_timeout))
    }
}

impl ConnTimer {
    /// The timer of a new connection, whose first request must begin by `until`, and later ones within `idle_timeout`.
    pub(super) fn new(slot: ConnSlot, until: Instant, idle_timeout: Duration) -> Arc<Self> {
        let activity = ConnActivity {
            begun: 0,
            whole: 0,
            until,
            idle_timeout,
            untaken: Vec::new(),
            response_timeout: idle_timeout,
        };
        let activity = watch::Sender::new(activity);
        Arc::new(Self { activity, slot })
    }

    /// Cancelled when the connection is evicted, or the daemon stops.
    pub(super) fn close(&self) -> &CancellationToken {
        &self.slot.close
    }

    /// A request has begun, until the guard is dropped.
    pub(super) fn request_begun(self: &Arc<Self>) -> RequestGuard {
        self.note(|activity| activity.begun += 1);
        RequestGuard {
            timer: Arc::clone(self),
            is_whole: false,
        }
    }

    /// A response of so many octets was given, and is not taken until the guard is dropped. Returns also how many octets of
    /// others are not taken.
    pub(super) fn response_given(self: &Arc<Self>, octets: usize) -> (ResponseGuard, usize) {
        let (since, mut before) = (Instant::now(), 0);
        self.note(|activity| {
            before = activity.untaken.iter().map(|(_, octets)| octets).sum();
            activity.untaken.push((since, octets));
        });
        let guard = ResponseGuard {
            timer: Arc::clone(self),
            response: (since, octets),
        };
        (guard, before)
    }

    /// A request has come whole, and waits for its response.
    pub(super) fn owes_response(&self) -> bool {
        self.activity.borrow().whole > 0
    }

    /// From now on a connection without a request gets `time` only.
    pub(super) fn shorten(&self, time: Duration) {
        self.activity.send_modify(|activity| {
            activity.idle_timeout = time;
            activity.until = Instant::now() + time;
        });
    }

    /// Waits until the connection has been without a request for too long, or a response untaken.
    pub(super) async fn expired(&self) {
        let mut activity = self.activity.subscribe();
        loop {
            let now = Instant::now();
            let until = {
                let activity = activity.borrow_and_update();
                let expiry = activity.expiry(now);
                if expiry <= now {
                    return;
                }
                // What is noted meanwhile expires no earlier.
                expiry.min(now + activity.response_timeout)
            };
            tokio::select! {
                () = sleep_until(until) => {}
                Ok(()) = activity.changed() => {}
            }
        }
    }

    /// Notes what brings no earlier expiry. Does not wake the connection's own task, and by that another thread: it looks
    /// again in time.
    fn note(&self, change: impl FnOnce(&mut ConnActivity)) {
        self.activity.send_if_modified(|activity| {
            change(activity);
            false
        });
    }
}

/// A request whose headers have come.
pub(super) struct RequestGuard {
    timer: Arc<ConnTimer>,
    is_whole: bool,
}

impl RequestGuard {
    /// Its body has come too: from now on nothing but the response is waited for.
    pub(super) fn set_whole(&mut self) {
        self.is_whole = true;
        self.timer.note(|activity| activity.whole += 1);
        self.timer.slot.set_busy();
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut is_idle = false;
        self.timer.note(|activity| {
            activity.begun -= 1;
            activity.whole -= usize::from(self.is_whole);
            is_idle = activity.whole == 0;
            activity.until = Instant::now() + activity.idle_timeout;
        });
        if is_idle && self.is_whole {
            self.timer.slot.set_idle();
        }
    }
}

/// A response that was given.
pub(super) struct ResponseGuard {
    timer: Arc<ConnTimer>,
    response: (Instant, usize),
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.timer.note(|activity| {
            let mut untaken = activity.untaken.iter();
            if let Some(taken) = untaken.position(|untaken| *untaken == self.response) {
                activity.untaken.swap_remove(taken);
            }
        });
    }
}
