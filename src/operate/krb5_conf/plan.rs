//! What is to be done to files: all of it or nothing.
//!
//! All is written beside the files before the first of them changes; each changes only if it is as it was when the plan was
//! made; and what was done is undone if something stands in the way of the rest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::done::{Done, NotUndone};
use super::seen::{Opened, Seen};
use super::staged::{self, Staged};
use super::trouble;
use crate::relay::failure::Failure;

/// One change.
#[derive(Debug)]
enum Step {
    MakeDirectory(PathBuf),
    Write {
        seen: Seen,
        octets: Vec<u8>,
        /// Whose owner and mode the file gets.
        like: Option<Rc<Opened>>,
    },
    /// The file, and the link to it if its name is one's.
    Remove(Seen),
    /// Unless something is in it.
    RemoveDirectory(PathBuf),
    Nothing,
}

/// What stands in the way of a change.
#[derive(Debug)]
enum Obstacle {
    /// Somebody else has changed this.
    Changed(PathBuf),
    Failed(PathBuf, io::Error),
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

    /// In the place of what was `seen`, which gives owner and mode.
    pub(super) fn write(&mut self, seen: &Seen, octets: Vec<u8>, done: impl Into<String>) {
        self.write_like(seen, octets, seen, done);
    }

    /// The same, with owner and mode of another file.
    pub(super) fn write_like(
        &mut self,
        seen: &Seen,
        octets: Vec<u8>,
        like: &Seen,
        done: impl Into<String>,
    ) {
        let step = Step::Write {
            seen: seen.clone(),
            octets,
            like: like.file.clone(),
        };
        self.add(step, done);
    }

    pub(super) fn remove(&mut self, seen: &Seen, done: impl Into<String>) {
        self.add(Step::Remove(seen.clone()), done);
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
        let mut made = Made(Vec::new());
        let mut done = Vec::new();
        if let Err(obstacle) = change(&steps, &mut made, &mut done) {
            return Err(told(&obstacle, undo(done), command));
        }
        made.0.clear();
        done.into_iter().for_each(Done::settle);
        let is_done = |(step, words)| match step {
            // Others may have put something there, or taken it away.
            Step::RemoveDirectory(path) => fs::remove_dir(path).is_ok().then_some(words),
            _ => Some(words),
        };
        Ok(steps.into_iter().filter_map(is_done).collect())
    }
}

/// Changes files. What is made for that is in `made` then, and what is done in `done`, also if something stands in the way.
fn change(steps: &[(Step, String)], made: &mut Made, done: &mut Vec<Done>) -> Result<(), Obstacle> {
    for (step, _) in steps {
        step.is_due()?;
    }
    let mut ready = Vec::new();
    for (step, _) in steps {
        ready.push((step, made.prepare(step)?));
    }
    // Again, as the disk took its time; and each a last time, when others have been done.
    for (step, _) in steps {
        step.is_due()?;
    }
    for (step, staged) in ready {
        step.commit(staged, done)?;
    }
    Ok(())
}

impl Step {
    /// # Errors
    /// Somebody else has changed what this is to change.
    fn is_due(&self) -> Result<(), Obstacle> {
        match self {
            Self::Write { seen, .. } | Self::Remove(seen) if !seen.is_still_so() => {
                Err(Obstacle::Changed(seen.name.clone()))
            }
            _ => Ok(()),
        }
    }

    fn commit(&self, staged: Option<Staged>, done: &mut Vec<Done>) -> Result<(), Obstacle> {
        self.is_due()?;
        match (self, staged) {
            (Self::Write { seen, .. }, Some(staged)) => add(staged.commit(seen), &seen.name, done),
            (Self::Remove(seen), _) => {
                // First, so that it leads somewhere as long as it is there.
                if seen.is_link {
                    add(staged::remove(&seen.name), &seen.name, done)?;
                }
                add(staged::remove(&seen.target), &seen.name, done)
            }
            _ => Ok(()),
        }
    }
}

/// Takes note of a change, and has it on disk.
fn add(change: io::Result<Done>, name: &Path, done: &mut Vec<Done>) -> Result<(), Obstacle> {
    let failed = |error| Obstacle::Failed(name.to_owned(), error);
    let change = change.map_err(failed)?;
    let synced = change.sync();
    // Done it is, in either case, and is to be undone.
    done.push(change);
    synced.map_err(failed)
}

/// Undoes what was done, the last change first, as far as it can be.
fn undo(done: Vec<Done>) -> Vec<NotUndone> {
    let undone = done.into_iter().rev().map(Done::undo);
    undone.filter_map(Result::err).collect()
}

fn told(obstacle: &Obstacle, left: Vec<NotUndone>, command: &str) -> Failure {
    let failure = match obstacle {
        Obstacle::Changed(name) => trouble::changed(name, left.is_empty(), command),
        Obstacle::Failed(name, error) => trouble::failed(name, error, command),
    };
    left.iter().fold(failure, trouble::not_undone)
}

/// Directories that go again if what they were made for fails.
struct Made(Vec<PathBuf>);

impl Made {
    /// What needs to be there before the first file changes.
    fn prepare(&mut self, step: &Step) -> Result<Option<Staged>, Obstacle> {
        match step {
            Step::MakeDirectory(path) => {
                staged::make_directory(path)
                    .map_err(|error| Obstacle::Failed(path.clone(), error))?;
                self.0.push(path.clone());
                Ok(None)
            }
            Step::Write { seen, octets, like } => {
                Staged::new(seen, octets.clone(), like.as_deref())
                    .map(Some)
                    .map_err(|error| Obstacle::Failed(seen.name.clone(), error))
            }
            Step::Remove(_) | Step::RemoveDirectory(_) | Step::Nothing => Ok(None),
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
