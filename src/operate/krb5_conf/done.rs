//! A change of a file that can be undone, unless others have changed it since.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::seen::Opened;
use super::staged::sync_directory_of;

/// More copies that somebody has still to look at than any directory has.
const MAX_COPIES: usize = 100;

/// A change, and what was there before.
#[derive(Debug)]
pub(super) struct Done {
    target: PathBuf,
    /// None: nothing was.
    kept: Option<PathBuf>,
    now: Now,
}

/// What a change has left at its target.
#[derive(Debug)]
enum Now {
    Nothing,
    File(Opened),
    /// A file of which it can't be told whether it still is the same.
    Unknown,
}

/// What could not be undone.
#[derive(Debug)]
pub(super) struct NotUndone {
    pub(super) target: PathBuf,
    /// Where what it was is kept, if it was there.
    pub(super) kept: Option<PathBuf>,
    /// None: somebody else has changed it since.
    pub(super) error: Option<io::Error>,
}

impl Done {
    pub(super) fn put(target: &Path, kept: Option<PathBuf>, put: Option<Opened>) -> Self {
        Self {
            target: target.to_owned(),
            kept,
            now: put.map_or(Now::Unknown, Now::File),
        }
    }

    pub(super) fn removed(target: &Path, kept: PathBuf) -> Self {
        Self {
            target: target.to_owned(),
            kept: Some(kept),
            now: Now::Nothing,
        }
    }

    /// Has it on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_directory_of(&self.target)
    }

    /// Puts back what was there, if nobody else has put something there since.
    ///
    /// # Errors
    /// It was left as it is. What it was stays, by a name that nothing sweeps away.
    pub(super) fn undo(self) -> Result<(), NotUndone> {
        let undone = match self.is_still_so() {
            true => self.put_back().map_err(Some),
            false => Err(None),
        };
        undone.map_err(|error| NotUndone {
            kept: self.kept.map(|kept| preserved(kept, &self.target)),
            target: self.target,
            error,
        })
    }

    fn is_still_so(&self) -> bool {
        match (Opened::at(&self.target), &self.now) {
            (Ok(None), Now::Nothing) => true,
            (Ok(Some(there)), Now::File(put)) => there == *put,
            _ => false,
        }
    }

    fn put_back(&self) -> io::Result<()> {
        match &self.kept {
            Some(kept) => fs::rename(kept, &self.target)?,
            None => fs::remove_file(&self.target)?,
        }
        // What is not on disk yet is there all the same.
        let _ = self.sync();
        Ok(())
    }

    /// It is not going to be undone.
    pub(super) fn settle(self) {
        // What stays there is read by nobody, and swept away the next time.
        if let Some(kept) = &self.kept {
            let _ = fs::remove_file(kept);
        }
    }
}

/// Gives what is kept of `target` a name that tells what it is, and returns that, or the one that it has.
fn preserved(kept: PathBuf, target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    for number in 0..MAX_COPIES {
        // No library reads it, as it has a dot in it, and no `.conf` at its end.
        let number = match number {
            0 => String::new(),
            number => format!(".{number}"),
        };
        let path = target.with_file_name(format!("{name}.kept-by-loopkdc{number}"));
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        // A link takes the place of nothing, as a rename would.
        if fs::hard_link(&kept, &path).is_ok() {
            let _ = fs::remove_file(&kept);
            return path;
        }
        if fs::rename(&kept, &path).is_ok() {
            return path;
        }
        break;
    }
    kept
}
