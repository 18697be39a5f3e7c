use super::*;

/// How long it holds after each of so many failures.
fn times(failures: usize, chance: u64) -> Vec<u128> {
    let mut now = Instant::now();
    let mut backoff = Backoff::default();
    let time = |_| {
        backoff.fail(now, now, chance);
        let until = backoff.until.unwrap();
        let time = until - now;
        assert!(backoff.counts(until - Duration::from_nanos(1)) > 0);
        assert_eq!(backoff.counts(until), 0);
        now = until;
        time.as_millis()
    };
    (0..failures).map(time).collect()
}

#[test]
fn the_time_doubles_from_one_second_to_sixty() {
    let times = times(9, 0);
    assert_eq!(
        times,
        [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]
    );
}

#[test]
fn chance_takes_a_quarter_at_most() {
    for chance in [1, 511, 1023, u64::MAX] {
        for (less, all) in times(9, chance).into_iter().zip(times(9, 0)) {
            assert!(less <= all && less >= 1000 && less * 4 >= all * 3, "{less}");
        }
    }
    assert_ne!(times(9, 1023), times(9, 0));
}

#[test]
fn failures_of_what_was_under_way_together_are_one() {
    let now = Instant::now();
    let at = |millis| now + Duration::from_millis(millis);
    let mut backoff = Backoff::default();
    backoff.fail(now, at(100), 0);
    for asked in [0, 50, 99] {
        backoff.fail(at(asked), at(200), 0);
    }
    assert_eq!(backoff.counts(at(1099)), 1);
    assert_eq!(backoff.counts(at(1100)), 0);
    backoff.fail(at(100), at(300), 0);
    assert_eq!(backoff.counts(at(300)), 2);
}
