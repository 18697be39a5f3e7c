//! What is kept in a state folder for the next start: each file whole or not at all, and for nobody else to read.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::config::read;

/// The first of `places` in which there is a file `name` for this user to read, with that file's path, and what the file holds: at
/// most so many octets.
pub(super) fn read(
    places: &[PathBuf],
    name: &str,
    most: u64,
) -> Option<(PathBuf, io::Result<Vec<u8>>)> {
    let is_for_others = |error: &io::Error| error.kind() == ErrorKind::PermissionDenied;
    let files = places.iter().map(|place| place.join(name));
    let mut read = files.map(|file| (read::at_most(&file, most), file));
    let found = read.find(|(octets, _)| {
        let error = octets.as_ref().err();
        !error.is_some_and(|error| read::is_missing(error) || is_for_others(error))
    });
    found.map(|(octets, file)| (file, octets))
}

/// Writes the file `name` into the first of `places` that takes it, and says which; or why none does.
pub(super) fn write(places: &[PathBuf], name: &str, text: &str) -> Result<PathBuf, String> {
    let mut failed = Vec::new();
    for place in places {
        match write_into(place, name, text) {
            Ok(()) => return Ok(place.clone()),
            Err(error) => failed.push(format!("{}: {error}", place.display())),
        }
    }
    Err(failed.join("; "))
}

fn write_into(place: &Path, name: &str, text: &str) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700).recursive(true).create(place)?;
    let mut file = NamedTempFile::new_in(place)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(place.join(name))?;
    Ok(())
}
