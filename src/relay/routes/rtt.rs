//! How long an upstream takes to answer, and when it is late.

use std::time::Duration;

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
