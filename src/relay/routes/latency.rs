//! How long answers take.

use std::collections::VecDeque;
use std::time::Duration;

/// So many answers are remembered.
const LAST: usize = 500;

/// How long the last answers of one upstream took.
#[derive(Debug, Default)]
pub(super) struct Latency {
    last: VecDeque<Duration>,
    /// How many there were in all.
    pub(super) answers: u64,
}

impl Latency {
    /// An answer took so long.
    pub(super) fn record(&mut self, took: Duration) {
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(took);
        self.answers += 1;
    }

    /// What so many percent of the last answers take at most. Nothing if there are none.
    pub(super) fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted: Vec<_> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        for millis in millis {
            latency.record(Duration::from_millis(millis));
        }
        latency
    }

    #[test]
    fn percentiles_are_what_so_many_answers_take_at_most() {
        assert_eq!(of([]).percentile(50), None);
        let steady = of((1..=400).rev());
        for (percent, millis) in [(50, 200), (90, 360), (99, 396)] {
            let found = steady.percentile(percent);
            assert_eq!(found, Some(Duration::from_millis(millis)), "{percent}");
        }
        assert_eq!(of([20]).percentile(99), Some(Duration::from_millis(20)));
    }

    #[test]
    fn what_is_long_past_counts_no_longer() {
        let latency = of([2000; 3000].into_iter().chain([10; 500]));
        assert_eq!(latency.answers, 3500);
        assert_eq!(latency.percentile(99), Some(Duration::from_millis(10)));
        assert_eq!(latency.last.len(), LAST);
    }
}
