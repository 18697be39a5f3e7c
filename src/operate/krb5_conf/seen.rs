//! A file as it was when it was read: another one takes its place only if it still is.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::machine::MAX_FILE;
use super::way::{self, Unseen};
use crate::config::read;

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// What it was asked for by.
    pub(super) name: PathBuf,
    /// The file itself, or where it would be.
    pub(super) target: PathBuf,
    /// Whether the name is that of a link to it.
    pub(super) is_link: bool,
    /// None: nothing is there.
    pub(super) file: Option<Rc<Opened>>,
}

impl Seen {
    /// # Errors
    /// What is there can't be read, or is no file; a link that leads nowhere, or a way that others can lead elsewhere.
    pub(super) fn read(name: &Path) -> Result<Self, Unseen> {
        let is_link = name.is_symlink();
        let target = way::follow(name)?;
        let file = Opened::at(&target)?.map(Rc::new);
        Ok(Self {
            name: name.to_owned(),
            target,
            is_link,
            file,
        })
    }

    /// Whether its name leads to what was seen.
    pub(super) fn is_still_so(&self) -> bool {
        Self::read(&self.name).is_ok_and(|now| now == *self)
    }

    pub(super) fn octets(&self) -> Option<&[u8]> {
        self.file.as_ref().map(|file| file.octets.as_slice())
    }
}

/// A regular file. It is open, so that no other gets its number.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    stamp: Stamp,
    pub(super) octets: Vec<u8>,
}

/// What a change of a file changes, though its octets be the same: which file it is, and when its owner, mode or octets
/// were changed last.
#[cfg(unix)]
type Stamp = [i128; 4];
#[cfg(not(unix))]
type Stamp = Option<std::time::SystemTime>;

impl PartialEq for Opened {
    fn eq(&self, other: &Self) -> bool {
        self.stamp == other.stamp && self.octets == other.octets
    }
}

impl Eq for Opened {}

impl Opened {
    /// None: nothing is there.
    ///
    /// # Errors
    /// It can't be read, is no regular file, a link for instance, or is too long.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        let mut options = File::options();
        options.read(true);
        #[cfg(unix)]
        {
            use rustix::fs::OFlags;
            use std::os::unix::fs::OpenOptionsExt as _;
            // Nobody may write to a pipe: to wait for that would take for ever.
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            options.custom_flags(flags.bits().cast_signed());
        }
        let file = match options.open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let (metadata, octets) = read::whole(&file, MAX_FILE)?;
        // Taken before: what is changed while it is read is another one than was seen.
        let stamp = stamp(&metadata);
        Ok(Some(Self {
            file,
            stamp,
            octets,
        }))
    }

    /// One that has just been written, and has the name that it keeps.
    pub(super) fn written(file: File, octets: Vec<u8>) -> io::Result<Self> {
        let stamp = stamp(&file.metadata()?);
        Ok(Self {
            file,
            stamp,
            octets,
        })
    }
}

#[cfg(unix)]
fn stamp(metadata: &Metadata) -> Stamp {
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
fn stamp(metadata: &Metadata) -> Stamp {
    metadata.modified().ok()
}
