//! Files that are shipped beside the program, each read by what it is for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

#[path = "../support/mod.rs"]
mod support;

mod container;
mod documents;
mod haproxy;
mod kubernetes;
mod manuals;
mod packages;
mod prometheus;
mod units;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file below `packaging/`.
fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(packaging(name)).unwrap()
}

/// What `loopkdc check --gateway` prints of a configuration that it takes.
fn checked(configuration: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    fs::write(&file, configuration).unwrap();
    run(Command::new(env!("CARGO_BIN_EXE_loopkdc"))
        .args(["check", "--gateway", "--config"])
        .arg(file))
}

/// What a command prints, which must succeed.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs it"));
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{cried}");
    said.into_owned()
}
