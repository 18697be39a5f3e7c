//! Moments as a report has them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks: faults and rests are told by the one, and people by the other.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

impl Now {
    pub(super) fn of(self, instant: Instant) -> u64 {
        let wall = match instant.checked_duration_since(self.instant) {
            Some(ahead) => self.wall.checked_add(ahead),
            None => self.wall.checked_sub(self.instant.duration_since(instant)),
        };
        wall.map_or(0, millis)
    }
}

pub(super) fn millis(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
