//! A file that takes its place whole or not at all, and gives it back if it must.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::machine::MAX_FILE;
use crate::config::read;

/// For files that others make no demands on.
#[cfg(unix)]
const MODE: u32 = 0o644;

/// A file beside the one whose place it will take: written and on disk. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Staged {
    target: PathBuf,
    beside: Option<PathBuf>,
}

impl Staged {
    /// Writes `octets` beside `target`, with owner, mode and attributes of the file `like`.
    pub(super) fn new(target: &Path, octets: &[u8], like: Option<&Path>) -> io::Result<Self> {
        let beside = beside(target, "");
        // What a process of this number left behind, when it was ended.
        let _ = fs::remove_file(&beside);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        let staged = Self {
            target: target.to_owned(),
            beside: Some(beside),
        };
        furnish(&file, like)?;
        file.write_all(octets)?;
        file.sync_all()?;
        Ok(staged)
    }

    /// Takes its place. On disk when this returns.
    pub(super) fn commit(mut self) -> io::Result<Done> {
        let done = Done::keeping(&self.target)?;
        let renamed = self
            .beside
            .as_ref()
            .map(|path| fs::rename(path, &self.target));
        if let Some(Err(error)) = renamed {
            done.settle();
            return Err(error);
        }
        self.beside = None;
        done.or_undone(|| sync_directory_of(&self.target))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = fs::remove_file(beside);
        }
    }
}

/// Takes away a file. It is gone for good once this is settled.
pub(super) fn remove(path: &Path) -> io::Result<Done> {
    let done = Done {
        target: path.to_owned(),
        kept: Some(kept(path)),
    };
    fs::rename(path, kept(path))?;
    done.or_undone(|| sync_directory_of(path))
}

/// A change that can be undone.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) target: PathBuf,
    /// What was there before. None: nothing was.
    pub(super) kept: Option<PathBuf>,
}

impl Done {
    /// Keeps what is at `target`, which another file is about to take the place of.
    fn keeping(target: &Path) -> io::Result<Self> {
        let path = kept(target);
        let _ = fs::remove_file(&path);
        let is_there = target.try_exists()?;
        // The file itself, or a copy where there are no links.
        if is_there && fs::hard_link(target, &path).is_err() {
            copy(target, &path)?;
        }
        let (target, kept) = (target.to_owned(), is_there.then_some(path));
        Ok(Self { target, kept })
    }

    fn or_undone(self, last: impl FnOnce() -> io::Result<()>) -> io::Result<Self> {
        match last() {
            Ok(()) => Ok(self),
            Err(error) => {
                self.undo()?;
                Err(error)
            }
        }
    }

    /// Puts back what was there.
    pub(super) fn undo(&self) -> io::Result<()> {
        match &self.kept {
            Some(kept) => fs::rename(kept, &self.target)?,
            None => fs::remove_file(&self.target)?,
        }
        sync_directory_of(&self.target)
    }

    /// It is not going to be undone.
    pub(super) fn settle(self) {
        // What stays there is read by nobody, and swept away the next time.
        if let Some(kept) = &self.kept {
            let _ = fs::remove_file(kept);
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let octets = read::regular(from, MAX_FILE)?;
    let mut staged = Staged::new(to, &octets, Some(from))?;
    if let Some(beside) = staged.beside.take() {
        fs::rename(beside, to)?;
    }
    Ok(())
}

/// A name that no library takes for a part of its configuration: with a dot before it, and without `.conf` behind.
fn beside(target: &Path, what: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.loopkdc-{}{what}", std::process::id()))
}

/// Where what `target` was is kept.
fn kept(target: &Path) -> PathBuf {
    beside(target, "-old")
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
fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if cfg!(unix) => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn furnish(file: &File, like: Option<&Path>) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
    let Some(like) = like else {
        return file.set_permissions(fs::Permissions::from_mode(MODE));
    };
    let metadata: Metadata = fs::metadata(like)?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    attributes(file, like);
    // Last, as a change of owner takes some of the bits away.
    file.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o777))
}

#[cfg(not(unix))]
fn furnish(file: &File, like: Option<&Path>) -> io::Result<()> {
    let metadata: Option<Metadata> = like.map(fs::metadata).transpose()?;
    metadata.map_or(Ok(()), |metadata| {
        file.set_permissions(metadata.permissions())
    })
}

/// Such as SELinux's label, which a file in /etc would have another one of, and lists of who may read it. What can't be
/// set here is none that the file could have kept.
#[cfg(target_os = "linux")]
fn attributes(file: &File, like: &Path) {
    use rustix::fs::{XattrFlags, fsetxattr, getxattr, listxattr};
    let mut names = vec![0; 16 * 1024];
    let Ok(length) = listxattr(like, names.as_mut_slice()) else {
        return;
    };
    let names = names.get(..length).unwrap_or_default();
    for name in names
        .split(|octet| *octet == 0)
        .filter(|name| !name.is_empty() && *name != b"security.capability")
    {
        let mut value = vec![0; 64 * 1024];
        let Ok(length) = getxattr(like, name, value.as_mut_slice()) else {
            continue;
        };
        let value = value.get(..length).unwrap_or_default();
        let _ = fsetxattr(file, name, value, XattrFlags::empty());
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn attributes(_: &File, _: &Path) {}
