//! One `loopkdc krb5-conf` at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::places::Places;
use super::{staged, trouble, way};
use crate::relay::failure::Failure;

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
    /// Another process holds it, or something else is in its place.
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
            Err(error) if is_for_want_of_rights(&error) => Ok(Self { held: None }),
            Err(error) => Err(trouble::no_lock(&path, &error, command)),
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
    // To open a pipe would wait for somebody who reads it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed());
    for _ in 0..TRIES {
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
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

/// Whether nothing is wrong but that there can be no lock there: nothing can be written there either, or nothing locked.
#[cfg(unix)]
fn is_for_want_of_rights(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errors = [
        Errno::ACCESS,
        Errno::PERM,
        Errno::ROFS,
        Errno::NOSPC,
        Errno::NOTSUP,
        Errno::OPNOTSUPP,
    ];
    Errno::from_io_error(error).is_some_and(|error| errors.contains(&error))
}

#[cfg(not(unix))]
fn is_for_want_of_rights(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// What processes that were ended left behind: nobody else is at work now.
fn sweep(places: &Places) {
    for name in [places.file.clone(), places.drop_in()] {
        // Beside the link, copies of what it leads to are kept.
        let target = way::follow(&name).ok().filter(|target| *target != name);
        for path in [Some(name), target].into_iter().flatten() {
            sweep_beside(&path);
        }
    }
}

fn sweep_beside(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let entries = path.parent().and_then(|parent| fs::read_dir(parent).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if staged::is_left(&entry.file_name().to_string_lossy(), &name) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
