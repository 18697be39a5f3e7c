//! Files as they are and as they should be, and the changes that lead from one to the other: read and changed only where nobody
//! but root, or who runs this, decides what is there.
//!
//! A symbolic link, or a directory that others can write, could lead root to any other file.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::errors;
use super::host::MAX_FILE;
use crate::config::read::regular;
use crate::relay::failure::Failure;

/// A file as it is, and as it should be. None: nothing is there.
#[derive(Debug)]
pub(super) struct PlannedFile {
    pub(super) path: PathBuf,
    pub(super) is: Option<Vec<u8>>,
    pub(super) should_be: Option<Vec<u8>>,
}

impl PlannedFile {
    /// Reads it, and has it stay so. `command`: what to type, to try again.
    ///
    /// # Errors
    /// As [`read`].
    pub(super) fn read(path: PathBuf, command: &str) -> Result<Self, Failure> {
        let is = read(&path, command)?;
        Ok(Self::new(path, is))
    }

    pub(super) fn new(path: PathBuf, is: Option<Vec<u8>>) -> Self {
        let should_be = is.clone();
        Self {
            path,
            is,
            should_be,
        }
    }
}

/// A change of one file or directory.
pub(super) enum Change<'a> {
    MakeDirectory,
    /// With owner, mode and attributes of the file `like`.
    Write {
        octets: &'a [u8],
        like: &'a Path,
    },
    Remove,
}

/// What is to be changed, and where.
pub(super) type FileChanges<'a> = Vec<(&'a Path, Change<'a>)>;

/// The changes of files, each like another one, so that what is written first is removed last.
pub(super) fn of_files<'a>(files: &[(&'a PlannedFile, &'a PlannedFile)]) -> FileChanges<'a> {
    let written = files.iter().filter_map(|(file, like)| {
        let octets = file.should_be.as_deref()?;
        let like = like.path.as_path();
        let is_other = file.is != file.should_be;
        is_other.then_some((&*file.path, Change::Write { octets, like }))
    });
    let gone = |file: &&PlannedFile| file.is.is_some() && file.should_be.is_none();
    let removed = files.iter().rev().map(|(file, _)| *file).filter(gone);
    written
        .chain(removed.map(|file| (&*file.path, Change::Remove)))
        .collect()
}

/// The changes of a file, with the folder that it is to be in.
pub(super) fn with_folder(file: &PlannedFile) -> FileChanges<'_> {
    let mut changes = of_files(&[(file, file)]);
    let folder = file.path.parent().filter(|folder| !folder.is_dir());
    if let (Some(folder), Some(_)) = (folder, &file.should_be) {
        changes.insert(0, (folder, Change::MakeDirectory));
    }
    changes
}

/// Makes the changes, and returns what was done.
///
/// # Errors
/// What stood in the way, with what was done before it and what was not.
pub(super) fn carry_out(changes: &FileChanges<'_>, command: &str) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    for (index, (path, change)) in changes.iter().enumerate() {
        let (word, changed) = match change {
            Change::MakeDirectory => ("made", make_directory(path)),
            Change::Write { octets, like } => ("wrote", write(path, octets, like)),
            Change::Remove => ("removed", remove(path)),
        };
        if let Err(error) = changed {
            let failure = errors::failed(path, "written", &error, command);
            let left = changes.iter().skip(index);
            let left: Vec<_> = left.map(|(path, _)| path.display().to_string()).collect();
            return Err(errors::unfinished(failure, &done, &left, command));
        }
        // A directory stays if others have put something into it.
        if word != "removed" || !path.exists() {
            done.push(format!("{word} {}", path.display()));
        }
    }
    Ok(done)
}

/// What is in the file, if it is there. `command`: what to type, to try again.
///
/// # Errors
/// It can't be read, or could be led elsewhere: it, or the directory it is in, is a link, or others may write to it.
fn read(path: &Path, command: &str) -> Result<Option<Vec<u8>>, Failure> {
    if !is_there(path.parent().unwrap_or(path), command)? || !is_there(path, command)? {
        return Ok(None);
    }
    let read = regular(path, MAX_FILE);
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
fn write(path: &Path, octets: &[u8], like: &Path) -> io::Result<()> {
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
    let options = options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    match File::open(like) {
        Ok(like) => copy_attributes(&file, &like)?,
        Err(error) if error.kind() == ErrorKind::NotFound => publish(&file, 0o644)?,
        Err(error) => return Err(error),
    }
    file.write_all(octets)?;
    file.sync_all()
}

/// Makes a directory that everybody may read.
fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    publish(&File::open(path)?, 0o755)?;
    sync_directory(path)
}

/// Removes a file, or a directory unless others have put something into it.
fn remove(path: &Path) -> io::Result<()> {
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
