//! Heimdal's clients, unpacked beside MIT's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::client::{Client, Outcome};

/// Runs one of Heimdal's programs, which Debian can't have installed beside MIT's.
pub(crate) fn heimdal(client: &Client, program: &str, args: &[&str], typed: &[&str]) -> Outcome {
    let root = root();
    // Those of a name that MIT has too have a longer one.
    let named = |name: &str| root.join("bin").join(name);
    let binary = Some(named(&format!("{program}.heimdal"))).filter(|file| file.exists());
    let binary = binary.unwrap_or_else(|| named(program));
    assert!(
        binary.exists(),
        "{} is missing: tests/run unpacks it",
        binary.display()
    );
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
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("heimdal/usr")
}

/// `lib/x86_64-linux-gnu`, or what this machine's kind is called.
pub(crate) fn libraries(root: &Path) -> PathBuf {
    let folders = fs::read_dir(root.join("lib"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    folders
        .into_iter()
        .find(|folder| folder.join("libkrb5.so.26").exists())
        .unwrap()
}
