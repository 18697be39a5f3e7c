//! Files in /etc: read and changed only where nobody but root, or who runs this, decides what is there.
//!
//! A symbolic link, or a directory that others can write, could lead root to any other file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::Path;

use super::errors;
use super::host::MAX_FILE;
use crate::config::read;
use crate::relay::failure::Failure;

/// What is in the file, if it is there. `command`: what to type, to try again.
///
/// # Errors
/// It can't be read, or could be led elsewhere: it, or the directory it is in, is a link, or others may write to it.
pub(super) fn read(path: &Path, command: &str) -> Result<Option<Vec<u8>>, Failure> {
    if !is_there(path.parent().unwrap_or(path), command)? || !is_there(path, command)? {
        return Ok(None);
    }
    let read = read::regular(path, MAX_FILE);
    let octets = read.map_err(|error| errors::failed(path, "read", &error, command))?;
    Ok(Some(octets))
}

fn is_there(path: &Path, command: &str) -> Result<bool, Failure> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(errors::failed(path, "read", &error, command)),
        Ok(metadata) if metadata.is_symlink() => Err(errors::link(path, command)),
        Ok(metadata) if !is_safe(&metadata) => Err(errors::writable_by_others(path, command)),
        Ok(_) => Ok(true),
    }
}

/// Nobody but root, or this user, may write to it.
fn is_safe(metadata: &Metadata) -> bool {
    const OF_OTHERS: u32 = 0o022;
    let is_ours = [0, crate::daemon::user::id()].contains(&metadata.uid());
    is_ours && metadata.mode() & OF_OTHERS == 0
}

/// Puts a file with these octets there, whole or not at all, with owner, mode and attributes of the file `like` if that is there.
pub(super) fn write(path: &Path, octets: &[u8], like: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // No library takes it for a part of its configuration: with a dot before it, and without `.conf` behind.
    let temporary = path.with_file_name(format!(".{name}.loopkdc-{}", std::process::id()));
    // A process of this number may have been ended before it was done.
    let _ = fs::remove_file(&temporary);
    let written = create(&temporary, octets, like).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_directory(path))
}

fn create(path: &Path, octets: &[u8], like: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    match File::open(like) {
        Ok(like) => copy_attributes(&file, &like)?,
        Err(error) if error.kind() == ErrorKind::NotFound => publish(&file, 0o644)?,
        Err(error) => return Err(error),
    }
    file.write_all(octets)?;
    file.sync_all()
}

/// Makes a directory that everybody may read.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    publish(&File::open(path)?, 0o755)?;
    sync_directory(path)
}

/// Removes a file, or a directory unless others have put something into it.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        let _ = fs::remove_dir(path);
    } else {
        fs::remove_file(path)?;
    }
    sync_directory(path)
}

/// A new name is on disk when its directory is (fsync(2)).
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(path))?.sync_all()
}

/// Whatever the umask is.
fn publish(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn copy_attributes(file: &File, like: &File) -> io::Result<()> {
    let (own, metadata) = (file.metadata()?, like.metadata()?);
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    #[cfg(target_os = "linux")]
    copy_extended_attributes(file, like);
    // Last, as a change of owner takes some of the bits away.
    publish(file, metadata.mode() & 0o777)
}

/// Such as SELinux's label, which a file in /etc would have another one of, and lists of who may read it. What can't be
/// set here is none that the file could have kept.
#[cfg(target_os = "linux")]
fn copy_extended_attributes(file: &File, like: &File) {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    let mut names = vec![0; 16 * 1024];
    let length = flistxattr(like, names.as_mut_slice()).unwrap_or_default();
    let names = names.get(..length).unwrap_or_default();
    for name in names.split(|octet| *octet == 0) {
        if name.is_empty() || name == b"security.capability" {
            continue;
        }
        let mut value = vec![0; 64 * 1024];
        if let Ok(length) = fgetxattr(like, name, value.as_mut_slice()) {
            value.truncate(length);
            let _ = fsetxattr(file, name, &value, XattrFlags::empty());
        }
    }
}
