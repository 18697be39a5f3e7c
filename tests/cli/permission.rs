//! Files that exist and may not be read. Root may read everything, so that under root the program
//! runs as another user, from a copy that this user can reach.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::{Ended, Home, REALM};

/// Nobody, by number: passwd(5) need not have a name for it.
const NOBODY: u32 = 65534;

pub(super) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Runs `loopkdc` in the home as a user who has no rights there but those of everybody.
pub(super) fn unprivileged(home: &Home, args: &[&str]) -> Ended {
    let binary = home.path().join("loopkdc");
    // Copied by a process of its own: a child that another test forks meanwhile would hold a
    // descriptor of ours open for writing, and such a file can't be run (ETXTBSY).
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_loopkdc"))
        .arg(&binary)
        .status();
    assert!(copied.unwrap().success());
    mode(home.path(), 0o755);
    mode(&binary, 0o755);
    let mut command = Command::new(&binary);
    command.args(args).current_dir(home.path());
    if fs::metadata(home.path()).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    Ended::new(&command.output().unwrap())
}

#[test]
fn an_unreadable_file_ends_with_77() {
    let home = Home::new(REALM);
    mode(&home.config(), 0o000);
    for command in ["check", "run"] {
        let ended = unprivileged(&home, &[command, "--config", "config.toml"]);
        let stderr = "\
loopkdc: error: configuration config.toml may not be read by this user: config.toml blocks
loopkdc: hint: see who may pass: ls -l config.toml
";
        assert_eq!(
            ended,
            Ended {
                code: Some(77),
                stdout: String::new(),
                stderr: stderr.to_owned()
            }
        );
    }
}

#[test]
fn a_directory_that_blocks_is_named() {
    let home = Home::new(REALM);
    let [outer, inner] = ["outer", "outer/inner"].map(|name| home.path().join(name));
    fs::create_dir_all(&inner).unwrap();
    let file = inner.join("config.toml");
    fs::copy(home.config(), &file).unwrap();
    mode(&outer, 0o600);
    let ended = unprivileged(&home, &["check", "--config", &file.display().to_string()]);
    // Restored first: a user other than root could not remove what is inside.
    mode(&outer, 0o700);
    let stderr = format!(
        "loopkdc: error: configuration {} may not be read by this user: {} blocks\n\
         loopkdc: hint: see who may pass: ls -ld {}\n",
        file.display(),
        outer.display(),
        outer.display()
    );
    assert_eq!(
        ended,
        Ended {
            code: Some(77),
            stdout: String::new(),
            stderr
        }
    );
}

#[test]
fn an_unreadable_certificate_is_shown_in_the_file_that_names_it() {
    let home = Home::new(&format!("{REALM}ca-file = \"ca.pem\"\n"));
    let ca = home.path().join("ca.pem");
    fs::write(&ca, "").unwrap();
    mode(&ca, 0o000);
    let ended = unprivileged(&home, &["check", "--config", "config.toml"]);
    let stderr = "\
loopkdc: error: config.toml:3:11: ca-file ca.pem may not be read by this user: ca.pem blocks
  |
3 | ca-file = \"ca.pem\"
  |           ^^^^^^^^
loopkdc: hint: see who may pass: ls -l ca.pem
";
    assert_eq!(
        ended,
        Ended {
            code: Some(77),
            stdout: String::new(),
            stderr: stderr.to_owned()
        }
    );
}
