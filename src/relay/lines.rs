//! How many lines of one kind the log takes.

use std::time::{Duration, Instant};

/// As many are told at once, and the time in which one more may be: what somebody can make happen again and again must not
/// fill the log.
const LINES: u32 = 10;
const LINE: Duration = Duration::from_secs(60);

/// The lines of one kind so far, less those that time has forgiven.
#[derive(Debug)]
pub(crate) struct Lines {
    most: u32,
    each: Duration,
    spent: u32,
    forgiven: Option<Instant>,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new(LINES, LINE)
    }
}

impl Lines {
    /// `most` at once, and one more in the time of `each`.
    pub(crate) fn new(most: u32, each: Duration) -> Self {
        Self {
            most,
            each,
            spent: 0,
            forgiven: None,
        }
    }

    /// Whether one more may be written now; it counts then.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let forgiven = *self.forgiven.get_or_insert(now);
        if forgiven + self.each <= now {
            let lines = now.duration_since(forgiven).as_nanos() / self.each.as_nanos();
            self.spent = self
                .spent
                .saturating_sub(u32::try_from(lines).unwrap_or(u32::MAX));
            self.forgiven = Some(now);
        }
        let affordable = self.spent < self.most;
        self.spent += u32::from(affordable);
        affordable
    }
}
