//! What is to be done to files: all of it or nothing.
//!
//! All is written beside the files before the first of them changes; each changes only if it is as it was when the plan was
//! made; and what was done is undone if something stands in the way of the rest.

use std::fs;
use std::path::{Path, PathBuf};

use super::seen::Seen;
use super::staged::{self, Done, Staged};
use super::trouble;
use crate::failure::Failure;

/// One change.
#[derive(Debug)]
enum Step {
    MakeDirectory(PathBuf),
    Write {
        target: PathBuf,
        octets: Vec<u8>,
        /// Whose owner and mode the file gets.
        like: Option<PathBuf>,
        seen: Seen,
    },
    Remove(PathBuf, Seen),
    /// Unless something is in it.
    RemoveDirectory(PathBuf),
    Nothing,
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

    /// `seen`: what is at `target`. What is there gives owner and mode.
    pub(super) fn write(
        &mut self,
        target: &Path,
        octets: Vec<u8>,
        seen: &Seen,
        done: impl Into<String>,
    ) {
        let is_there = seen.octets().is_some();
        self.write_like(target, octets, is_there.then_some(target), seen, done);
    }

    /// The same, with owner and mode of another file.
    pub(super) fn write_like(
        &mut self,
        target: &Path,
        octets: Vec<u8>,
        like: Option<&Path>,
        seen: &Seen,
        done: impl Into<String>,
    ) {
        let step = Step::Write {
            target: target.to_owned(),
            octets,
            like: like.map(Path::to_owned),
            seen: seen.clone(),
        };
        self.add(step, done);
    }

    pub(super) fn remove(&mut self, path: &Path, seen: &Seen, done: impl Into<String>) {
        self.add(Step::Remove(path.to_owned(), seen.clone()), done);
    }

    pub(super) fn remove_directory(&mut self, path: &Path, done: impl Into<String>) {
        self.add(Step::RemoveDirectory(path.to_owned()), done);
    }

    /// Nothing is to be done for this.
    pub(super) fn is_so(&mut self, words: impl Into<String>) {
        self.add(Step::Nothing, words);
    }

    fn add(&mut self, step: Step, done: impl Into<String>) {
        self.steps.push((step, done.into()));
    }

    /// Does it all, and returns the words for what was done.
    ///
    /// # Errors
    /// What stood in the way. Nothing has changed then, or what could not be undone is told.
    pub(super) fn carry_out(self) -> Result<Vec<String>, Failure> {
        let Self { steps, command } = self;
        for (step, _) in &steps {
            step.is_due(command)?;
        }
        let mut made = Made(Vec::new());
        let mut ready = Vec::new();
        for (step, words) in steps {
            let staged = made.prepare(&step, command)?;
            ready.push((step, staged, words));
        }
        // Again, as the disk took its time; and each a last time, when others have been done.
        for (step, ..) in &ready {
            step.is_due(command)?;
        }
        let mut done = Vec::new();
        let mut said = Vec::new();
        let mut empty = Vec::new();
        for (step, staged, words) in ready {
            match step {
                Step::RemoveDirectory(path) => empty.push((path, words)),
                step => {
                    match step.commit(staged, command) {
                        Ok(change) => done.extend(change),
                        Err(failure) => return Err(undo(done, failure)),
                    }
                    said.push(words);
                }
            }
        }
        made.0.clear();
        done.into_iter().for_each(Done::settle);
        for (path, words) in empty {
            // Others may have put something there, or taken it away.
            if fs::remove_dir(path).is_ok() {
                said.push(words);
            }
        }
        Ok(said)
    }
}

impl Step {
    /// # Errors
    /// Somebody else has changed what this is to change.
    fn is_due(&self, command: &str) -> Result<(), Failure> {
        let (path, seen) = match self {
            Self::Write { target, seen, .. } => (target, seen),
            Self::Remove(path, seen) => (path, seen),
            Self::MakeDirectory(_) | Self::RemoveDirectory(_) | Self::Nothing => return Ok(()),
        };
        match seen.is_still_at(path) {
            true => Ok(()),
            false => Err(trouble::changed(path, command)),
        }
    }

    fn commit(&self, staged: Option<Staged>, command: &str) -> Result<Option<Done>, Failure> {
        self.is_due(command)?;
        let (path, done) = match (self, staged) {
            (Self::Write { target, .. }, Some(staged)) => (target, staged.commit()),
            (Self::Remove(path, _), _) => (path, staged::remove(path)),
            _ => return Ok(None),
        };
        done.map(Some)
            .map_err(|error| trouble::failed(path, &error, command))
    }
}

/// Undoes what was done, the last change first.
fn undo(done: Vec<Done>, failure: Failure) -> Failure {
    let undo = |failure, done: Done| match done.undo() {
        Ok(()) => failure,
        Err(error) => trouble::not_undone(failure, &done.target, done.kept.as_deref(), &error),
    };
    done.into_iter().rev().fold(failure, undo)
}

/// Directories that go again if what they were made for fails.
struct Made(Vec<PathBuf>);

impl Made {
    /// What needs to be there before the first file changes.
    fn prepare(&mut self, step: &Step, command: &str) -> Result<Option<Staged>, Failure> {
        match step {
            Step::MakeDirectory(path) => {
                staged::make_directory(path)
                    .map_err(|error| trouble::failed(path, &error, command))?;
                self.0.push(path.clone());
                Ok(None)
            }
            Step::Write {
                target,
                octets,
                like,
                ..
            } => Staged::new(target, octets, like.as_deref())
                .map(Some)
                .map_err(|error| trouble::failed(target, &error, command)),
            Step::Remove(..) | Step::RemoveDirectory(_) | Step::Nothing => Ok(None),
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_dir(path);
        }
    }
}
