//! What is kept in a state folder for the next start: each file whole or not at all, and for nobody else to read.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use crate::config::read;

/// A file of such a folder, in TOML.
pub(super) struct StateFile {
    pub(super) name: &'static str,
    /// What it holds, as the log has it.
    pub(super) what: &'static str,
    /// What it says of itself in its first line.
    pub(super) title: &'static str,
    /// What fills more octets was not written here.
    pub(super) most: u64,
}

impl StateFile {
    /// What it holds in the first of `places` that has it for this user to read, and since when. What can't be read is told and left
    /// alone.
    pub(super) fn read<T: DeserializeOwned>(&self, places: &[PathBuf]) -> Option<(T, SystemTime)> {
        let is_for_others = |error: &io::Error| error.kind() == ErrorKind::PermissionDenied;
        let files = places.iter().map(|place| place.join(self.name));
        let mut read = files.map(|file| (read::at_most(&file, self.most), file));
        let (octets, file) = read.find(|(octets, _)| {
            let error = octets.as_ref().err();
            !error.is_some_and(|error| read::is_missing(error) || is_for_others(error))
        })?;
        let held = octets.and_then(|octets| {
            // The error as a whole would show what is written there.
            let held = toml::from_slice(&octets);
            let held = held.map_err(|error| io::Error::other(error.message().to_owned()))?;
            Ok((held, file.metadata()?.modified()?))
        });
        let told = held.inspect_err(|why| {
            tracing::warn!(file = %file.display(), "{} can't be read where it was kept: {why}", self.what);
        });
        told.ok()
    }

    /// Has it hold this in the first of `places` that takes it, and says which; or why none does.
    pub(super) fn write(
        &self,
        places: &[PathBuf],
        held: &impl Serialize,
    ) -> Result<PathBuf, String> {
        let text = toml::to_string(held).map_err(|error| error.to_string())?;
        let text = format!("# {}\n\n{text}", self.title);
        if text.len() as u64 > self.most {
            return Err(format!("it has more than {} octets", self.most));
        }
        let mut failed = Vec::new();
        for place in places {
            match self.write_into(place, &text) {
                Ok(()) => return Ok(place.clone()),
                Err(error) => failed.push(format!("{}: {error}", place.display())),
            }
        }
        Err(failed.join("; "))
    }

    fn write_into(&self, place: &Path, text: &str) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700).recursive(true).create(place)?;
        let mut file = NamedTempFile::new_in(place)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(place.join(self.name))?;
        Ok(())
    }
}
