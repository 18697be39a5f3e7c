//! Why files can't be changed, and what can be done about it.

use std::io::{self, ErrorKind};
use std::path::Path;

use super::done::NotUndone;
use super::install::REMOVE;
use super::way::Unseen;
use crate::daemon::user::is_root;
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::shell;

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
            "see whether it is marked as unchangeable: lsattr -d {} {}",
            shell::path(path),
            shell::path(path.parent().unwrap_or(path))
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
    .hint(format!(
        "see which file it is: findmnt {}",
        shell::path(path)
    ));
    if command == REMOVE {
        return failure.hint("take out of that file what stands between \"# >>> loopkdc\" and \"# <<< loopkdc\", and both lines");
    }
    failure
        .hint("put what \"loopkdc krb5-conf --inline\" prints into that file")
        .hint(ELSEWHERE)
}

/// Somebody was quicker. `is_whole`: nothing of what was done is left.
pub(super) fn changed(path: &Path, is_whole: bool, command: &str) -> Failure {
    let name = path.display();
    let left = match is_whole {
        true => "and nothing was written",
        false => "and what was written before could not all be undone",
    };
    Failure::new(
        Exit::Config,
        format!("{name} was changed by another program meanwhile, {left}"),
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

/// What stands where the lock is to be is no file that could be one.
pub(super) fn no_lock(path: &Path, error: &io::Error, command: &str) -> Failure {
    let (name, word) = (path.display(), shell::path(path));
    let failure = Failure::new(
        Exit::Config,
        format!("{name} can't be locked against others who run the same: {error}"),
    );
    match path.symlink_metadata() {
        Ok(metadata) if !metadata.is_file() => failure.hint(format!(
            "no file is there, but something else: see what, and move it away: ls -ld {word}; mv {word} {word}.old; {command}"
        )),
        _ => failure.hint(format!("when that is mended, run it again: {command}")),
    }
}

/// A file could not be put back.
pub(super) fn not_undone(failure: Failure, left: &NotUndone) -> Failure {
    let (name, file) = (left.target.display(), shell::path(&left.target));
    let kept = left.kept.as_deref().map(shell::path);
    failure.hint(match (&left.error, kept) {
        (Some(error), Some(kept)) => {
            format!("{name} could not be put back ({error}): mv {kept} {file}")
        }
        (Some(error), None) => format!("{name} could not be taken away ({error}): rm {file}"),
        (None, Some(kept)) => format!(
            "{name} was left as another program has it now; what it was before is kept: diff {kept} {file}"
        ),
        (None, None) => format!(
            "{name} was not there before, and was left as another program has it now: cat {file}"
        ),
    })
}

/// Why a file could not be read.
pub(super) fn unseen(path: &Path, why: &Unseen, command: &str) -> Failure {
    let (name, word) = (path.display(), shell::path(path));
    match why {
        Unseen::Failed(error) if error.kind() == ErrorKind::PermissionDenied => {
            failed(path, error, command)
        }
        Unseen::Failed(error) => {
            Failure::new(Exit::Config, format!("{name} can't be read: {error}"))
        }
        Unseen::Dangling => Failure::new(
            Exit::Config,
            format!("{name} is a link to a file that does not exist"),
        )
        .hint(format!("see where it leads: ls -l {word}")),
        Unseen::Open { directory, entry } => open(path, directory, entry, command),
    }
}

/// Somebody else may have it lead to any file at any time.
fn open(path: &Path, directory: &Path, entry: &Path, command: &str) -> Failure {
    let who = match is_root() {
        true => "root",
        false => "root and this user",
    };
    let word = shell::path(directory);
    Failure::new(
        Exit::Config,
        format!(
            "{} is not safe to change: others than {who} can put another file in the place of {}",
            path.display(),
            entry.display()
        ),
    )
    .hint(format!("see who: ls -ld {word} {}", shell::path(entry)))
    .hint(match path.starts_with(directory) {
        true => {
            format!("have it root's alone: chown root {word} && chmod go-w {word}; then: {command}")
        }
        false => format!(
            "let no link lead there, but have a file in its place: ls -l {}; then: {command}",
            shell::path(path)
        ),
    })
}
