//! The access log: a line for each HTTP request, on its own switch.
//!
//! A request never waits for it. Its line goes to a thread that writes, over a channel that holds so many and no more;
//! what finds no place there, what is over the lines that a second may have, and what the disk does not take, is left out,
//! counted, and told in the log itself. What anybody can cause without a Kerberos message, or is turned away for asking too
//! much, has few lines of its own, so that it takes none from those who log in.

mod line;
mod target;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use self::target::Open;
use self::writer::Writer;
use crate::config::gateway::AccessLogSettings;
use crate::gateway::record::{RequestOutcome, RequestRecord};
use crate::relay::counters::Counter;
use crate::relay::failure::{Exit, Failure};
use crate::relay::sync::lock;

/// Lines that wait for the writer: of the longest 3 MiB, of usual ones a tenth of one.
const WAITING: usize = 1024;

/// The access log, as those have it who write to it. Ends with its last copy.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lines: SyncSender<Errand>,
    wishes: Arc<Wishes>,
    seconds: Mutex<Seconds>,
    principals: bool,
}

/// What the writer is sent.
#[derive(Debug)]
enum Errand {
    Line(String),
    /// There is a new wish.
    Wish,
}

/// What the writer and the others tell each other beside the lines.
#[derive(Debug, Default)]
struct Wishes {
    reopen: AtomicBool,
    end: AtomicBool,
    ended: CancellationToken,
    left_out: Counter,
}

impl AccessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// A [`Failure`] that names the file that cannot be opened, and what to do.
    pub fn open(settings: AccessLogSettings) -> Result<Self, Failure> {
        let open = Open::new(settings.target)?;
        let (lines, errands) = sync_channel(WAITING);
        let wishes = Arc::<Wishes>::default();
        let writer = Writer::new(open, Arc::clone(&wishes));
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(errands))
            .map_err(|error| {
                let text = format!("cannot start the thread of the access log: {error}");
                Failure::new(Exit::Bug, text)
            })?;
        Ok(Self(Arc::new(Inner {
            lines,
            wishes,
            seconds: Mutex::new(Seconds::new(settings.lines_per_second, Instant::now())),
            principals: settings.principals,
        })))
    }

    /// Whether records should say who an AS-REQ is from.
    #[must_use]
    pub fn names_principals(&self) -> bool {
        self.0.principals
    }

    /// Writes a line about `record`, or leaves it out. Never waits.
    pub fn write(&self, record: &RequestRecord) {
        let is_written = self.has_room(record, Instant::now()) && {
            let line = line::of(record, SystemTime::now());
            self.0.lines.try_send(Errand::Line(line)).is_ok()
        };
        if !is_written {
            self.0.wishes.left_out.add();
        }
    }

    fn has_room(&self, record: &RequestRecord, now: Instant) -> bool {
        lock(&self.0.seconds).of(record).has_room(now)
    }

    /// How many lines were left out by now.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.0.wishes.left_out.get()
    }

    /// Opens the file again, for one that was renamed. What cannot be opened is told in the log, and the old one stays.
    pub fn reopen(&self) {
        self.0.wishes.reopen.store(true, Ordering::Release);
        // One that has no place for this has lines to write, and sees the wish after the next.
        drop(self.0.lines.try_send(Errand::Wish));
    }

    /// Ends the log once what is waiting is written; says whether that came to be within `time`.
    pub async fn end(&self, time: Duration) -> bool {
        self.0.wishes.end.store(true, Ordering::Release);
        drop(self.0.lines.try_send(Errand::Wish));
        let ended = self.0.wishes.ended.cancelled();
        tokio::time::timeout(time, ended).await.is_ok()
    }
}

/// The lines of the second that runs, in two parts: neither takes from the other.
#[derive(Debug)]
struct Seconds {
    asked: Second,
    /// For what costs its client nothing: no Kerberos message, or one more than it may send.
    aside: Second,
}

impl Seconds {
    fn new(most: u32, now: Instant) -> Self {
        Self {
            asked: Second::new(most, now),
            aside: Second::new((most / 10).max(1), now),
        }
    }

    /// The part that `record` belongs to.
    fn of(&mut self, record: &RequestRecord) -> &mut Second {
        let is_aside = record.kind.is_none() || record.outcome() == RequestOutcome::Throttled;
        if is_aside {
            &mut self.aside
        } else {
            &mut self.asked
        }
    }
}

/// The lines of one part of it.
#[derive(Debug)]
struct Second {
    most: u32,
    begun: Instant,
    lines: u32,
}

impl Second {
    fn new(most: u32, now: Instant) -> Self {
        Self {
            most,
            begun: now,
            lines: 0,
        }
    }

    /// Whether there is room for one more line, which it takes.
    fn has_room(&mut self, now: Instant) -> bool {
        if now.duration_since(self.begun) >= Duration::from_secs(1) {
            self.begun = now;
            self.lines = 0;
        }
        let has_room = self.lines < self.most;
        self.lines += u32::from(has_room);
        has_room
    }
}

#[cfg(test)]
mod tests;
