//! The thread that writes.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use super::target::Open;
use super::{Errand, Wishes, line};

/// How long after the last line is told what was left out behind it. Nothing is left out later than that without a line:
/// a second over its bound began with one.
const QUIET: Duration = Duration::from_secs(1);
/// How often a log that cannot be written is told elsewhere.
const WARNING: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    open: Open,
    wishes: Arc<Wishes>,
    /// How many of those left out the log has told.
    told: u64,
    /// Whether the log ends within a line.
    torn: bool,
    warned: Option<Instant>,
}

impl Writer {
    pub(super) fn new(open: Open, wishes: Arc<Wishes>) -> Self {
        Self {
            open,
            wishes,
            told: 0,
            torn: false,
            warned: None,
        }
    }

    /// Writes what comes, until it is wished otherwise or nobody is left to send anything.
    pub(super) fn run(mut self, errands: Receiver<Errand>) {
        let _ended = self.wishes.ended.clone().drop_guard();
        self.serve(&errands);
        // Before it is said that the log has ended: what comes now is left out.
        drop(errands);
    }

    fn serve(&mut self, errands: &Receiver<Errand>) {
        let mut quiet = true;
        while !self.wishes.end.load(Ordering::Acquire) {
            match next(errands, quiet) {
                Ok(errand) => {
                    quiet = false;
                    self.obey(errand);
                }
                Err(RecvTimeoutError::Timeout) => {
                    quiet = true;
                    self.tell_left_out();
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        errands.try_iter().for_each(|errand| self.obey(errand));
        self.tell_left_out();
    }

    fn obey(&mut self, errand: Errand) {
        if self.wishes.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        if let Errand::Line(line) = errand {
            self.tell_left_out();
            if !self.put(&line) {
                self.wishes.left_out.add();
            }
        }
    }

    fn reopen(&mut self) {
        match self.open.reopen() {
            Ok(()) => self.torn = false,
            Err(error) => {
                let path = self.open.name();
                tracing::error!(path, %error, "the access log cannot be opened again, and stays where it was");
            }
        }
    }

    fn tell_left_out(&mut self) {
        let left_out = self.wishes.left_out.get();
        let news = left_out - self.told;
        if news > 0 && self.put(&line::left_out(news, SystemTime::now())) {
            self.told = left_out;
        }
    }

    /// Writes one line; says whether it was written.
    fn put(&mut self, line: &str) -> bool {
        match put(&mut self.open, line.as_bytes(), &mut self.torn) {
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
            let path = self.open.name();
            tracing::error!(path, %error, "the access log cannot be written, and leaves lines out");
        }
    }
}

/// The next errand. Once all is quiet there is nothing to wake up for but one.
fn next(errands: &Receiver<Errand>, quiet: bool) -> Result<Errand, RecvTimeoutError> {
    if quiet {
        errands.recv().map_err(RecvTimeoutError::from)
    } else {
        errands.recv_timeout(QUIET)
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
