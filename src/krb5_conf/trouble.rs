//! Why files can't be changed, and what can be done about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::install::REMOVE;
use crate::failure::{Exit, Failure};
use crate::text::shell;
use crate::user::is_root;

/// For those who can't write to /etc.
const ELSEWHERE: &str = "for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf";

/// Why a file could not be written. `command`: what to type, to try again.
pub(super) fn failed(path: &Path, error: &io::Error, command: &str) -> Failure {
    let name = path.display();
    match error.kind() {
        ErrorKind::PermissionDenied if is_root() => Failure::new(
            Exit::Permission,
            format!("{name} may not be written, by root either"),
        )
        .hint(format!(
            "see whether it is marked as unchangeable: lsattr -d {name} {}",
            parent(path)
        ))
        .hint("to see what it would hold: loopkdc krb5-conf"),
        ErrorKind::PermissionDenied => Failure::new(
            Exit::Permission,
            format!("{name} may not be written by this user"),
        )
        .hint(format!("as root: sudo {command}"))
        .hint(ELSEWHERE),
        ErrorKind::ReadOnlyFilesystem => Failure::new(
            Exit::Permission,
            format!("{name} can't be written: its file system is read-only"),
        )
        .hint("put what \"loopkdc krb5-conf\" prints where the files of this system are made")
        .hint(ELSEWHERE),
        ErrorKind::ResourceBusy => mounted(path, command),
        _ => Failure::new(Exit::Config, format!("{name} can't be written: {error}")),
    }
}

/// Nothing can take the place of what something is mounted on.
fn mounted(path: &Path, command: &str) -> Failure {
    let name = path.display();
    let failure = Failure::new(
        Exit::Config,
        format!("{name} can't be replaced: it is mounted there by itself, as the runtimes of containers do"),
    )
    .hint(format!("see which file it is: findmnt {name}"));
    if command == REMOVE {
        return failure.hint("take out of that file what stands between \"# >>> loopkdc\" and \"# <<< loopkdc\", and both lines");
    }
    failure
        .hint("put what \"loopkdc krb5-conf --inline\" prints into that file")
        .hint(ELSEWHERE)
}

/// Somebody was quicker.
pub(super) fn changed(path: &Path, command: &str) -> Failure {
    let name = path.display();
    Failure::new(
        Exit::Config,
        format!("{name} was changed by another program meanwhile, and nothing was written"),
    )
    .hint(format!("run it again: {command}"))
}

/// Another process of ours is at work.
pub(super) fn busy(path: &Path, command: &str) -> Failure {
    let name = path.display();
    Failure::new(
        Exit::Config,
        format!("another \"loopkdc krb5-conf\" is at work on {name}"),
    )
    .hint(format!("run it again when that has ended: {command}"))
}

/// A file could not be put back. `kept`: what it was, if it was there.
pub(super) fn not_undone(
    failure: Failure,
    path: &Path,
    kept: Option<&Path>,
    error: &io::Error,
) -> Failure {
    let name = path.display();
    let file = shell::path(path);
    let command = match kept {
        Some(kept) => format!("mv {} {file}", shell::path(kept)),
        None => format!("rm {file}"),
    };
    failure.hint(format!("{name} could not be put back ({error}): {command}"))
}

/// Why a file could not be read.
pub(super) fn unreadable(path: &Path, error: &io::Error, command: &str) -> Failure {
    match error.kind() {
        ErrorKind::PermissionDenied => failed(path, error, command),
        _ => Failure::new(
            Exit::Config,
            format!("{} can't be read: {error}", path.display()),
        ),
    }
}

fn parent(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}
