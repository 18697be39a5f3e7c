//! How long an upstream takes to answer, and when it is late.

use std::time::Duration;

/// Who is not known to be faster is late after this time.
const UNKNOWN: Duration = Duration::from_secs(1);
/// Nobody is late sooner: a KDC that thinks for a moment is not asked twice.
const SOONEST: Duration = Duration::from_millis(500);
/// Everybody is late by then.
pub(super) const LATEST: Duration = Duration::from_secs(3);

/// What a request went over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A connection that stood: its answer takes a round trip and what the KDC takes.
    Kept,
    /// A new one: name, TCP and TLS are three round trips more.
    Fresh,
}

/// The answers of an upstream to harmless requests over kept connections, as RFC 6298 2 measures round trips.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace(Option<Measured>);

#[derive(Clone, Copy, Debug)]
struct Measured {
    mean: Duration,
    deviation: Duration,
}

impl Pace {
    /// An answer took so long.
    pub(super) fn sample(&mut self, took: Duration) {
        let Some(Measured { mean, deviation }) = self.0 else {
            self.0 = Some(Measured {
                mean: took,
                deviation: took / 2,
            });
            return;
        };
        self.0 = Some(Measured {
            mean: (7 * mean + took) / 8,
            deviation: (3 * deviation + mean.abs_diff(took)) / 4,
        });
    }

    /// After how long an answer is late.
    pub(super) fn late(self, over: Over) -> Duration {
        let Some(Measured { mean, deviation }) = self.0 else {
            return UNKNOWN;
        };
        let usual = mean + 4 * deviation;
        let (soonest, late) = match over {
            Over::Kept => (SOONEST, usual),
            Over::Fresh => (UNKNOWN, usual + 3 * mean),
        };
        late.clamp(soonest, LATEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(millis: &[u64]) -> Pace {
        let mut pace = Pace::default();
        for millis in millis {
            pace.sample(Duration::from_millis(*millis));
        }
        pace
    }

    fn late(pace: Pace) -> [u128; 2] {
        [Over::Kept, Over::Fresh].map(|over| pace.late(over).as_millis())
    }

    #[test]
    fn who_is_late_depends_on_how_long_it_took_so_far() {
        assert_eq!(late(Pace::default()), [1000, 1000], "unknown");
        assert_eq!(late(paced(&[1; 50])), [500, 1000], "near");
        assert_eq!(late(paced(&[400])), [1200, 2400], "seen once");
        let [kept, fresh] = late(paced(&[400; 50]));
        assert!((500..502).contains(&kept), "steady: {kept}");
        assert!((1600..1604).contains(&fresh), "steady: {fresh}");
        assert_eq!(late(paced(&[5000; 3])), [3000, 3000], "far too slow");
    }

    #[test]
    fn what_varies_is_given_more_time() {
        let [kept, _] = late(paced(&[100, 900].repeat(20)));
        assert!(kept > 1500, "{kept}");
    }
}
