//! How long answers take: three figures and bars, one line an upstream.

use super::words::milliseconds;
use crate::relay::status::{Bucket, Upstream};

/// Columns of bars: less than a millisecond, each doubling up to eight seconds, and more.
const COLUMNS: usize = 15;
/// Where the second column begins, in milliseconds: a boundary of the histogram's own.
const FIRST: f64 = 1.024;

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['.', '.', ':', ':', '+', '+', '#', '#'];

pub(super) fn head(utf8: bool) -> String {
    let to = if utf8 { "…" } else { "-" };
    let axis = format!("1 ms {to:^4} 8 s");
    format!(
        "{:<34}{:>9}{:>9}{:>9}   {axis}",
        "time of answers", "p50", "p90", "p99"
    )
}

/// Name, figures and bars.
pub(super) fn line(upstream: &Upstream, utf8: bool) -> [String; 3] {
    let latency = &upstream.latency;
    let figure = |millis: Option<f64>| millis.map_or("-".to_owned(), milliseconds);
    let mut name: String = upstream.name.as_str().to_owned();
    if name.chars().count() > 32 {
        let sign = if utf8 { '…' } else { '~' };
        name = name.chars().take(31).chain([sign]).collect();
    }
    [
        format!("  {name:<32}"),
        format!(
            "{:>9}{:>9}{:>9}   ",
            figure(latency.p50_ms),
            figure(latency.p90_ms),
            figure(latency.p99_ms)
        ),
        bars(&latency.buckets, utf8),
    ]
}

fn bars(buckets: &[Bucket], utf8: bool) -> String {
    let mut counts = [0_u64; COLUMNS];
    for bucket in buckets {
        if let Some(count) = counts.get_mut(column(bucket.from_ms)) {
            *count = count.saturating_add(bucket.count);
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let signs = if utf8 { BLOCKS } else { ASCII };
    let bar = |count: u64| match count {
        0 => ' ',
        // The lowest sign for one in a thousand too: an answer that took long is never left out.
        count => {
            let eighths = (u128::from(count) * 8).div_ceil(u128::from(most));
            let height = usize::try_from(eighths).unwrap_or(8).clamp(1, 8);
            signs.get(height - 1).copied().unwrap_or(' ')
        }
    };
    let bars: String = counts.into_iter().map(bar).collect();
    bars.trim_end().to_owned()
}

fn column(from_ms: f64) -> usize {
    let mut column = 0;
    let mut end = FIRST;
    while from_ms >= end && column + 1 < COLUMNS {
        column += 1;
        end *= 2.0;
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(from_ms: f64, count: u64) -> Bucket {
        let to_ms = from_ms * 1.25;
        Bucket {
            from_ms,
            to_ms,
            count,
        }
    }

    #[test]
    fn bars_show_what_is_rare_too() {
        let buckets = [
            bucket(0.512, 1),
            bucket(10.24, 500),
            bucket(12.288, 500),
            bucket(1048.576, 1),
            bucket(60_000.0, 400),
        ];
        assert_eq!(bars(&buckets, true), "▁   █      ▁  ▄");
        assert_eq!(bars(&buckets, false), ".   #      .  :");
        assert_eq!(bars(&[], true), "");
    }

    #[test]
    fn numbers_of_anybodys_are_shown_all_the_same() {
        let odd = [
            bucket(f64::NAN, u64::MAX),
            bucket(-1.0, 1),
            bucket(f64::INFINITY, 7),
        ];
        assert_eq!(
            bars(&odd[1..], true),
            "▂".to_owned() + &" ".repeat(13) + "█"
        );
        assert_eq!(bars(&odd[..1], true), "█");
    }
}
