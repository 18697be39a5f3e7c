//! The log: lines on stderr.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends our own lines of `level` and above to stderr; the libraries' only from warn, as they may name what they carry.
pub fn init(level: LevelFilter) {
    // The journal stamps each line itself.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let ours = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("loopkdc", level);
    let registry = tracing_subscriber::registry().with(ours);
    let done = if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(lines.without_time()).try_init()
    } else {
        registry.with(lines).try_init()
    };
    // A second call, as tests make it, changes nothing.
    drop(done);
}
