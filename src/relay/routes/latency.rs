//! How long the answers of an upstream take, and when one is late.

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

/// An upstream that is not known to be faster is late after this time.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Nobody is late sooner: a KDC that thinks for a moment is not asked twice.
const SOONEST: Duration = Duration::from_millis(500);
/// Everybody is late by then.
pub(super) const LATEST: Duration = Duration::from_secs(3);

/// The answers of an upstream to harmless requests over reused connections: mean and deviation, as RFC 6298 2 has them for
/// round trips.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RttEstimator(Option<(Duration, Duration)>);

impl RttEstimator {
    /// An answer took so long.
    pub(super) fn sample(&mut self, took: Duration) {
        self.0 = Some(match self.0 {
            None => (took, took / 2),
            Some((mean, deviation)) => (
                (7 * mean + took) / 8,
                (3 * deviation + mean.abs_diff(took)) / 4,
            ),
        });
    }

    /// After how long an answer is late: over a `reused` connection it takes a round trip and what the KDC takes; over a new
    /// one, name, TCP and TLS are three round trips more.
    pub(super) fn timeout(self, reused: bool) -> Duration {
        let Some((mean, deviation)) = self.0 else {
            return UNKNOWN;
        };
        let usual = mean + 4 * deviation;
        if reused {
            return usual.clamp(SOONEST, LATEST);
        }
        (usual + 3 * mean).clamp(UNKNOWN, LATEST)
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

    fn measured(millis: &[u64]) -> RttEstimator {
        let mut rtt = RttEstimator::default();
        for millis in millis {
            rtt.sample(Duration::from_millis(*millis));
        }
        rtt
    }

    fn late(rtt: RttEstimator) -> [u128; 2] {
        [true, false].map(|reused| rtt.timeout(reused).as_millis())
    }

    #[test]
    fn who_is_late_depends_on_how_long_it_took_so_far() {
        assert_eq!(late(RttEstimator::default()), [1000, 1000], "unknown");
        assert_eq!(late(measured(&[1; 50])), [500, 1000], "near");
        assert_eq!(late(measured(&[400])), [1200, 2400], "seen once");
        let [reused, new] = late(measured(&[400; 50]));
        assert!((500..502).contains(&reused), "steady: {reused}");
        assert!((1600..1604).contains(&new), "steady: {new}");
        assert_eq!(late(measured(&[5000; 3])), [3000, 3000], "far too slow");
    }

    #[test]
    fn what_varies_is_given_more_time() {
        let [reused, _] = late(measured(&[100, 900].repeat(20)));
        assert!(reused > 1500, "{reused}");
    }
}
