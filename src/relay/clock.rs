//! The clocks: the relay keeps time by the one, and people by the other.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use der::DateTime;

/// The runtime's clock, which a test can hold still.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockReading {
    pub(crate) instant: Instant,
    pub(crate) wall: SystemTime,
}

impl ClockReading {
    /// This moment.
    pub(crate) fn now() -> Self {
        Self {
            instant: now(),
            wall: SystemTime::now(),
        }
    }

    /// `instant` in milliseconds since 1970.
    pub(crate) fn unix_ms_of(self, instant: Instant) -> u64 {
        let wall = match instant.checked_duration_since(self.instant) {
            Some(ahead) => self.wall.checked_add(ahead),
            None => self.wall.checked_sub(self.instant.duration_since(instant)),
        };
        wall.map_or(0, unix_ms)
    }
}

/// `time` in milliseconds since 1970.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A moment in milliseconds since 1970 as people read it, in UTC (RFC 3339).
pub(super) fn date(unix_ms: u64) -> String {
    let date = DateTime::from_unix_duration(Duration::from_secs(unix_ms / 1000));
    date.map_or_else(|_| "a later age".to_owned(), |date| date.to_string())
}

/// `time` in milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
