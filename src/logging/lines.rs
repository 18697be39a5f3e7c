//! How many lines of one kind the log takes.

use std::time::{Duration, Instant};

/// As many are told at once, and the time in which one more may be: what somebody can make happen again and again must not
/// fill the log.
const LINES: u32 = 10;
const LINE: Duration = Duration::from_secs(60);

/// The lines of one kind so far, less those that time has forgiven.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    spent: u32,
    forgiven: Option<Instant>,
}

impl Lines {
    /// Whether one more may be written now; it counts then.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let forgiven = *self.forgiven.get_or_insert(now);
        if forgiven + LINE <= now {
            let lines = now.duration_since(forgiven).as_secs() / LINE.as_secs();
            self.spent = self
                .spent
                .saturating_sub(u32::try_from(lines).unwrap_or(u32::MAX));
            self.forgiven = Some(now);
        }
        let affordable = self.spent < LINES;
        self.spent += u32::from(affordable);
        affordable
    }
}
