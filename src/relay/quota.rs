//! How often something may be done that somebody can bring about again and again: a line of the log, a question.

use std::time::{Duration, Instant};

/// As many at once, and the time in which one more may be, where nothing else is said.
const MOST: u32 = 10;
const EACH: Duration = Duration::from_secs(60);

/// A quota of one kind: so many at once, and one more as each is forgiven.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    most: u32,
    each: Duration,
    /// When all that were spent are forgiven.
    forgiven: Option<Instant>,
}

impl Default for Quota {
    fn default() -> Self {
        Self::new(MOST, EACH)
    }
}

impl Quota {
    /// `most` at once, and one more in the time of `each`.
    pub(crate) fn new(most: u32, each: Duration) -> Self {
        Self {
            most,
            each,
            forgiven: None,
        }
    }

    /// True if one more may be now; it counts then.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let forgiven = self.forgiven.map_or(now, |forgiven| forgiven.max(now)) + self.each;
        let may = forgiven <= now + self.each * self.most;
        if may {
            self.forgiven = Some(forgiven);
        }
        may
    }
}
