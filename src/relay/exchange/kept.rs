//! How long this room has to stay, for a daemon that may end when nobody asks.

use std::time::Instant;

use super::{Exchange, lock, now};
use crate::relay::retransmits::REPLY_KEPT;

impl Exchange {
    /// Until when copies of what was asked have to meet this exchange, which knows the answer or waits for it; nothing if
    /// it knows of none. Another one would send them once more.
    #[must_use]
    pub fn keeps_until(&self) -> Option<Instant> {
        // Before the lookaside is asked: who led an exchange has settled it before its place is free.
        let is_led = self.in_flight.available_permits() < self.max_in_flight;
        let now = now();
        // The client has its verdict, and the upstream is listened to for a reply that is late.
        let led = is_led.then(|| now + REPLY_KEPT);
        led.max(lock(&self.lookaside).keeps_until(now))
    }
}
