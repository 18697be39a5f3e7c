//! The log: lines on stderr, and how many of them in all.

use std::fmt;
use std::io::{self, IsTerminal, Write, stderr};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::writer::OptionalWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::relay::counters::LOG_LINES_LEFT_OUT;
use crate::relay::quota::Quota;
use crate::relay::sync::lock;
use crate::relay::text;

/// The target of lines that only the administrator can cause: start, reload, stop, and what the configuration deserves to be
/// told. All others are bounded in number.
pub(crate) const ADMIN: &str = "loopkdc::admin";

/// Sends our own lines of `level` and above to stderr, and the libraries' worst.
pub fn init(level: LevelFilter) {
    let is_journal = is_journal();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(Bounded::new(is_journal))
        .fmt_fields(debug_fn(write_field).delimited(" "))
        .with_ansi(stderr().is_terminal())
        .with_target(false);
    let registry = tracing_subscriber::registry().with(targets(level));
    // The journal stamps each line itself.
    let done = if is_journal {
        registry.with(lines.without_time()).try_init()
    } else {
        registry.with(lines).try_init()
    };
    // A second call, as tests make it, changes nothing.
    drop(done);
}

/// A value may be a name that somebody chose, of a file say: it is in one line. What a mistake in the configuration is has several.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    match field.name() {
        "message" => writer.write_str(&text::lines(&value)),
        name => write!(writer, "{name}={}", text::line(&value)),
    }
}

/// What stands before a line of `level` on stderr: nothing, unless the journal reads that.
pub(crate) fn journal_priority(level: Level) -> &'static str {
    if is_journal() { priority(level) } else { "" }
}

fn is_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|name| is_stream(&name, stderr()))
}

/// `name`, a device and an inode, is `stream`'s (JOURNAL_STREAM in systemd.exec(5)): who is started below a service inherits the
/// variable, and may write somewhere else.
fn is_stream(name: &str, stream: impl AsFd) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|stat| name == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// What the journal, and nobody else, wants before a line of `level` (sd-daemon(3)).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
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

/// Lines of info and above that are written at once, and the time in which one more may be: in no minute more than 120.
const LINES: u32 = 60;
const LINE: Duration = Duration::from_secs(1);

/// Standard error, for as many lines of info and above as there may be; whoever asks for more than info wants them all.
///
/// Each kind of line has a bound of its own where it is told. This one holds whatever their number: of upstreams, of
/// listeners, of faults that are yet to be met.
#[derive(Debug)]
struct Bounded {
    budget: Mutex<Budget>,
    is_journal: bool,
}

impl Bounded {
    fn new(is_journal: bool) -> Self {
        let lines = Quota::new(LINES, LINE);
        let budget = Mutex::new(Budget { lines, left_out: 0 });
        Self { budget, is_journal }
    }

    fn line(&self, level: Level) -> Prefixed {
        Prefixed(if self.is_journal { priority(level) } else { "" })
    }
}

/// Standard error, with this before each line, and in one piece, as others write there too.
#[derive(Debug)]
struct Prefixed(&'static str);

impl Write for Prefixed {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let lines = text.split_inclusive(|octet| *octet == b'\n');
        let prefixed: Vec<u8> = lines
            .flat_map(|line| [self.0.as_bytes(), line].concat())
            .collect();
        stderr().write_all(&prefixed)?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Bounded {
    type Writer = OptionalWriter<Prefixed>;

    fn make_writer(&'a self) -> Self::Writer {
        OptionalWriter::some(self.line(Level::INFO))
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Self::Writer {
        if *line.level() > Level::INFO || line.target() == ADMIN {
            return OptionalWriter::some(self.line(*line.level()));
        }
        let spent = lock(&self.budget).spend(Instant::now());
        let Some(left_out) = spent else {
            LOG_LINES_LEFT_OUT.add();
            return OptionalWriter::none();
        };
        if left_out > 0 {
            // Where it can't be written, no line can.
            let _ = self
                .line(Level::INFO)
                .write_all(format!("{left_out} lines were left out here\n").as_bytes());
        }
        OptionalWriter::some(self.line(*line.level()))
    }
}

#[derive(Debug)]
struct Budget {
    lines: Quota,
    left_out: u64,
}

impl Budget {
    /// How many lines were left out before this one, if it may be written.
    fn spend(&mut self, now: Instant) -> Option<u64> {
        if self.lines.spend(now) {
            return Some(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

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

    #[test]
    fn no_minute_has_more_lines_than_it_may_and_who_is_left_out_is_told() {
        let start = Instant::now();
        let mut budget = Bounded::new(false).budget.into_inner().unwrap();
        // Ten lines a second, for three minutes.
        let mut written: Vec<Duration> = Vec::new();
        let mut told = 0;
        for tenth in 0..1800 {
            let at = Duration::from_millis(100 * tenth);
            if let Some(left_out) = budget.spend(start + at) {
                told += left_out;
                written.push(at);
            }
        }
        assert!(written.len() >= 60 + 170, "{}", written.len());
        for from in &written {
            let minute = *from..*from + Duration::from_secs(60);
            let lines = written.iter().filter(|at| minute.contains(*at)).count();
            assert!(lines <= 120, "{lines} from {from:?}");
        }
        assert_eq!(told + budget.left_out, 1800 - written.len() as u64);
    }
}
