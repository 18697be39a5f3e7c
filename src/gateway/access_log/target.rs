//! Where the lines go, opened.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::config::gateway::AccessLogTarget;
use crate::relay::failure::{Exit, Failure};

/// The mode of a new file: who may read the daemon's group, and nobody else, may read who logged in from where.
#[cfg(unix)]
const MODE: u32 = 0o640;

/// An open target.
#[derive(Debug)]
pub(super) enum Open {
    Stderr,
    File { path: PathBuf, file: File },
}

impl Open {
    pub(super) fn new(target: AccessLogTarget) -> Result<Self, Failure> {
        match target {
            AccessLogTarget::Stderr => Ok(Self::Stderr),
            AccessLogTarget::File(path) => match open(&path) {
                Ok(file) => Ok(Self::File { path, file }),
                Err(error) => Err(refused(&path, &error)),
            },
        }
    }

    /// Opens a file again, by its name; on an error the one that is open stays.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = open(path)?;
        }
        Ok(())
    }

    /// Its name, for the daemon's own log.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stderr => "stderr".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

impl Write for Open {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stderr => io::stderr().write(octets),
            Self::File { file, .. } => file.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, MODE);
    options.open(path)
}

/// Why a file cannot be opened, and what to do about it.
fn refused(path: &Path, error: &io::Error) -> Failure {
    let folder = path.parent().unwrap_or(path).display();
    let text = format!("cannot open the access log {}: {error}", path.display());
    match error.kind() {
        ErrorKind::NotFound => Failure::new(Exit::Config, text).hint(format!(
            "make the directory {folder}, or choose another file for access-log in [gateway]"
        )),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Failure::new(Exit::Permission, text).hint(format!(
                "let the daemon's user write to {folder}; under systemd that takes LogsDirectory= or ReadWritePaths="
            ))
        }
        _ => Failure::new(Exit::Config, text)
            .hint("choose another file for access-log in [gateway], or \"stderr\""),
    }
}
