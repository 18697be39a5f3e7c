//! Heimdal's clients, unpacked beside MIT's.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::client::{Client, Outcome};
use super::unpacked;

/// The group that tests/run unpacks.
const GROUP: &str = "heimdal";

/// Runs one of Heimdal's programs, which Debian can't have installed beside MIT's.
pub(crate) fn heimdal(client: &Client, program: &str, args: &[&str], typed: &[&str]) -> Outcome {
    let root = root();
    // Those of a name that MIT has too have a longer one.
    let binary = [format!("{program}.heimdal"), program.to_owned()]
        .map(|name| root.join("bin").join(name))
        .into_iter()
        .find(|binary| binary.exists())
        .expect("tests/run unpacks it");
    // Without a terminal it reads passwords where they are typed here.
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(binary)
        .args(args)
        .env("LD_LIBRARY_PATH", libraries(&root));
    client.finish(command, typed)
}

/// Where tests/run unpacks them.
pub(crate) fn root() -> PathBuf {
    unpacked::root(GROUP).join("usr")
}

/// What they are linked with.
pub(crate) fn libraries(root: &Path) -> PathBuf {
    unpacked::folder_with(&root.join("lib"), "libkrb5.so.26")
}
