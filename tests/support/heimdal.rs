//! Heimdal's clients, unpacked beside MIT's.

use std::process::Command;

use super::client::{Client, Outcome};
use super::unpacked;

/// The group that tests/run unpacks.
const GROUP: &str = "heimdal";

/// Runs one of Heimdal's programs, which Debian can't have installed beside MIT's.
pub(crate) fn heimdal(client: &Client, program: &str, args: &[&str], typed: &[&str]) -> Outcome {
    let bin = unpacked::root(GROUP).join("usr/bin");
    // Only what MIT has too carries the maker's name.
    let binary = [format!("{program}.heimdal"), program.to_owned()]
        .map(|name| bin.join(name))
        .into_iter()
        .find(|binary| binary.exists())
        .expect("tests/run unpacks it");
    let libraries = unpacked::root(GROUP).join("usr/lib");
    let libraries = unpacked::folder_with(&libraries, "libkrb5.so.26");
    // Without a terminal it reads passwords where they are typed here.
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(binary)
        .args(args)
        .env("LD_LIBRARY_PATH", libraries);
    client.finish(command, typed)
}
