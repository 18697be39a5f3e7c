//! One `loopkdc krb5-conf` at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::places::Places;
use super::trouble;
use crate::failure::Failure;

/// Held, no other process changes the files. Dropped, it is gone.
///
/// The files themselves can't be locked, as others take their places; and to lock a directory, to read it is enough, which
/// everybody may.
#[derive(Debug)]
pub(super) struct Lock {
    held: Option<(File, PathBuf)>,
}

impl Lock {
    /// Who can't have one for want of rights, or of room, will hear of that when there is something to write.
    ///
    /// # Errors
    /// Another process holds it.
    pub(super) fn take(places: &Places, command: &str) -> Result<Self, Failure> {
        let path = places.file().with_file_name(".krb5.conf.loopkdc-lock");
        match lock(&path) {
            Ok(Some(file)) => {
                let lock = Self {
                    held: Some((file, path)),
                };
                sweep(places);
                Ok(lock)
            }
            Ok(None) => Err(trouble::busy(places.file(), command)),
            Err(_) => Ok(Self { held: None }),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.held {
            let _ = fs::remove_file(path);
        }
    }
}

/// None: another process holds it.
#[cfg(unix)]
fn lock(path: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{FlockOperation, OFlags, flock};
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    const TRIES: usize = 10;
    let mut options = File::options();
    options.write(true).create(true).mode(0o600);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    for _ in 0..TRIES {
        let file = options.open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            other => other?,
        }
        // Whoever held it before may have removed it since it was opened: then it is no one's lock.
        let own = file.metadata()?;
        let is_there = |there: fs::Metadata| (there.dev(), there.ino()) == (own.dev(), own.ino());
        if fs::symlink_metadata(path).is_ok_and(is_there) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

#[cfg(not(unix))]
fn lock(_: &Path) -> io::Result<Option<File>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// What processes that were ended left behind: nobody else is at work now.
fn sweep(places: &Places) {
    let file = places.file().file_name().unwrap_or_default();
    let drop_in = places.drop_in();
    let drop_in = drop_in.file_name().unwrap_or_default();
    for (directory, name) in [
        (places.file().parent(), file),
        (Some(places.directory.as_path()), drop_in),
    ] {
        let entries = directory.and_then(|directory| fs::read_dir(directory).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let left = entry.file_name();
            if is_left(&left.to_string_lossy(), &name.to_string_lossy()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// As [`super::staged`] names them: of the file `name`, and of what is kept of it.
fn is_left(left: &str, name: &str) -> bool {
    let rest = left
        .strip_prefix('.')
        .and_then(|left| left.strip_prefix(name));
    let number = rest.and_then(|rest| rest.rsplit_once(".loopkdc-"));
    let number = number.map(|(_, number)| number.strip_suffix("-old").unwrap_or(number));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}
