//! Reads a file, and says what stands in the way when that fails.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::error::Broken;
use crate::failure::Exit;

/// Why a file could not be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Nothing has that name.
    Missing,
    /// This user may not get past `blocker`: a directory on the way, or the file itself.
    Denied { blocker: PathBuf },
    /// Anything else.
    Other(io::Error),
}

/// The whole file.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, Unreadable> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unreadable::Missing,
        ErrorKind::PermissionDenied => Unreadable::Denied {
            blocker: blocker(path),
        },
        _ => Unreadable::Other(error),
    })
}

/// The first part of the path that this user can't get past: a name is looked up in the directory
/// before it, so a lookup that is denied is denied by that directory.
fn blocker(path: &Path) -> PathBuf {
    let mut parts: Vec<&Path> = path
        .ancestors()
        .filter(|part| !part.as_os_str().is_empty())
        .collect();
    parts.reverse();
    let denied = |part: &&&Path| {
        fs::metadata(part).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    let directory = parts.iter().find(denied).and_then(|part| part.parent());
    directory.unwrap_or(path).to_owned()
}

impl Unreadable {
    /// `what`: the key or option that names the file.
    pub(super) fn broken(self, what: &str, path: &Path) -> Broken {
        let name = path.display();
        match self {
            Self::Missing => Broken::new(format!("{what} {name} does not exist")),
            Self::Denied { blocker } if blocker == path => {
                Broken::new(format!("this user may not read {what} {name}"))
                    .hint(format!("who may is shown by: ls -l {name}"))
                    .exit(Exit::Permission)
            }
            Self::Denied { blocker } => {
                let blocker = blocker.display();
                Broken::new(format!("this user may not read {what} {name}: the directory {blocker} lets it not through"))
                    .hint(format!("who may enter is shown by: ls -ld {blocker}"))
                    .exit(Exit::Permission)
            }
            Self::Other(error) => Broken::new(format!("{what} {name} can't be read: {error}")),
        }
    }
}
