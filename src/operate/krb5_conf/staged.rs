//! A file that takes its place whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::done::Done;
use super::seen::{Opened, Seen};

/// For files that others make no demands on.
#[cfg(unix)]
const MODE: u32 = 0o644;

/// A file beside the one whose place it will take: written and on disk. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Staged {
    beside: PathBuf,
    /// None: it has taken its place.
    written: Option<(File, Vec<u8>)>,
}

impl Staged {
    /// Writes `octets` beside what was `seen`, with owner, mode and attributes of the file `like`.
    pub(super) fn new(seen: &Seen, octets: Vec<u8>, like: Option<&Opened>) -> io::Result<Self> {
        let beside = beside(&seen.target, "");
        let file = create(&beside, &octets, like)?;
        let written = Some((file, octets));
        Ok(Self { beside, written })
    }

    /// Takes the place of what was `seen`. On disk when [`Done::sync`] returns.
    pub(super) fn commit(mut self, seen: &Seen) -> io::Result<Done> {
        let kept = keep(seen)?;
        if let Err(error) = fs::rename(&self.beside, &seen.target) {
            if let Some(kept) = kept {
                let _ = fs::remove_file(kept);
            }
            return Err(error);
        }
        let written = self.written.take();
        // By its descriptor: what has that name may be another one by now.
        let put = written.and_then(|(file, octets)| Opened::written(file, octets).ok());
        Ok(Done::put(&seen.target, kept, put))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.written.is_some() {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Takes a name away, be it a link's. What it was is gone for good once this is settled.
pub(super) fn remove(name: &Path) -> io::Result<Done> {
    let kept = beside(name, OLD);
    fs::rename(name, &kept)?;
    Ok(Done::removed(name, kept))
}

/// Keeps what was seen, if there was anything, which another file is about to take the place of.
fn keep(seen: &Seen) -> io::Result<Option<PathBuf>> {
    let Some(file) = &seen.file else {
        return Ok(None);
    };
    let kept = beside(&seen.target, OLD);
    let _ = fs::remove_file(&kept);
    // The file itself, or a copy where there are no links.
    if fs::hard_link(&seen.target, &kept).is_err() {
        create(&kept, &file.octets, Some(file))?;
    }
    Ok(Some(kept))
}

/// A file that was not there: written, and on disk, or not there still.
fn create(path: &Path, octets: &[u8], like: Option<&Opened>) -> io::Result<File> {
    // What a process of this number left behind, when it was ended.
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = furnish(&file, like)
        .and_then(|()| file.write_all(octets))
        .and_then(|()| file.sync_all());
    match written {
        Ok(()) => Ok(file),
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

/// Ends the name of what was there before.
const OLD: &str = "-old";

/// A name that no library takes for a part of its configuration: with a dot before it, and without `.conf` behind.
fn beside(target: &Path, what: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.loopkdc-{}{what}", std::process::id()))
}

/// Whether it is such a name, of the file `name` or of what is kept of it, which a process that was ended left behind.
pub(super) fn is_left(left: &str, name: &str) -> bool {
    let rest = left
        .strip_prefix('.')
        .and_then(|left| left.strip_prefix(name));
    let number = rest.and_then(|rest| rest.rsplit_once(".loopkdc-"));
    let number = number.map(|(_, number)| number.strip_suffix(OLD).unwrap_or(number));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Makes a directory that everybody may read.
pub(super) fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    sync_directory_of(path)
}

/// A new name is on disk when its directory is (fsync(2)).
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn furnish(file: &File, like: Option<&Opened>) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let Some(Opened { file: like, .. }) = like else {
        return file.set_permissions(fs::Permissions::from_mode(MODE));
    };
    let (own, metadata) = (file.metadata()?, like.metadata()?);
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    attributes(file, like);
    // Last, as a change of owner takes some of the bits away.
    file.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o777))
}

#[cfg(not(unix))]
fn furnish(file: &File, like: Option<&Opened>) -> io::Result<()> {
    let metadata = like.map(|like| like.file.metadata()).transpose()?;
    metadata.map_or(Ok(()), |metadata| {
        file.set_permissions(metadata.permissions())
    })
}

/// Such as SELinux's label, which a file in /etc would have another one of, and lists of who may read it. What can't be
/// set here is none that the file could have kept.
#[cfg(target_os = "linux")]
fn attributes(file: &File, like: &File) {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    let mut names = vec![0; 16 * 1024];
    let Ok(length) = flistxattr(like, names.as_mut_slice()) else {
        return;
    };
    let names = names.get(..length).unwrap_or_default();
    for name in names
        .split(|octet| *octet == 0)
        .filter(|name| !name.is_empty() && *name != b"security.capability")
    {
        let mut value = vec![0; 64 * 1024];
        let Ok(length) = fgetxattr(like, name, value.as_mut_slice()) else {
            continue;
        };
        let value = value.get(..length).unwrap_or_default();
        let _ = fsetxattr(file, name, value, XattrFlags::empty());
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn attributes(_: &File, _: &File) {}
