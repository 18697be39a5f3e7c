//! The thread that writes, and the file that it writes to.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::line;
use super::{LogMessage, WriterOrders};
use crate::config::gateway::AccessLogTarget;
use crate::relay::failure::{Exit, Failure};

/// How long after the last line it is reported what was left out behind it. Nothing is left out later than that without a line:
/// a second over its bound began with one.
const IDLE: Duration = Duration::from_secs(1);
/// How often the daemon's own log says that this one cannot be written.
const WARNING: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    file: LogFile,
    orders: Arc<WriterOrders>,
    /// How many of the lines that were left out the log has reported.
    reported: u64,
    /// The log ends within a line.
    torn: bool,
    warned: Option<Instant>,
}

impl Writer {
    pub(super) fn new(file: LogFile, orders: Arc<WriterOrders>) -> Self {
        Self {
            file,
            orders,
            reported: 0,
            torn: false,
            warned: None,
        }
    }

    /// Writes what comes, until it is ordered to end or nobody is left to send anything.
    pub(super) fn run(mut self, messages: Receiver<LogMessage>) {
        let _ended = self.orders.ended.clone().drop_guard();
        self.serve(&messages);
        // Before it is said that the log has ended: what comes now is left out.
        drop(messages);
    }

    fn serve(&mut self, messages: &Receiver<LogMessage>) {
        let mut is_idle = true;
        while !self.orders.end.load(Ordering::Acquire) {
            match next(messages, is_idle) {
                Ok(message) => {
                    is_idle = false;
                    self.handle(message);
                }
                Err(RecvTimeoutError::Timeout) => {
                    is_idle = true;
                    self.report_left_out();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        messages.try_iter().for_each(|message| self.handle(message));
        self.report_left_out();
    }

    fn handle(&mut self, message: LogMessage) {
        if self.orders.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        if let LogMessage::Line(line) = message {
            self.report_left_out();
            if !self.put(&line) {
                self.orders.left_out.add();
            }
        }
    }

    fn reopen(&mut self) {
        match self.file.reopen() {
            Ok(()) => self.torn = false,
            Err(error) => {
                let path = self.file.name();
                tracing::error!(path, %error, "the access log cannot be opened again, and stays where it was");
            }
        }
    }

    fn report_left_out(&mut self) {
        let left_out = self.orders.left_out.get();
        let news = left_out - self.reported;
        if news > 0 && self.put(&line::left_out(news, SystemTime::now())) {
            self.reported = left_out;
        }
    }

    /// Writes one line; says whether it was written.
    fn put(&mut self, line: &str) -> bool {
        match put(&mut self.file, line.as_bytes(), &mut self.torn) {
            Ok(()) => true,
            Err(error) => {
                self.warn(&error, Instant::now());
                false
            }
        }
    }

    /// A full disk stays full: that is told at first, and then now and again.
    fn warn(&mut self, error: &io::Error, now: Instant) {
        if self.warned.is_none_or(|warned| warned + WARNING <= now) {
            self.warned = Some(now);
            let path = self.file.name();
            tracing::error!(path, %error, "the access log cannot be written, and leaves lines out");
        }
    }
}

/// The next message. An idle thread has nothing else to wake up for.
fn next(messages: &Receiver<LogMessage>, is_idle: bool) -> Result<LogMessage, RecvTimeoutError> {
    if is_idle {
        messages.recv().map_err(RecvTimeoutError::from)
    } else {
        messages.recv_timeout(IDLE)
    }
}

/// Writes a line whole, after the end of one that was not; `torn` says whether this one was.
fn put(target: &mut impl Write, line: &[u8], torn: &mut bool) -> io::Result<()> {
    if *torn {
        target.write_all(b"\n")?;
        *torn = false;
    }
    let mut rest = line;
    while !rest.is_empty() {
        match target.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        *torn = !rest.is_empty();
    }
    Ok(())
}

/// The mode of a new file: the daemon's group, and nobody else, may read who logged in from where.
const MODE: u32 = 0o640;

/// Where the lines go, opened.
#[derive(Debug)]
pub(super) enum LogFile {
    Stderr,
    File { path: PathBuf, file: File },
}

impl LogFile {
    pub(super) fn new(target: AccessLogTarget) -> Result<Self, Failure> {
        match target {
            AccessLogTarget::Stderr => Ok(Self::Stderr),
            AccessLogTarget::File(path) => match open(&path) {
                Ok(file) => Ok(Self::File { path, file }),
                Err(error) => Err(refused(&path, &error)),
            },
        }
    }

    /// Opens a file again, by its name; on an error the one that is open stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = open(path)?;
        }
        Ok(())
    }

    /// Its name, for the daemon's own log.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stderr => "stderr".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => io::stderr().write(octets),
            Self::File { file, .. } => file.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, MODE);
    options.open(path)
}

/// Why a file cannot be opened, and what to do about it.
fn refused(path: &Path, error: &io::Error) -> Failure {
    let folder = path.parent().unwrap_or(path).display();
    let text = format!("cannot open the access log {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => Failure::new(Exit::Config, text).hint(format!(
            "make the directory {folder}, or choose another file for access-log in [gateway]"
        )),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Failure::new(Exit::Permission, text).hint(format!(
                "let the daemon's user write to {folder}; under systemd that takes LogsDirectory= or ReadWritePaths="
            ))
        }
        _ => Failure::new(Exit::Config, text)
            .hint("choose another file for access-log in [gateway], or \"stderr\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so much room.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let most = octets.len().min(self.room - self.written.len());
            if most == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.written.extend(&octets[..most]);
            Ok(most)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_by_a_full_disk_joins_no_other() {
        let mut disk = Disk {
            written: Vec::new(),
            room: 6,
        };
        let mut torn = false;
        let mut put = |disk: &mut Disk, line: &str| put(disk, line.as_bytes(), &mut torn).is_ok();
        assert!(put(&mut disk, "one\n"));
        assert!(!put(&mut disk, "two\n"));
        assert!(!put(&mut disk, "three\n"));
        disk.room = 100;
        assert!(put(&mut disk, "four\n"));
        assert!(put(&mut disk, "five\n"));
        assert_eq!(disk.written, b"one\ntw\nfour\nfive\n");
    }
}
