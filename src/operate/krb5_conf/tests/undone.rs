//! What is undone, and what others have changed since, which is not.

use std::fs;
use std::path::PathBuf;

use super::etc::Etc;
use crate::operate::krb5_conf::done::{Done, NotUndone};
use crate::operate::krb5_conf::lock::Lock;
use crate::operate::krb5_conf::places::Places;
use crate::operate::krb5_conf::seen::Seen;
use crate::operate::krb5_conf::staged::{Staged, remove};
use crate::operate::krb5_conf::trouble;

const BEFORE: &[u8] = b"before";

/// Writes the file anew.
fn written(etc: &Etc) -> Done {
    let seen = Seen::read(&etc.file()).unwrap();
    let like = seen.file.as_deref();
    let staged = Staged::new(&seen, b"ours".to_vec(), like).unwrap();
    staged.commit(&seen).unwrap()
}

/// What is left, and the name that the old file is told by, below /etc.
fn left(etc: &Etc, done: Done) -> (Vec<(PathBuf, Vec<u8>)>, Option<PathBuf>) {
    let NotUndone {
        target,
        kept,
        error,
    } = done.undo().unwrap_err();
    assert_eq!(target, etc.file());
    assert!(error.is_none(), "{error:?}");
    let before = etc.all();
    // The next one sweeps it not away.
    drop(Lock::take(&Places::below(etc.0.path()), "command").unwrap());
    assert_eq!(etc.all(), before);
    (before, kept)
}

#[test]
fn what_nobody_touched_is_undone_whole() {
    let etc = Etc::with(Some(BEFORE));
    let before = etc.all();
    written(&etc).undo().unwrap();
    assert_eq!(etc.all(), before);
    remove(&etc.file()).unwrap().undo().unwrap();
    assert_eq!(etc.all(), before);
    let etc = Etc::with(None);
    written(&etc).undo().unwrap();
    assert_eq!(etc.all(), []);
}

#[test]
fn what_others_wrote_since_stays_and_so_does_what_was_before() {
    let kept = "krb5.conf.kept-by-loopkdc";
    let edits: [fn(&Etc); 4] = [
        |etc| fs::write(etc.file(), "others").unwrap(),
        // The same length, at the same moment maybe.
        |etc| fs::write(etc.file(), "OURS").unwrap(),
        |etc| {
            fs::write(etc.path("new"), "others").unwrap();
            fs::rename(etc.path("new"), etc.file()).unwrap();
        },
        |etc| fs::remove_file(etc.file()).unwrap(),
    ];
    for edit in edits {
        let etc = Etc::with(Some(BEFORE));
        let done = written(&etc);
        edit(&etc);
        let there = fs::read(etc.file()).ok();
        let (all, told) = left(&etc, done);
        assert_eq!(told, Some(etc.path(kept)));
        let mut expected: Vec<_> = there.map(|there| (etc.file(), there)).into_iter().collect();
        expected.push((etc.path(kept), BEFORE.to_vec()));
        assert_eq!(all, expected);
    }
    // Of one that was not there before.
    let etc = Etc::with(None);
    let done = written(&etc);
    fs::write(etc.file(), "others").unwrap();
    assert_eq!(
        left(&etc, done),
        (vec![(etc.file(), b"others".to_vec())], None)
    );
    // Of one that was removed, with another copy there already.
    let etc = Etc::with(Some(BEFORE));
    fs::write(etc.path(kept), "earlier").unwrap();
    let done = remove(&etc.file()).unwrap();
    fs::write(etc.file(), "others").unwrap();
    let second = etc.path("krb5.conf.kept-by-loopkdc.1");
    let (all, told) = left(&etc, done);
    assert_eq!(told.as_ref(), Some(&second));
    let expected = [
        (etc.file(), b"others".to_vec()),
        (etc.path(kept), b"earlier".to_vec()),
        (second, BEFORE.to_vec()),
    ];
    assert_eq!(all, expected);
}

#[test]
fn each_that_is_left_is_told_with_what_to_type() {
    let error = || Some(std::io::Error::other("why"));
    let target = || PathBuf::from("/etc/a b");
    let kept = || Some(PathBuf::from("/etc/a b.kept-by-loopkdc"));
    let file = "'/etc/a b'";
    for (kept, error, hint) in [
        (
            kept(),
            error(),
            format!("/etc/a b could not be put back (why): mv '/etc/a b.kept-by-loopkdc' {file}"),
        ),
        (
            None,
            error(),
            format!("/etc/a b could not be taken away (why): rm {file}"),
        ),
        (
            kept(),
            None,
            format!(
                "/etc/a b was left as another program has it now; what it was before is kept: diff '/etc/a b.kept-by-loopkdc' {file}"
            ),
        ),
        (
            None,
            None,
            format!(
                "/etc/a b was not there before, and was left as another program has it now: cat {file}"
            ),
        ),
    ] {
        let (target, path) = (target(), PathBuf::from("/etc/krb5.conf"));
        let left = NotUndone {
            target,
            kept,
            error,
        };
        let failure = trouble::not_undone(trouble::changed(&path, false, "loopkdc"), &left);
        assert_eq!(failure.hints(), ["run it again: loopkdc".to_owned(), hint]);
        assert_eq!(
            failure.message(),
            "/etc/krb5.conf was changed by another program meanwhile, and what was written before could not all be undone"
        );
    }
}
