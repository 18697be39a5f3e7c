//! The way from a name to a file: through links, and through nothing that somebody else could lead elsewhere.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// More links than any way has; Linux follows as many (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Why a name leads to no file.
#[derive(Debug)]
pub(super) enum Unseen {
    /// It is a link to what is not there.
    Dangling,
    /// Somebody else can put what they like in the place of `entry`.
    Open {
        directory: PathBuf,
        entry: PathBuf,
    },
    Failed(io::Error),
}

impl From<io::Error> for Unseen {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// The file itself, or where it would be.
///
/// Of each directory on the way it is asked who may change it before it is asked what is in it, so that nobody can lead the
/// way elsewhere when this has returned. The links' own directories count: a way back to one that is safe is none that is.
pub(super) fn follow(name: &Path) -> Result<PathBuf, Unseen> {
    let mut at = PathBuf::new();
    // The next one last.
    let mut left = parts(name);
    let mut links = 0;
    while let Some(part) = left.pop() {
        let next = at.join(&part);
        match Path::new(&part).components().next() {
            Some(Component::Normal(_)) => {}
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            // The root.
            _ => {
                at = next;
                continue;
            }
        }
        let entry = match fs::symlink_metadata(&next) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                trust(&at, &next, None)?;
                return match name.is_symlink() {
                    true => Err(Unseen::Dangling),
                    false => Ok(left.iter().rev().fold(next, |at, part| at.join(part))),
                };
            }
            other => other?,
        };
        trust(&at, &next, Some(&entry))?;
        if entry.is_symlink() {
            links += 1;
            if links > MAX_LINKS {
                return Err(io::Error::other("too many links lead to it").into());
            }
            left.extend(parts(&fs::read_link(&next)?));
        } else {
            at = next;
        }
    }
    Ok(at)
}

/// The last one first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let parts = path.components().rev();
    let parts = parts.filter(|part| *part != Component::CurDir);
    parts.map(|part| Path::new(&part).to_owned()).collect()
}

/// # Errors
/// Somebody who is neither root nor this user can put something else in the place of the entry. Who can do so in the root
/// directory has the machine.
#[cfg(unix)]
fn trust(directory: &Path, path: &Path, entry: Option<&Metadata>) -> Result<(), Unseen> {
    use crate::daemon::user;
    use std::os::unix::fs::MetadataExt as _;
    const OF_OTHERS: u32 = 0o022;
    // There, a file is its owner's alone to rename.
    const STICKY: u32 = 0o1000;
    if directory.parent().is_none() {
        return Ok(());
    }
    let is_ours = |metadata: &Metadata| [0, user::id()].contains(&metadata.uid());
    let own = fs::symlink_metadata(directory)?;
    let is_kept = own.mode() & STICKY != 0 && entry.is_none_or(is_ours);
    match is_ours(&own) && (own.mode() & OF_OTHERS == 0 || is_kept) {
        true => Ok(()),
        false => Err(Unseen::Open {
            directory: directory.to_owned(),
            entry: path.to_owned(),
        }),
    }
}

#[cfg(not(unix))]
fn trust(_: &Path, _: &Path, _: Option<&Metadata>) -> Result<(), Unseen> {
    Ok(())
}
