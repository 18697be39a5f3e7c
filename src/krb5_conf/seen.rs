//! A file as it was when it was read: another one takes its place only if it still is.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::machine::MAX_FILE;
use crate::config::read;

/// What was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Nothing,
    File { octets: Vec<u8>, stamp: Stamp },
}

/// What a change of a file changes, though its octets be the same: which file it is, and when its owner, mode or octets
/// were changed last.
#[cfg(unix)]
type Stamp = [i128; 4];
#[cfg(not(unix))]
type Stamp = Option<std::time::SystemTime>;

impl Seen {
    /// # Errors
    /// What is there can't be read, or is no file; a link that leads nowhere is not found.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => {
                return Ok(Self::Nothing);
            }
            other => other?,
        };
        // Taken before: what is changed while it is read is another one than was seen.
        let stamp = stamp(&metadata);
        let octets = read::regular(path, MAX_FILE)?;
        Ok(Self::File { octets, stamp })
    }

    /// Whether what is there is what was seen.
    pub(super) fn is_still_at(&self, path: &Path) -> bool {
        Self::read(path).is_ok_and(|now| now == *self)
    }

    pub(super) fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => None,
            Self::File { octets, .. } => Some(octets),
        }
    }
}

#[cfg(unix)]
fn stamp(metadata: &fs::Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    let (dev, ino) = (metadata.dev().into(), metadata.ino().into());
    [
        dev,
        ino,
        metadata.ctime().into(),
        metadata.ctime_nsec().into(),
    ]
}

#[cfg(not(unix))]
fn stamp(metadata: &fs::Metadata) -> Stamp {
    metadata.modified().ok()
}
