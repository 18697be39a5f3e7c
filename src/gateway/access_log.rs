//! The access log: a line for each HTTP request, on its own switch.
//!
//! A request never waits for it. Its line goes to a thread that writes, over a channel that holds so many and no more;
//! what finds no place there, what is over the lines that a second may have, and what the disk does not take, is left out,
//! counted, and told in the log itself. What anybody can cause without a Kerberos message, or is turned away for asking too
//! much, has few lines of its own, so that it takes none from those who log in.

mod line;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use self::writer::{LogFile, Writer};
use crate::config::gateway::AccessLogSettings;
use crate::gateway::record::{RequestOutcome, RequestRecord};
use crate::relay::counters::Counter;
use crate::relay::failure::{Exit, Failure};
use crate::relay::sync::lock;

/// Lines that wait for the writer: of the longest 3 MiB, of usual ones a tenth of one.
const WAITING: usize = 1024;

/// A handle to write to the access log with, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<LogHandle>);

#[derive(Debug)]
struct LogHandle {
    lines: SyncSender<LogMessage>,
    orders: Arc<WriterOrders>,
    quotas: Mutex<LineQuotas>,
    principals: bool,
}

/// What the writer is sent.
#[derive(Debug)]
enum LogMessage {
    Line(String),
    /// There is a new order.
    Wake,
}

/// What the writer is ordered beside the lines, and what it says.
#[derive(Debug, Default)]
struct WriterOrders {
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
        let file = LogFile::new(settings.target)?;
        let (lines, messages) = sync_channel(WAITING);
        let orders = Arc::<WriterOrders>::default();
        let writer = Writer::new(file, Arc::clone(&orders));
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(messages))
            .map_err(|error| {
                let text = format!("cannot start the thread of the access log: {error}");
                Failure::new(Exit::Bug, text)
            })?;
        Ok(Self(Arc::new(LogHandle {
            lines,
            orders,
            quotas: Mutex::new(LineQuotas::new(settings.lines_per_second, Instant::now())),
            principals: settings.principals,
        })))
    }

    /// True if records should say who an AS-REQ is from.
    #[must_use]
    pub fn names_principals(&self) -> bool {
        self.0.principals
    }

    /// Writes a line about `record`, or leaves it out. Never waits.
    pub fn write(&self, record: &RequestRecord) {
        let is_written = self.has_room(record, Instant::now()) && {
            let line = line::of(record, SystemTime::now());
            self.0.lines.try_send(LogMessage::Line(line)).is_ok()
        };
        if !is_written {
            self.0.orders.left_out.add();
        }
    }

    fn has_room(&self, record: &RequestRecord, now: Instant) -> bool {
        lock(&self.0.quotas).of(record).take(now)
    }

    /// How many lines were left out by now.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.0.orders.left_out.get()
    }

    /// Opens the file again, for one that was renamed. What cannot be opened is told in the log, and the old one stays.
    pub fn reopen(&self) {
        self.0.orders.reopen.store(true, Ordering::Release);
        // One that has no place for this has lines to write, and sees the order after the next.
        drop(self.0.lines.try_send(LogMessage::Wake));
    }

    /// Ends the log once what is waiting is written; says whether that came to be within `time`.
    pub async fn end(&self, time: Duration) -> bool {
        self.0.orders.end.store(true, Ordering::Release);
        drop(self.0.lines.try_send(LogMessage::Wake));
        let ended = self.0.orders.ended.cancelled();
        tokio::time::timeout(time, ended).await.is_ok()
    }
}

/// How many lines a second may have, in two parts: neither takes from the other.
#[derive(Debug)]
struct LineQuotas {
    messages: LineQuota,
    /// For what costs its client nothing: no Kerberos message, or one more than it may send.
    aside: LineQuota,
}

impl LineQuotas {
    fn new(most: u32, now: Instant) -> Self {
        Self {
            messages: LineQuota::new(most, now),
            aside: LineQuota::new((most / 10).max(1), now),
        }
    }

    /// The part that `record` belongs to.
    fn of(&mut self, record: &RequestRecord) -> &mut LineQuota {
        let is_aside = record.kind.is_none() || record.outcome() == RequestOutcome::Throttled;
        if is_aside {
            &mut self.aside
        } else {
            &mut self.messages
        }
    }
}

/// How many lines one of them may have.
#[derive(Debug)]
struct LineQuota {
    most: u32,
    begun: Instant,
    lines: u32,
}

impl LineQuota {
    fn new(most: u32, now: Instant) -> Self {
        Self {
            most,
            begun: now,
            lines: 0,
        }
    }

    /// Takes room for one more line, if there is any.
    fn take(&mut self, now: Instant) -> bool {
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
