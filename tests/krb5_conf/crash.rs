//! Ended at any of the calls that change files, it leaves a configuration that libkrb5 takes, and can be run again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::etc::{DEBIANS, all, is_leftover, krb5_conf, on_debian, with_program};

/// Calls that change names and modes, or end the writing of a file.
const CALLS: [&str; 7] = [
    "mkdir", "rename", "unlink", "rmdir", "fsync", "fchmod", "write",
];
/// More calls of one kind than are made.
const MANY: usize = 40;

/// Runs `loopkdc krb5-conf` until its call of this kind and number, from 1 on; whether it got that far.
fn is_ended_at(call: &str, number: usize, words: &[&str]) -> bool {
    let mut command = Command::new("strace");
    let inject = format!("inject=/^{call}(at|at2)?$:signal=SIGKILL:when={number}");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject]);
    command
        .arg(env!("CARGO_BIN_EXE_loopkdc"))
        .arg("krb5-conf")
        .args(words);
    let output = with_program(command)
        .output()
        .expect("tests/run installs strace");
    !output.status.success()
}

/// What libkrb5 says of the configuration when it has nothing else to do.
fn is_valid() {
    let mut command = Command::new("klist");
    command.env("KRB5CCNAME", "/nonexistent");
    let output = with_program(command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("No credentials cache found"), "{said}");
}

/// The files, without what was left behind. Of directories, one that was made for a file may stay, empty, and be taken for
/// one that was there before.
fn state() -> BTreeMap<PathBuf, String> {
    let files = all().into_iter().filter(|(path, _)| !is_leftover(path));
    let text = |octets| {
        String::from_utf8(octets)
            .unwrap()
            .replace("# There was no directory.\n", "")
    };
    files
        .filter_map(|(path, octets)| Some((path, text(octets?))))
        .collect()
}

/// From one state to another by these words, ended everywhere; `back` leads to the first again.
fn survives(words: &[&str], back: &[&str]) {
    let before = state();
    krb5_conf(words).well();
    let after = state();
    krb5_conf(back).well();
    let file = |state: &BTreeMap<PathBuf, String>| state.get(Path::new("/etc/krb5.conf")).cloned();
    let mut ended = 0;
    for call in CALLS {
        for number in 1..MANY {
            assert_eq!(state(), before);
            let is_ended = is_ended_at(call, number, words);
            let between = file(&state());
            assert!(
                [file(&before), file(&after)].contains(&between),
                "{call} {number}: {between:?}"
            );
            is_valid();
            krb5_conf(words).well();
            assert_eq!(state(), after, "{call} {number}");
            krb5_conf(back).well();
            let _ = fs::remove_dir("/etc/krb5.conf.d");
            if !is_ended {
                break;
            }
            ended += 1;
        }
    }
    assert!(ended > 5, "{ended}");
}

#[test]
fn an_end_at_any_call_of_install() {
    on_debian(|_| {
        survives(&["--install", "--drop-in"], &["--remove"]);
    });
}

#[test]
fn an_end_at_any_call_of_install_inline() {
    on_debian(|_| {
        survives(&["--install", "--inline"], &["--remove"]);
    });
}

/// Lines of others in two files.
#[test]
fn an_end_at_any_call_of_install_only() {
    on_debian(|_| {
        let native = "[realms]\nEXAMPLE.COM = {\n kdc = https://p/KdcProxy\n}\n";
        fs::create_dir("/etc/krb5.conf.d").unwrap();
        fs::write("/etc/krb5.conf.d/corp", native).unwrap();
        let text = format!("includedir /etc/krb5.conf.d/\n{DEBIANS}{native}");
        fs::write("/etc/krb5.conf", text).unwrap();
        survives(&["--install", "--only"], &["--remove"]);
    });
}

#[test]
fn an_end_at_any_call_of_remove() {
    on_debian(|_| {
        krb5_conf(&["--install", "--drop-in"]).well();
        survives(&["--remove"], &["--install", "--drop-in"]);
    });
}
