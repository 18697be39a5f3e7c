//! What tests/run unpacks from Debian's packages without installing them.
//!
//! Heimdal's programs can't be installed beside MIT's; a login server or a PAM module, once installed, would be used by the machine
//! itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where tests/run unpacks the group `name`, and where other files of this name are that tests share.
pub(crate) fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A file of such a group.
pub(crate) fn file(name: &str, path: &str) -> PathBuf {
    let file = root(name).join(path);
    assert!(
        file.exists(),
        "{} is missing: tests/run unpacks it",
        file.display()
    );
    file
}

/// The folder among those of `parent` that has this file: `x86_64-linux-gnu`, or what this machine's kind is called.
pub(crate) fn folder_with(parent: &Path, file: &str) -> PathBuf {
    let folders = fs::read_dir(parent).expect("tests/run unpacks it");
    let mut folders = folders.map(|entry| entry.unwrap().path());
    let found = folders.find(|folder| folder.join(file).exists());
    found.unwrap_or_else(|| panic!("no {file} below {}", parent.display()))
}

/// The version of a package: its changelog begins with it.
pub(crate) fn version(name: &str, package: &str) -> String {
    let changelog = format!("usr/share/doc/{package}/changelog.Debian.gz");
    let output = Command::new("zcat").arg(file(name, &changelog)).output();
    let changelog = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
    changelog.split(['(', ')']).nth(1).unwrap().to_owned()
}
