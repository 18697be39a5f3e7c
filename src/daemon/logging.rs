//! The log: lines on stderr.

mod bounded;

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use bounded::Bounded;

/// The target of lines that only the administrator can cause: start, reload, stop, and what the configuration deserves to be
/// told. All others are bounded in number.
pub(crate) const ADMIN: &str = "loopkdc::admin";

/// Sends our own lines of `level` and above to stderr, and the libraries' worst.
pub fn init(level: LevelFilter) {
    // The journal stamps each line itself.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Bounded::default())
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(targets(level));
    let done = if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(lines.without_time()).try_init()
    } else {
        registry.with(lines).try_init()
    };
    // A second call, as tests make it, changes nothing.
    drop(done);
}

/// Which lines are written. The libraries' never below warn, as they may name what they carry; and at warn, which the
/// other side can make them say as often as it likes (HTTP/2 does, of a PING that nobody sent), only for who looks for them.
fn targets(level: LevelFilter) -> Targets {
    let theirs = if level >= LevelFilter::DEBUG {
        LevelFilter::WARN
    } else {
        level.min(LevelFilter::ERROR)
    };
    Targets::new()
        .with_default(theirs)
        .with_target("loopkdc", level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_warn_only_who_looks_for_it() {
        let enabled = |level, target: &str| {
            let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG];
            let targets = targets(level);
            levels.map(|level| targets.would_enable(target, &level))
        };
        for (level, ours, theirs) in [
            (LevelFilter::OFF, [false; 4], [false; 4]),
            (
                LevelFilter::ERROR,
                [true, false, false, false],
                [true, false, false, false],
            ),
            (
                LevelFilter::INFO,
                [true, true, true, false],
                [true, false, false, false],
            ),
            (LevelFilter::DEBUG, [true; 4], [true, true, false, false]),
            (LevelFilter::TRACE, [true; 4], [true, true, false, false]),
        ] {
            assert_eq!(enabled(level, "loopkdc::relay::exchange"), ours, "{level}");
            assert_eq!(enabled(level, "h2::proto"), theirs, "{level}");
        }
    }
}
