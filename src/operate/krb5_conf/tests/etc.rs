//! A directory in the place of /etc.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::REALM;
use crate::operate::krb5_conf::install::{Target, install, remove};
use crate::operate::krb5_conf::{Form, Placement};
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

    pub(super) fn install(&self, placement: Placement) -> Vec<String> {
        self.of(REALM, placement).unwrap()
    }

    pub(super) fn of(&self, config: &str, placement: Placement) -> Result<Vec<String>, Failure> {
        let form = Form {
            placement,
            sssd: true,
            ..Form::default()
        };
        self.form(config, form)
    }

    /// Nothing else names servers of the realms.
    pub(super) fn only(&self, placement: Placement) -> Result<Vec<String>, Failure> {
        let form = Form {
            placement,
            only: true,
            sssd: true,
            ..Form::default()
        };
        self.form(REALM, form)
    }

    pub(super) fn form(&self, config: &str, form: Form) -> Result<Vec<String>, Failure> {
        let (plan, _) = install(&self.target(), &super::config(config), form)?;
        plan.carry_out()
    }

    pub(super) fn remove(&self) -> Vec<String> {
        remove(&self.target()).unwrap().carry_out().unwrap()
    }

    /// Of Linux.
    pub(super) fn target(&self) -> Target {
        Target {
            etc: self.0.path().to_owned(),
            ..Target::of("linux")
        }
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
