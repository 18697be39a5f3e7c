//! How many lines of one kind the log takes.

use std::time::{Duration, Instant};

/// As many are told at once, and the time in which one more may be: what somebody can make happen again and again must not
/// fill the log.
const LINES: u32 = 10;
const LINE: Duration = Duration::from_secs(60);

/// A quota for the lines of one kind: so many at once, and one more as each is forgiven.
#[derive(Debug)]
pub(crate) struct LogQuota {
    most: u32,
    each: Duration,
    /// When all that were written are forgiven.
    forgiven: Option<Instant>,
}

impl Default for LogQuota {
    fn default() -> Self {
        Self::new(LINES, LINE)
    }
}

impl LogQuota {
    /// `most` at once, and one more in the time of `each`.
    pub(crate) fn new(most: u32, each: Duration) -> Self {
        Self {
            most,
            each,
            forgiven: None,
        }
    }

    /// True if one more may be written now; it counts then.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let forgiven = self.forgiven.map_or(now, |forgiven| forgiven.max(now)) + self.each;
        let may = forgiven <= now + self.each * self.most;
        if may {
            self.forgiven = Some(forgiven);
        }
        may
    }
}
