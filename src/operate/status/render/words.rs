//! Spans and numbers for people.

/// `12 s`, `3 min`, `3 h 12 min` or `5 d 3 h`.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// The same in one unit.
fn short(millis: u64) -> String {
    let span = span(millis);
    let unit = span.match_indices(' ').nth(1);
    let length = unit.map_or(span.len(), |(end, _)| end);
    span.get(..length).unwrap_or_default().to_owned()
}

/// How long before `now` that was, in one unit.
pub(super) fn about_ago(now: u64, at: u64) -> String {
    match now.saturating_sub(at) {
        0..1000 => "just now".to_owned(),
        past => format!("{} ago", short(past)),
    }
}

/// `0 ms`, `12 ms` or `1.2 s`.
pub(super) fn took(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        _ => milliseconds(millis as f64),
    }
}

/// How long before `now` that was.
pub(super) fn ago(now: u64, at: u64) -> String {
    match now.saturating_sub(at) {
        0..1000 => "just now".to_owned(),
        past => format!("{} ago", span(past)),
    }
}

/// `0.4 ms`, `12 ms` or `1.2 s`.
pub(super) fn milliseconds(millis: f64) -> String {
    match millis {
        ..9.95 => format!("{millis:.1} ms"),
        ..999.5 => format!("{millis:.0} ms"),
        ..9_950.0 => format!("{:.1} s", millis / 1000.0),
        _ => format!("{:.0} s", millis / 1000.0),
    }
}

/// `once`, `3 times`; of other things `3 things`.
pub(super) fn count(number: u64, what: &str) -> String {
    match (number, what) {
        (1, "time") => "once".to_owned(),
        (number, "time") => format!("{number} times"),
        (number, what) => format!("{number} {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_exact_as_people_want_them() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds * 1000), expected);
        }
        assert_eq!(about_ago(90_000_000, 0), "1 d ago");
        assert_eq!(about_ago(59_000, 0), "59 s ago");
        assert_eq!(ago(5000, 4500), "just now");
        assert_eq!(ago(5000, 1000), "4 s ago");
        assert_eq!(ago(5000, 9000), "just now", "a clock that was set back");
    }

    #[test]
    fn milliseconds_have_two_figures() {
        for (millis, expected) in [
            (0.42, "0.4 ms"),
            (9.99, "10 ms"),
            (999.4, "999 ms"),
            (1234.0, "1.2 s"),
            (12_345.0, "12 s"),
        ] {
            assert_eq!(milliseconds(millis), expected);
        }
        assert_eq!([0, 999, 1000].map(took), ["0 ms", "999 ms", "1.0 s"]);
    }
}
