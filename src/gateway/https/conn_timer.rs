//! When a connection is closed: for silence, for a response that is not taken, to make room, or because the daemon stops.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::daemon::slots::ConnSlot;
use crate::relay::shares::Holder;
use crate::relay::sync::lock;

/// Responses that a connection may leave untaken for long. One is usual, and a client has no more turns (`client-max-in-flight`).
const FEW: usize = 16;
/// How long more of them may stay untaken. A client that reads has taken them by then, over any network.
const CROWDED_TIMEOUT: Duration = Duration::from_secs(1);

/// The timer of one connection, and its slot.
pub(super) struct ConnTimer {
    activity: Mutex<ConnActivity>,
    /// More than a few responses are untaken from now on.
    crowded: Notify,
    /// How long a response may stay untaken.
    response_timeout: Duration,
    slot: ConnSlot,
    /// Cancelled once a request has begun.
    asked: CancellationToken,
    /// Cancelled once a response that is not taken has given way to others.
    untaken: CancellationToken,
}

/// How long a response may take to be taken, however long connections are kept: several retransmits of a lost packet.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// What is under way over a connection.
struct ConnActivity {
    /// Requests whose headers have come, and that are not answered.
    begun: usize,
    /// Those of them whose bodies have come too.
    whole: usize,
    /// Until when the next request's headers must have come, if none is begun.
    until: Instant,
    /// How long after a response that will be.
    idle_timeout: Duration,
    /// Since when responses are not taken.
    untaken: Vec<Instant>,
    /// For how many they are, the time to take them ends no earlier.
    grace: Instant,
}

impl ConnTimer {
    /// The timer of a new connection, whose first request must begin by `until`, and later ones within `idle_timeout`.
    pub(super) fn new(slot: ConnSlot, until: Instant, idle_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            activity: Mutex::new(ConnActivity {
                begun: 0,
                whole: 0,
                until,
                idle_timeout,
                untaken: Vec::new(),
                grace: Instant::now(),
            }),
            crowded: Notify::new(),
            response_timeout: idle_timeout.min(RESPONSE_TIMEOUT),
            slot,
            asked: CancellationToken::new(),
            untaken: CancellationToken::new(),
        })
    }

    /// For how long the connection is kept without a request, as it is now.
    pub(super) fn idle_timeout(&self) -> Duration {
        lock(&self.activity).idle_timeout
    }

    /// Cancelled when the connection is evicted, or the daemon stops.
    pub(super) fn close(&self) -> &CancellationToken {
        &self.slot.close
    }

    /// The connection takes the share of `holder`; false if that has its part.
    pub(super) fn pass_to(&self, holder: Holder) -> bool {
        self.slot.holder() == holder || self.slot.pass_to(holder)
    }

    /// Others make room before a connection whose first request is likely to be on its way.
    pub(super) fn shook_hands(&self) {
        self.slot.set_idle();
    }

    /// Waits until a request has begun, the first of all.
    pub(super) async fn has_asked(&self) {
        self.asked.cancelled().await;
    }

    /// A request has begun, until the guard is dropped.
    pub(super) fn request_begun(self: &Arc<Self>) -> RequestGuard {
        lock(&self.activity).begun += 1;
        if !self.asked.is_cancelled() {
            self.slot.set_idle();
            self.asked.cancel();
        }
        RequestGuard {
            timer: Arc::clone(self),
            is_whole: false,
        }
    }

    /// A response was given, and is not taken until the guard is dropped. True if no other one is.
    pub(super) fn response_given(self: &Arc<Self>) -> (ResponseGuard, bool) {
        let mut activity = lock(&self.activity);
        let is_only = activity.untaken.is_empty();
        let given = Instant::now();
        activity.untaken.push(given);
        if activity.untaken.len() == FEW + 1 {
            self.crowded.notify_one();
        }
        let timer = Arc::clone(self);
        (ResponseGuard { timer, given }, is_only)
    }

    /// Cancelled once a response that is not taken has to give way: the connection ends.
    pub(super) fn untaken(&self) -> &CancellationToken {
        &self.untaken
    }

    /// A request has come whole, and waits for its response.
    pub(super) fn owes_response(&self) -> bool {
        lock(&self.activity).whole > 0
    }

    /// From now on a connection without a request gets `time` only; [`Self::expired`] is to be asked anew.
    pub(super) fn shorten(&self, time: Duration) {
        let mut activity = lock(&self.activity);
        activity.idle_timeout = time;
        activity.until = Instant::now() + time;
        activity.grace = activity.until;
    }

    /// True if more than a few responses are untaken.
    pub(super) fn is_crowded(&self) -> bool {
        lock(&self.activity).is_crowded()
    }

    /// Waits until the connection has been without a request for too long, or a response untaken. What comes meanwhile
    /// expires no earlier, and so need not wake who waits here, which would be another thread's task.
    pub(super) async fn expired(&self) {
        loop {
            let now = Instant::now();
            let expiry = self.expiry(now);
            if expiry <= now {
                return;
            }
            tokio::select! {
                () = self.crowded.notified() => {}
                () = sleep_until(expiry.min(now + self.response_timeout)) => {}
            }
        }
    }

    /// When the timer expires, unless something happens before.
    fn expiry(&self, now: Instant) -> Instant {
        let activity = lock(&self.activity);
        let idle = match activity.begun {
            0 => activity.until,
            // From its response on there will be no less time.
            _ => now + activity.idle_timeout,
        };
        let oldest = activity.untaken.iter().min().copied();
        let taken_by = |oldest| {
            if activity.is_crowded() {
                activity.grace.max(oldest + CROWDED_TIMEOUT)
            } else {
                oldest + self.response_timeout
            }
        };
        oldest.map_or(idle, |oldest| idle.min(taken_by(oldest)))
    }
}

impl ConnActivity {
    fn is_crowded(&self) -> bool {
        self.untaken.len() > FEW
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
        lock(&self.timer.activity).whole += 1;
        self.timer.slot.set_busy();
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut activity = lock(&self.timer.activity);
        activity.begun -= 1;
        activity.whole -= usize::from(self.is_whole);
        activity.until = Instant::now() + activity.idle_timeout;
        if activity.whole == 0 && self.is_whole {
            self.timer.slot.set_idle();
        }
    }
}

/// A response that was given.
pub(super) struct ResponseGuard {
    timer: Arc<ConnTimer>,
    given: Instant,
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        let mut activity = lock(&self.timer.activity);
        let mut untaken = activity.untaken.iter();
        if let Some(taken) = untaken.position(|untaken| *untaken == self.given) {
            activity.untaken.swap_remove(taken);
        }
    }
}
