//! What is to be done to files: all of it is written beside them before the first of them changes.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::staged::{self, Staged};
use crate::failure::{Exit, Failure};

/// One change.
#[derive(Debug)]
enum Step {
    MakeDirectory(PathBuf),
    Write {
        target: PathBuf,
        octets: Vec<u8>,
        /// Whose owner and mode the file gets.
        like: Option<PathBuf>,
    },
    Remove(PathBuf),
    /// Unless something is in it.
    RemoveDirectory(PathBuf),
}

/// Changes in their order, each with the words for it. Whoever reads the files after any of them finds a valid
/// configuration, if the order is right.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<(Step, String)>,
    /// What to type, to try again as somebody else.
    command: &'static str,
}

impl Plan {
    pub(super) fn new(command: &'static str) -> Self {
        let steps = Vec::new();
        Self { steps, command }
    }

    pub(super) fn make_directory(&mut self, path: &Path, done: impl Into<String>) {
        self.add(Step::MakeDirectory(path.to_owned()), done);
    }

    pub(super) fn write(
        &mut self,
        target: &Path,
        octets: Vec<u8>,
        like: Option<&Path>,
        done: impl Into<String>,
    ) {
        let step = Step::Write {
            target: target.to_owned(),
            octets,
            like: like.map(Path::to_owned),
        };
        self.add(step, done);
    }

    pub(super) fn remove(&mut self, path: &Path, done: impl Into<String>) {
        self.add(Step::Remove(path.to_owned()), done);
    }

    pub(super) fn remove_directory(&mut self, path: &Path, done: impl Into<String>) {
        self.add(Step::RemoveDirectory(path.to_owned()), done);
    }

    /// Nothing is to be done for this.
    pub(super) fn is_so(&mut self, words: impl Into<String>) {
        // Removing nothing is nothing.
        self.add(Step::RemoveDirectory(PathBuf::new()), words);
    }

    fn add(&mut self, step: Step, done: impl Into<String>) {
        self.steps.push((step, done.into()));
    }

    /// Does it all, and returns the words for what was done.
    ///
    /// # Errors
    /// What stood in the way. Nothing has changed then, unless the disk itself failed in between.
    pub(super) fn carry_out(self) -> Result<Vec<String>, Failure> {
        let command = self.command;
        let mut made = Made(Vec::new());
        let mut ready = Vec::new();
        for (step, words) in self.steps {
            let staged = match &step {
                Step::MakeDirectory(path) => {
                    staged::make_directory(path).map_err(|error| failed(path, &error, command))?;
                    made.0.push(path.clone());
                    None
                }
                Step::Write {
                    target,
                    octets,
                    like,
                } => {
                    let staged = Staged::new(target, octets, like.as_deref());
                    Some(staged.map_err(|error| failed(target, &error, command))?)
                }
                Step::Remove(_) | Step::RemoveDirectory(_) => None,
            };
            ready.push((step, staged, words));
        }
        made.0.clear();
        let mut done = Vec::new();
        for (step, staged, words) in ready {
            let (path, result) = match (step, staged) {
                (Step::Write { target, .. }, Some(staged)) => (target, staged.commit()),
                (Step::Remove(path), _) => {
                    let removed = staged::remove(&path);
                    (path, removed)
                }
                (Step::RemoveDirectory(path), _) if path.as_os_str().is_empty() => (path, Ok(())),
                (Step::RemoveDirectory(path), _) => match fs::remove_dir(&path) {
                    // Others have put something there, or taken it away.
                    Err(_) => continue,
                    Ok(()) => (path, Ok(())),
                },
                (Step::MakeDirectory(path) | Step::Write { target: path, .. }, _) => (path, Ok(())),
            };
            result.map_err(|error| failed(&path, &error, command))?;
            done.push(words);
        }
        Ok(done)
    }
}

/// Directories that go again if what they were made for fails.
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Why a file could not be written, and what can be done about it.
pub(super) fn failed(path: &Path, error: &io::Error, command: &str) -> Failure {
    let name = path.display();
    match error.kind() {
        ErrorKind::PermissionDenied if is_root() => Failure::new(
            Exit::Permission,
            format!("{name} may not be written, by root either"),
        )
        .hint(format!(
            "see whether it is marked as unchangeable: lsattr -d {name} {}",
            parent(path)
        ))
        .hint("to see what it would hold: loopkdc krb5-conf"),
        ErrorKind::PermissionDenied => Failure::new(
            Exit::Permission,
            format!("{name} may not be written by this user"),
        )
        .hint(format!("as root: sudo {command}"))
        .hint(ELSEWHERE),
        ErrorKind::ReadOnlyFilesystem => Failure::new(
            Exit::Permission,
            format!("{name} can't be written: its file system is read-only"),
        )
        .hint("put what \"loopkdc krb5-conf\" prints where the files of this system are made")
        .hint(ELSEWHERE),
        ErrorKind::ResourceBusy => Failure::new(
            Exit::Config,
            format!("{name} can't be written: it is mounted there by itself, as containers do"),
        )
        .hint("put what \"loopkdc krb5-conf --inline\" prints into the file that is mounted"),
        _ => Failure::new(Exit::Config, format!("{name} can't be written: {error}")),
    }
}

/// For those who can't write to /etc.
const ELSEWHERE: &str = "for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf";

fn parent(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
