//! The access log: a line for each HTTP request, on its own switch.
//!
//! A request never waits for it. Its line goes to a thread that writes, over a channel that holds so many and no more;
//! what finds no place there, what is over the lines that a second may have, and what the disk does not take, is left out,
//! counted, and told in the log itself. What anybody can cause without a Kerberos message, or is turned away for asking too
//! much, has few lines of its own, so that it takes none from those who log in.

mod line;
mod writer;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use self::writer::Writer;
use crate::config::gateway::AccessLogSettings;
use crate::gateway::record::RequestRecord;
use crate::relay::counters::Counter;
use crate::relay::failure::Failure;
use crate::relay::quota::Quota;
use crate::relay::sync::lock;

/// Lines that wait for the writer: of the longest 3 MiB, of usual ones a tenth of one.
const WAITING: usize = 1024;

/// A handle to write to the access log with, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct AccessLog {
    messages: mpsc::Sender<LogMessage>,
    quotas: Arc<Mutex<LineQuotas>>,
    left_out: Arc<Counter>,
    /// Records should say who an AS-REQ is from.
    pub(super) names_principals: bool,
}

/// What the writer is sent.
#[derive(Debug)]
enum LogMessage {
    Line(String),
    /// What was left out is to be told.
    LeftOut,
    Reopen,
    End,
}

impl AccessLog {
    /// Opens the log. Must be called inside a runtime.
    ///
    /// # Errors
    /// A [`Failure`] that names the file that cannot be opened, and what to do.
    pub fn open(settings: AccessLogSettings) -> Result<Self, Failure> {
        let left_out = Arc::<Counter>::default();
        let writer = Writer::open(settings.target, Arc::clone(&left_out))?;
        let (messages, received) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || writer.run(received));
        tokio::spawn(report_left_out(messages.downgrade(), Arc::clone(&left_out)));
        Ok(Self {
            messages,
            quotas: Arc::new(Mutex::new(LineQuotas::new(settings.lines_per_second))),
            left_out,
            names_principals: settings.principals,
        })
    }

    /// Writes a line about `record`, or leaves it out. Never waits.
    pub fn write(&self, record: &RequestRecord) {
        let has_room = lock(&self.quotas).quota_for(record).spend(Instant::now());
        let is_written = has_room && {
            let line = line::request_line(record, SystemTime::now());
            self.messages.try_send(LogMessage::Line(line)).is_ok()
        };
        if !is_written {
            self.left_out.add();
        }
    }

    /// How many lines were left out by now.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out.get()
    }

    /// Opens the file again, for one that was renamed. What cannot be opened is told in the log, and the old one stays.
    /// Must be called inside a runtime.
    pub fn reopen(&self) {
        let messages = self.messages.clone();
        tokio::spawn(async move { messages.send(LogMessage::Reopen).await });
    }

    /// Ends the log once what is waiting is written; says whether that came to be within `time`.
    pub async fn end(&self, time: Duration) -> bool {
        let ended = async {
            drop(self.messages.send(LogMessage::End).await);
            self.messages.closed().await;
        };
        timeout(time, ended).await.is_ok()
    }
}

/// Has what was left out told within a second, for no line may follow the end of a flood.
async fn report_left_out(messages: mpsc::WeakSender<LogMessage>, left_out: Arc<Counter>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        let Some(messages) = messages.upgrade() else {
            return;
        };
        if left_out.get() > 0 {
            // Where that has no room, lines wait, which have it told.
            let _ = messages.try_send(LogMessage::LeftOut);
        }
    }
}

/// How many lines a second may have, in two parts: neither takes from the other.
#[derive(Debug)]
struct LineQuotas {
    messages: Quota,
    /// For what costs its client nothing: no Kerberos message, none that is valid, or one more than it may send.
    aside: Quota,
}

impl LineQuotas {
    fn new(per_second: u32) -> Self {
        let lines = |most: u32| Quota::new(most, Duration::from_secs(1) / most);
        Self {
            messages: lines(per_second),
            aside: lines((per_second / 10).max(1)),
        }
    }

    /// The part that `record` belongs to.
    fn quota_for(&mut self, record: &RequestRecord) -> &mut Quota {
        // A message that is not valid inside, and one too many (RFC 6585 4).
        if record.kind.is_none() || matches!(record.status, Some(400 | 429)) {
            &mut self.aside
        } else {
            &mut self.messages
        }
    }
}

#[cfg(test)]
mod tests;
