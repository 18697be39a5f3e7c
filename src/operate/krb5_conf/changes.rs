//! Files as they are and as they should be, and the changes that lead from one to the other.

use std::path::{Path, PathBuf};

use super::{errors, safe_file};
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
    /// As [`safe_file::read`].
    pub(super) fn read(path: PathBuf, command: &str) -> Result<Self, Failure> {
        let is = safe_file::read(&path, command)?;
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

/// Makes the changes, and returns what was done.
///
/// # Errors
/// What stood in the way, with what was done before it and what was not.
pub(super) fn carry_out(changes: &FileChanges<'_>, command: &str) -> Result<Vec<String>, Failure> {
    let mut done = Vec::new();
    for (index, (path, change)) in changes.iter().enumerate() {
        let (word, changed) = match change {
            Change::MakeDirectory => ("made", safe_file::make_directory(path)),
            Change::Write { octets, like } => ("wrote", safe_file::write(path, octets, like)),
            Change::Remove => ("removed", safe_file::remove(path)),
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
