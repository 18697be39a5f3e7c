//! What krb5.conf and the files that it includes say without us, and lines of theirs that are taken out for `--only`.
//!
//! A line is taken out by words before it that make it a comment, and put back by taking those away: each of itself, whatever
//! others do to the file meanwhile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::host::Machine;
use super::profile::{self, FileSystem, Profile};

/// Stands before a line that was taken out.
pub(super) const TAKEN_OUT: &str =
    "# taken out by \"loopkdc krb5-conf --install --only\", put back by --remove: ";

/// Reads the text of the file `path` and what that includes, as it was before lines were taken out; and from which files they were.
/// `own`: files that say nothing, as they are ours.
pub(super) fn read(path: &Path, text: &[u8], own: &[&Path]) -> (Profile, BTreeSet<PathBuf>) {
    let mut files = Before {
        own: own.iter().map(|path| whole(path)).collect(),
        changed: BTreeSet::new(),
    };
    let text = String::from_utf8_lossy(text);
    let profile = profile::read(&path.to_string_lossy(), &text, &mut files);
    (profile, files.changed)
}

/// The files of this machine before there was anything of ours in them.
struct Before {
    own: Vec<PathBuf>,
    changed: BTreeSet<PathBuf>,
}

impl FileSystem for Before {
    fn text(&mut self, path: &str) -> Result<String, String> {
        if self.own.contains(&whole(Path::new(path))) {
            return Ok(String::new());
        }
        let text = Machine.text(path)?;
        let before = put_back(text.as_bytes());
        if before == text.as_bytes() {
            return Ok(text);
        }
        self.changed.insert(path.into());
        Ok(String::from_utf8_lossy(&before).into_owned())
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, String> {
        Machine.names(directory)
    }
}

/// A path as everybody else would write it, if there is something.
pub(super) fn whole(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The text with these lines of it, from 1 on, as comments, and all others as they were.
pub(super) fn changed(text: &[u8], lines: Option<&BTreeSet<usize>>) -> Vec<u8> {
    let before = put_back(text);
    let is_taken_out = |number| lines.is_some_and(|lines| lines.contains(&number));
    let changed = numbered(&before).map(|(line, number)| {
        let mark = if is_taken_out(number) { TAKEN_OUT } else { "" };
        [mark.as_bytes(), line].concat()
    });
    changed.flatten().collect()
}

/// The text with all such lines as they were.
pub(super) fn put_back(text: &[u8]) -> Vec<u8> {
    let mark = TAKEN_OUT.as_bytes();
    let lines = numbered(text).map(|(line, _)| line.strip_prefix(mark).unwrap_or(line));
    lines.flatten().copied().collect()
}

fn numbered(text: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    text.split_inclusive(|octet| *octet == b'\n').zip(1..)
}
