//! The thread that writes, and the file that it writes to.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc;

use super::{LogMessage, line};
use crate::config::gateway::AccessLogTarget;
use crate::relay::counters::Counter;
use crate::relay::failure::{Exit, Failure};
use crate::relay::quota::Quota;

/// The mode of a new file: the daemon's group, and nobody else, may read who logged in from where.
const MODE: u32 = 0o640;

type Output = Box<dyn Write + Send>;

pub(super) struct Writer {
    target: AccessLogTarget,
    output: Output,
    /// The output ends within a line.
    torn: bool,
    left_out: Arc<Counter>,
    /// How many of the lines that were left out the log has reported.
    reported: u64,
    /// A full disk stays full: the daemon's own log has few lines about that.
    warnings: Quota,
}

impl Writer {
    pub(super) fn open(target: AccessLogTarget, left_out: Arc<Counter>) -> Result<Self, Failure> {
        Ok(Self {
            output: open(&target).map_err(|error| refused(&target, &error))?,
            target,
            torn: false,
            left_out,
            reported: 0,
            warnings: Quota::default(),
        })
    }

    /// Writes what comes, until the end or until nobody is left to send anything.
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<LogMessage>) {
        while let Some(message) = messages.blocking_recv() {
            match message {
                LogMessage::Line(line) => self.write(&line),
                LogMessage::LeftOut => self.report_left_out(),
                LogMessage::Reopen => self.reopen(),
                LogMessage::End => break,
            }
        }
        self.report_left_out();
    }

    fn write(&mut self, line: &str) {
        self.report_left_out();
        if !self.put(line) {
            self.left_out.add();
        }
    }

    /// A line that stands for those which were left out.
    fn report_left_out(&mut self) {
        let left_out = self.left_out.get();
        let news = left_out - self.reported;
        if news > 0 && self.put(&line::left_out_line(news, SystemTime::now())) {
            self.reported = left_out;
        }
    }

    /// Writes one line; says whether it was written.
    fn put(&mut self, line: &str) -> bool {
        let put = put(&mut self.output, line, &mut self.torn);
        if let Err(error) = &put
            && self.warnings.spend(Instant::now())
        {
            let path = self.target.to_string();
            tracing::error!(path, %error, "the access log cannot be written, and leaves lines out");
        }
        put.is_ok()
    }

    fn reopen(&mut self) {
        match open(&self.target) {
            Ok(output) => (self.output, self.torn) = (output, false),
            Err(error) => {
                let path = self.target.to_string();
                tracing::error!(path, %error, "the access log cannot be opened again, and stays where it was");
            }
        }
    }
}

/// Writes a line whole, after the end of one that may not be; `torn` says that this one may not be.
fn put(output: &mut impl Write, line: &str, torn: &mut bool) -> io::Result<()> {
    if *torn {
        output.write_all(b"\n")?;
    }
    *torn = true;
    output.write_all(line.as_bytes())?;
    *torn = false;
    Ok(())
}

fn open(target: &AccessLogTarget) -> io::Result<Output> {
    let AccessLogTarget::File(path) = target else {
        return Ok(Box::new(io::stderr()));
    };
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE);
    Ok(Box::new(options.open(path)?))
}

/// Why a file cannot be opened, and what to do about it.
fn refused(target: &AccessLogTarget, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::Permission,
        _ => Exit::Config,
    };
    Failure::new(exit, format!("cannot open the access log {target}: {error}"))
        .hint("let the daemon's user write to its directory: under systemd that takes LogsDirectory= or ReadWritePaths=")
        .hint("or choose another file for access-log in [gateway], or \"stderr\"")
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
        let mut put = |disk: &mut Disk, line: &str| put(disk, line, &mut torn).is_ok();
        assert!(put(&mut disk, "one\n"));
        assert!(!put(&mut disk, "two\n"));
        assert!(!put(&mut disk, "three\n"));
        disk.room = 100;
        assert!(put(&mut disk, "four\n"));
        assert!(put(&mut disk, "five\n"));
        assert_eq!(disk.written, b"one\ntw\nfour\nfive\n");
    }
}
