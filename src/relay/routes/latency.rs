//! How long answers take: a histogram of fixed size in which what is long past counts ever less.

use std::time::Duration;

/// What the buckets are multiples of.
const UNIT: Duration = Duration::from_micros(128);
/// Buckets for each doubling, so that one is no wider than a quarter of where it begins.
const EACH: u32 = 4;
/// From less than 128 µs to more than a minute, which no deadline is.
const BUCKETS: usize = 72;
/// As soon as there are so many, each bucket loses half.
const MOST: u32 = 1000;

/// The histogram of one upstream.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    counts: [u16; BUCKETS],
    /// How many stand in the buckets.
    recent: u32,
    answers: u64,
}

/// So many answers took from `from` on, and less than `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    /// The shortest.
    from: Duration,
    /// The next bucket's shortest.
    to: Duration,
    /// How many.
    count: u16,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            recent: 0,
            answers: 0,
        }
    }
}

impl Latency {
    /// An answer took so long.
    pub(super) fn record(&mut self, took: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(took)) {
            *count += 1;
            self.recent += 1;
            self.answers += 1;
        }
        if self.recent >= MOST {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.recent = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    /// How many there were, whether they still count or not.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }

    /// The buckets that are not empty, the shortest first.
    fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let filled = self.counts.iter().zip(0..).filter(|(count, _)| **count > 0);
        filled.map(|(count, index)| Bucket {
            from: begin(index),
            to: begin(index + 1),
            count: *count,
        })
    }

    /// What `hundredths` of a hundred answers take at most, by their even spread over each bucket. Nothing if there are none.
    pub(super) fn quantile(&self, hundredths: u32) -> Option<Duration> {
        let rank = (self.recent * hundredths).div_ceil(100).max(1);
        let mut before = 0;
        for Bucket { from, to, count } in self.buckets() {
            let count = u32::from(count);
            if rank <= before + count {
                let place = 2 * (rank - before) - 1;
                return Some(from + (to - from) * place / (2 * count));
            }
            before += count;
        }
        None
    }
}

/// The bucket of an answer that took so long. The first ones are a unit wide each, the others a quarter of a power of two.
fn bucket(took: Duration) -> usize {
    let units = u32::try_from(took.as_micros() / UNIT.as_micros()).unwrap_or(u32::MAX);
    let index = match units.checked_ilog2() {
        Some(power @ 2..) => EACH * (power - 1) + (units >> (power - 2)) % EACH,
        _ => units,
    };
    (index as usize).min(BUCKETS - 1)
}

/// Where a bucket begins.
fn begin(index: u32) -> Duration {
    let units = match index / EACH {
        0 => index,
        power => (EACH + index % EACH) << (power - 1),
    };
    UNIT * units
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
    fn each_duration_falls_into_the_bucket_that_says_so() {
        for micros in (0..67_000_000).step_by(997) {
            let took = Duration::from_micros(micros);
            let index = u32::try_from(bucket(took)).unwrap();
            let (from, to) = (begin(index), begin(index + 1));
            assert!(from <= took && took < to, "{took:?}: {from:?} to {to:?}");
            assert!(to - from <= (from / 4).max(UNIT), "{from:?} to {to:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert!(begin(BUCKETS as u32) > Duration::from_secs(60));
    }

    #[test]
    fn quantiles_are_within_a_quarter() {
        assert_eq!(of([]).quantile(50), None);
        let steady = of(1..=400);
        for (hundredths, millis) in [(50, 200), (90, 360), (99, 396)] {
            let found = steady.quantile(hundredths).unwrap();
            let exact = Duration::from_millis(millis);
            assert!(found.abs_diff(exact) < exact / 4, "{hundredths}: {found:?}");
        }
        let alone = of([20]).quantile(99).unwrap();
        assert!(alone.abs_diff(Duration::from_millis(20)) < Duration::from_millis(3));
    }

    #[test]
    fn what_is_long_past_counts_ever_less() {
        let mut latency = of([2000; 3000].into_iter().chain([10; 600]));
        assert_eq!(latency.answers(), 3600);
        assert!(latency.quantile(50) < Some(Duration::from_millis(20)));
        assert!(latency.quantile(99) > Some(Duration::from_millis(1500)));
        (0..9000).for_each(|_| latency.record(Duration::from_millis(10)));
        assert!(latency.quantile(99) < Some(Duration::from_millis(20)));
        let standing: u32 = latency
            .buckets()
            .map(|bucket| u32::from(bucket.count))
            .sum();
        assert!(standing < MOST && standing == latency.recent);
    }
}
