//! Why files in /etc can't be changed, and what can be done about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::install::{INSTALL, REMOVE};
use crate::daemon::user::is_root;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Hint;

/// For those who can't write to /etc.
const ELSEWHERE: &str = "for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf";

/// What is wrong with a file.
fn failure(exit: Exit, path: &Path, why: &str) -> Failure {
    Failure::new(exit, format!("{} {why}", path.display()))
}

/// The words of a command about a file.
fn about(command: &str, path: &Path) -> Vec<String> {
    let path = path.to_string_lossy();
    let words = command.split(' ').chain([&*path]);
    words.map(str::to_owned).collect()
}

/// Why a file could not be `done`: read or written. `command`: what to type, to try again.
pub(super) fn failed(path: &Path, done: &str, error: &io::Error, command: &str) -> Failure {
    let can_not = format!("can't be {done}: {error}");
    match error.kind() {
        ErrorKind::PermissionDenied if is_root() => {
            let purpose = "see whether it, or its directory, is marked as unchangeable";
            failure(Exit::Permission, path, &can_not).command(purpose, about("lsattr -d", path))
        }
        ErrorKind::PermissionDenied => {
            let why = format!("may not be {done} by this user");
            failure(Exit::Permission, path, &why)
                .typed("as root", &format!("sudo {command}"))
                .hint(ELSEWHERE)
        }
        ErrorKind::ReadOnlyFilesystem => failure(Exit::Permission, path, &can_not)
            .hint("put what \"loopkdc krb5-conf\" prints where the files of this system are made")
            .hint(ELSEWHERE),
        // Nothing can take the place of what something is mounted on.
        ErrorKind::ResourceBusy => {
            let why = "can't be replaced: it is mounted there by itself, as in containers";
            let purpose = "see which file it is, and edit that: \"loopkdc krb5-conf --inline\" prints what to write into it, or to take out";
            failure(Exit::Config, path, why)
                .command(purpose, about("findmnt", path))
                .hint(ELSEWHERE)
        }
        _ => failure(Exit::Config, path, &can_not)
            .hint("see what is there, and how much room")
            .hint(Hint::command(about("ls -ld", path)))
            .hint(Hint::command(about("df -h", path.parent().unwrap_or(path)))),
    }
}

/// Adds what was `done` before something failed, and the files that are `left` to be changed.
pub(super) fn unfinished(
    failure: Failure,
    done: &[String],
    left: &[String],
    command: &str,
) -> Failure {
    if done.is_empty() {
        return failure;
    }
    let failure = failure
        .hint(format!("done before that: {}", done.join("; ")))
        .hint(format!("not done: {}", left.join("; ")))
        .typed("when that is mended, do the rest", command);
    if command == REMOVE {
        return failure;
    }
    failure.typed("or take back what was done", REMOVE)
}

/// Two failures in one.
pub(super) fn both(failure: Failure, other: &Failure) -> Failure {
    let failure = failure.hint(format!("besides, {}", other.message()));
    let hints = other.finding().hints.iter().cloned();
    hints.fold(failure, Failure::hint)
}

/// What a link leads to is somebody else's to change.
pub(super) fn link(path: &Path, command: &str) -> Failure {
    let why = "is a symbolic link, and what that leads to is not changed";
    let purpose = "see where it leads, and have a copy of that in its place";
    failure(Exit::Config, path, why)
        .command(purpose, about("ls -ld", path))
        .typed("then", command)
}

/// Somebody else may change it, or put another file in the place of one in it, at any time.
pub(super) fn writable_by_others(path: &Path, command: &str) -> Failure {
    let why = "is not safe to change: others than root may write to it";
    failure(Exit::Config, path, why)
        .command("see who", about("ls -ld", path))
        .command("have it root's alone", about("chown root", path))
        .command("and", about("chmod go-w", path))
        .typed("then", command)
}

/// A file of somebody else's has the name of ours: libkrb5 and systemd read names that end with `.conf`.
pub(super) fn foreign(path: &Path, command: &str) -> Failure {
    let why = "is there, and was not made by \"loopkdc krb5-conf --install\"";
    let name = path.to_string_lossy();
    let aside = ["mv", &name, &format!("{name}.old")];
    failure(Exit::Config, path, why)
        .command("move it away, to a name that nobody reads", aside)
        .typed("then", command)
}

/// `--drop-in` where no library would find it.
pub(super) fn no_includes() -> Failure {
    let what = "the Kerberos of macOS reads no file that krb5.conf includes";
    Failure::new(Exit::Config, what).typed("keep the stanzas in krb5.conf itself", INSTALL)
}

/// A marker that is not one of a pair.
pub(super) fn unpaired(path: &Path, line: usize) -> Failure {
    let path = path.display();
    let what = format!("{path}, line {line}: a marker of loopkdc's without the other");
    Failure::new(Exit::Config, what)
        .hint("take out by hand what stands between \"# >>> loopkdc\" and \"# <<< loopkdc\", and both lines")
}
