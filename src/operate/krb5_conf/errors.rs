//! Why files in /etc can't be changed, and what can be done about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::install::REMOVE;
use crate::daemon::user::is_root;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Hint;

/// For those who can't write to /etc.
const ELSEWHERE: &str = "for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf";
/// For those who have to edit krb5.conf themselves.
const OUR_PART: &str =
    "what stands between \"# >>> loopkdc\" and \"# <<< loopkdc\", and both lines";

/// What is wrong with a file.
fn failure(exit: Exit, path: &Path, why: &str) -> Failure {
    Failure::new(exit, format!("{} {why}", path.display()))
}

/// A command as it is typed, about a file.
fn about(command: &str, path: &Path) -> Hint {
    let path = path.to_string_lossy();
    Hint::command(command.split(' ').chain([&*path]))
}

/// One of our own commands.
pub(super) fn typed(command: &str) -> Hint {
    Hint::command(command.split(' '))
}

/// Why a file could not be `done`: read or written. `command`: what to type, to try again.
pub(super) fn failed(path: &Path, done: &str, error: &io::Error, command: &str) -> Failure {
    let directory = path.parent().unwrap_or(path);
    match error.kind() {
        ErrorKind::PermissionDenied if is_root() => {
            let why = format!("may not be {done}, by root either");
            let names = [path, directory].map(Path::to_string_lossy);
            let words = ["lsattr", "-d"].into_iter();
            failure(Exit::Permission, path, &why)
                .hint("see whether it is marked as unchangeable")
                .hint(Hint::command(words.chain(names.iter().map(|name| &**name))))
                .hint("to see what it would hold")
                .hint(typed("loopkdc krb5-conf"))
        }
        ErrorKind::PermissionDenied => {
            let why = format!("may not be {done} by this user");
            failure(Exit::Permission, path, &why)
                .hint("as root")
                .hint(typed(&format!("sudo {command}")))
                .hint(ELSEWHERE)
        }
        ErrorKind::ReadOnlyFilesystem => {
            let why = "can't be written: its file system is read-only";
            failure(Exit::Permission, path, why)
                .hint(
                    "put what \"loopkdc krb5-conf\" prints where the files of this system are made",
                )
                .hint(ELSEWHERE)
        }
        ErrorKind::ResourceBusy => mounted(path, command),
        kind => {
            let failure = failure(Exit::Config, path, &format!("can't be {done}: {error}"));
            match kind {
                ErrorKind::StorageFull => failure
                    .hint("make room on its file system")
                    .hint(about("df -h", directory)),
                _ => failure
                    .hint("see what is there")
                    .hint(about("ls -ld", path)),
            }
        }
    }
}

/// Nothing can take the place of what something is mounted on.
fn mounted(path: &Path, command: &str) -> Failure {
    let why = "can't be replaced: it is mounted there by itself, as the runtimes of containers do";
    let failure = failure(Exit::Config, path, why)
        .hint("see which file it is")
        .hint(about("findmnt", path));
    if command == REMOVE {
        return failure.hint(format!("take out of that file {OUR_PART}"));
    }
    failure
        .hint("put what \"loopkdc krb5-conf --inline\" prints into that file")
        .hint(ELSEWHERE)
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
        .hint("when that is mended, do the rest")
        .hint(typed(command));
    if command == REMOVE {
        return failure;
    }
    failure
        .hint("or take back what was done")
        .hint(typed(REMOVE))
}

/// What a link leads to is somebody else's to change.
pub(super) fn link(path: &Path, command: &str) -> Failure {
    let why = "is a symbolic link, and what that leads to is not changed";
    let failure = failure(Exit::Config, path, why)
        .hint("see where it leads")
        .hint(about("ls -ld", path));
    let target = path.canonicalize().ok().filter(|target| target.is_file());
    let failure = match target {
        Some(target) => {
            let words = [
                "cp",
                "--remove-destination",
                &target.to_string_lossy(),
                &path.to_string_lossy(),
            ];
            failure
                .hint("have a copy of that file in its place")
                .hint(Hint::command(words))
        }
        None => failure.hint("move it away").hint(moved(path)),
    };
    failure.hint("then").hint(typed(command))
}

/// Somebody else may change it, or put another file in the place of one in it, at any time.
pub(super) fn writable_by_others(path: &Path, command: &str) -> Failure {
    let who = match is_root() {
        true => "root",
        false => "root and this user",
    };
    let why = format!("is not safe to change: others than {who} may write to it");
    failure(Exit::Config, path, &why)
        .hint("see who")
        .hint(about("ls -ld", path))
        .hint("have it root's alone")
        .hint(about("chown root", path))
        .hint("and")
        .hint(about("chmod go-w", path))
        .hint("then")
        .hint(typed(command))
}

/// A file of somebody else's has the name of ours.
pub(super) fn foreign(path: &Path) -> Failure {
    let why = "is there, and was not made by \"loopkdc krb5-conf --install\"";
    failure(Exit::Config, path, why)
        .hint("move it away, to a name that libkrb5 does not read")
        .hint(moved(path))
}

fn moved(path: &Path) -> Hint {
    let path = path.to_string_lossy();
    Hint::command(["mv", &path, &format!("{path}.old")])
}

/// A marker that is not one of a pair.
pub(super) fn unpaired(path: &Path, line: usize) -> Failure {
    let path = path.display();
    let what = format!("{path}, line {line}: a marker of loopkdc's without the other");
    Failure::new(Exit::Config, what).hint(format!("take out by hand {OUR_PART}"))
}

/// A line that libkrb5 does not read yet, and would, as a mistake, behind a section of ours.
pub(super) fn stray(path: &Path, line: usize) -> Failure {
    let path = path.display();
    let what =
        format!("{path}, line {line}: belongs to no section, and libkrb5 takes no notice of it");
    Failure::new(Exit::Config, what)
        .hint("take it out, or write # before it: behind a stanza it would be a mistake")
}
