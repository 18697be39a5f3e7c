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

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A failure about a file, with advice: words, and the command that goes with them if there is one.
fn failure(exit: Exit, path: &Path, why: &str, advice: &[(&str, &[&str])]) -> Failure {
    let failure = Failure::new(exit, format!("{} {why}", path.display()));
    advise(failure, advice)
}

fn advise(failure: Failure, advice: &[(&str, &[&str])]) -> Failure {
    advice.iter().fold(failure, |failure, (words, command)| {
        let failure = failure.hint(*words);
        if command.is_empty() {
            return failure;
        }
        failure.hint(Hint::command(command.iter().copied()))
    })
}

/// Why a file could not be written. `command`: what to type, to try again.
pub(super) fn unwritten(path: &Path, error: &io::Error, command: &str) -> Failure {
    let (name, directory) = (shown(path), shown(path.parent().unwrap_or(path)));
    let failure = |exit, why: &str, advice: &[(&str, &[&str])]| failure(exit, path, why, advice);
    match error.kind() {
        ErrorKind::PermissionDenied if is_root() => failure(
            Exit::Permission,
            "may not be written, by root either",
            &[
                (
                    "see whether it is marked as unchangeable",
                    &["lsattr", "-d", &name, &directory],
                ),
                ("to see what it would hold", &["loopkdc", "krb5-conf"]),
            ],
        ),
        ErrorKind::PermissionDenied => {
            let sudo: Vec<_> = ["sudo"].into_iter().chain(command.split(' ')).collect();
            let advice: [(&str, &[&str]); 2] = [("as root", &sudo), (ELSEWHERE, &[])];
            failure(Exit::Permission, "may not be written by this user", &advice)
        }
        ErrorKind::ReadOnlyFilesystem => failure(
            Exit::Permission,
            "can't be written: its file system is read-only",
            &[],
        )
        .hint("put what \"loopkdc krb5-conf\" prints where the files of this system are made")
        .hint(ELSEWHERE),
        ErrorKind::ResourceBusy => {
            let failure = failure(
                Exit::Config,
                "can't be replaced: it is mounted there by itself, as the runtimes of containers do",
                &[("see which file it is", &["findmnt", &name])],
            );
            if command == REMOVE {
                return failure.hint(format!("take out of that file {OUR_PART}"));
            }
            failure
                .hint("put what \"loopkdc krb5-conf --inline\" prints into that file")
                .hint(ELSEWHERE)
        }
        _ => failure(
            Exit::Config,
            &format!("can't be written: {error}"),
            &[
                ("see what is there", &["ls", "-ld", &name]),
                ("and how much room", &["df", "-h", &directory]),
            ],
        ),
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
    let [again, undo] = [command, REMOVE].map(|command| command.split(' ').collect::<Vec<_>>());
    let failure = failure
        .hint(format!("done before that: {}", done.join("; ")))
        .hint(format!("not done: {}", left.join("; ")));
    let failure = advise(failure, &[("when that is mended, do the rest", &again)]);
    if command == REMOVE {
        return failure;
    }
    advise(failure, &[("or take back what was done", &undo)])
}

/// Why a file could not be read.
pub(super) fn unreadable(path: &Path, error: &io::Error, command: &str) -> Failure {
    if error.kind() == ErrorKind::PermissionDenied {
        return unwritten(path, error, command);
    }
    let see: [&str; 3] = ["ls", "-ld", &shown(path)];
    let why = format!("can't be read: {error}");
    failure(Exit::Config, path, &why, &[("see what is there", &see)])
}

/// What a link leads to is somebody else's to change.
pub(super) fn link(path: &Path, command: &str) -> Failure {
    let name = shown(path);
    let again: Vec<_> = command.split(' ').collect();
    let target = path.canonicalize().ok().filter(|target| target.is_file());
    let target = target.as_deref().map(shown);
    let copy = target
        .as_ref()
        .map(|target| ["cp", "--remove-destination", target, &name]);
    let away: [&str; 3] = ["mv", &name, &format!("{name}.old")];
    failure(
        Exit::Config,
        path,
        "is a symbolic link, and what that leads to is not changed",
        &[
            ("see where it leads", &["ls", "-ld", &name]),
            match &copy {
                Some(copy) => ("have a copy of that file in its place", copy),
                None => ("move it away", &away),
            },
            ("then", &again),
        ],
    )
}

/// Somebody else may change it, or put another file in the place of one in it, at any time.
pub(super) fn writable_by_others(path: &Path, command: &str) -> Failure {
    let name = shown(path);
    let who = if is_root() {
        "root"
    } else {
        "root and this user"
    };
    let again: Vec<_> = command.split(' ').collect();
    failure(
        Exit::Config,
        path,
        &format!("is not safe to change: others than {who} may write to it"),
        &[
            ("see who", &["ls", "-ld", &name]),
            ("have it root's alone", &["chown", "root", &name]),
            ("and", &["chmod", "go-w", &name]),
            ("then", &again),
        ],
    )
}

/// A file of somebody else's has the name of ours.
pub(super) fn foreign(path: &Path) -> Failure {
    let name = shown(path);
    let away: [&str; 3] = ["mv", &name, &format!("{name}.old")];
    failure(
        Exit::Config,
        path,
        "is there, and was not made by \"loopkdc krb5-conf --install\"",
        &[("move it away, to a name that libkrb5 does not read", &away)],
    )
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
