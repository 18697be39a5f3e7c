//! What `kinit` will take.

use std::time::Duration;

use super::line::{Layer, Line};

/// How fast an upstream answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Over a connection that had to be made.
    pub(super) cold: Duration,
    /// Over one that stood.
    pub(super) warm: Duration,
}

/// What `kinit` will take by the first of `upstreams` that serves, which are in the order in which they are tried: a first
/// AS-REQ, which is told what preauthentication is wanted, and a second with it (RFC 4120 3.1.1). SPAKE takes a third.
pub(super) fn of(upstreams: &[(String, Option<Pace>)]) -> Line {
    let serving = upstreams
        .iter()
        .find_map(|(name, pace)| Some((name, (*pace)?)));
    let Some((name, Pace { cold, warm })) = serving else {
        return Line::skipped(Layer::Estimate, "nothing serves the realm: kinit fails");
    };
    let (first, later) = (cold + warm, 2 * warm);
    let what = format!(
        "kinit by {name} waits this long, and {} ms when a connection stands; with SPAKE {} ms more",
        later.as_millis(),
        warm.as_millis()
    );
    Line::ok(Layer::Estimate, what).figure(first)
}

#[cfg(test)]
mod tests {
    use super::super::{Figure, Verdict};
    use super::*;

    #[test]
    fn the_first_that_serves_is_what_kinit_waits_for() {
        let pace = |cold, warm| {
            Some(Pace {
                cold: Duration::from_millis(cold),
                warm: Duration::from_millis(warm),
            })
        };
        let named = |name: &str, pace| (name.to_owned(), pace);
        let line = of(&[
            named("a", None),
            named("b", pace(90, 30)),
            named("c", pace(1, 1)),
        ]);
        assert_eq!(line.figure, Some(Figure::Milliseconds(120.0)));
        assert!(
            line.what.contains("by b") && line.what.contains("60 ms"),
            "{}",
            line.what
        );
        assert_eq!(of(&[named("a", None)]).verdict, Verdict::Skipped);
    }
}
