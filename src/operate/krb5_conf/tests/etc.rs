//! A directory in the place of /etc.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{REALM, made_of};
use crate::operate::krb5_conf::install::{install, remove};
use crate::relay::failure::Failure;

/// An /etc of one's own.
pub(super) struct Etc(pub(super) TempDir);

impl Etc {
    pub(super) fn with(krb5_conf: Option<&[u8]>) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        if let Some(octets) = krb5_conf {
            fs::write(etc.file(), octets).unwrap();
        }
        etc
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.path("krb5.conf")
    }

    pub(super) fn install(&self, inline: bool) -> Vec<String> {
        self.of(REALM, inline).unwrap()
    }

    pub(super) fn of(&self, config: &str, inline: bool) -> Result<Vec<String>, Failure> {
        let made = made_of(config, false).unwrap();
        install(self.0.path(), &made, inline)?.carry_out()
    }

    pub(super) fn remove(&self) -> Vec<String> {
        remove(self.0.path()).unwrap().carry_out().unwrap()
    }

    /// Every file below, with what is in it; directories with nothing.
    pub(super) fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn below(path: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    all.push((path.clone(), Vec::new()));
                    below(&path, all);
                } else {
                    // Of a link that leads nowhere, its name.
                    all.push((path.clone(), fs::read(&path).unwrap_or_default()));
                }
            }
        }
        let mut all = Vec::new();
        below(self.0.path(), &mut all);
        all.sort();
        all
    }

    pub(super) fn said(&self, done: Vec<String>) -> Vec<String> {
        let etc = format!("{}/", self.0.path().display());
        done.into_iter()
            .map(|words| words.replace(&etc, "/etc/"))
            .collect()
    }
}
