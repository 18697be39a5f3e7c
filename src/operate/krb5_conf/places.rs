//! Where things are, and how they are before anything changes.

use std::fs;
use std::path::{Path, PathBuf};

use super::block::{self, Split};
use super::drop_in::MARK;
use super::machine::Machine;
use super::profile;
use super::seen::Seen;
use super::trouble;
use super::way::Unseen;
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::shell;

/// Where things are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// krb5.conf.
    pub(super) file: PathBuf,
    /// krb5.conf.d.
    pub(super) directory: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self::below(Path::new("/etc"))
    }
}

impl Places {
    pub(super) fn below(etc: &Path) -> Self {
        Self {
            file: etc.join("krb5.conf"),
            directory: etc.join("krb5.conf.d"),
        }
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn drop_in(&self) -> PathBuf {
        self.directory.join("loopkdc.conf")
    }

    /// Whether libkrb5 gets from this krb5.conf to the drop-in.
    pub(super) fn lead_to_drop_in(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        let path = self.file().to_string_lossy();
        let profile = profile::read(&path, &text, &mut Machine);
        profile.includes.iter().any(|include| {
            let wanted = match include.is_directory {
                true => self.directory.clone(),
                false => self.drop_in(),
            };
            is_same(Path::new(&include.path), &wanted)
        })
    }
}

/// krb5.conf as it is.
pub(super) struct Current {
    pub(super) seen: Seen,
}

impl Current {
    pub(super) fn read(places: &Places, command: &str) -> Result<Self, Failure> {
        let path = places.file();
        let seen = Seen::read(path).map_err(|why| trouble::unseen(path, &why, command))?;
        Ok(Self { seen })
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.seen.octets().unwrap_or_default()
    }

    pub(super) fn split(&self, places: &Places) -> Result<Option<Split<'_>>, Failure> {
        block::find(self.octets()).map_err(|unpaired| {
            let (path, line) = (places.file().display(), unpaired.line);
            Failure::new(Exit::Config, format!("{path}, line {line}: a marker of loopkdc's without the other"))
                .hint("take out by hand what stands between \"# >>> loopkdc\" and \"# <<< loopkdc\", and both lines")
        })
    }
}

/// What is in krb5.conf.d.
pub(super) enum Installed {
    /// What has been written before, or where it is to be.
    Ours(Seen),
    /// By somebody else.
    Foreign,
}

impl Installed {
    pub(super) fn read(places: &Places, command: &str) -> Result<Self, Failure> {
        let path = places.drop_in();
        match Seen::read(&path) {
            Ok(seen) => Ok(match seen.octets() {
                Some(octets) if !octets.starts_with(MARK.as_bytes()) => Self::Foreign,
                _ => Self::Ours(seen),
            }),
            Err(Unseen::Dangling) => Ok(Self::Foreign),
            Err(why) => Err(trouble::unseen(&path, &why, command)),
        }
    }
}

/// Whether two paths lead to one file.
fn is_same(one: &Path, other: &Path) -> bool {
    // Components know no slash at the end.
    one == other
        || matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

pub(super) fn foreign(path: &Path) -> Failure {
    let (name, word) = (path.display(), shell::path(path));
    Failure::new(
        Exit::Config,
        format!("{name} is there, and was not made by \"loopkdc krb5-conf --install\""),
    )
    .hint(format!(
        "move it away, to a name that libkrb5 does not read: mv {word} {word}.old"
    ))
}
