//! What others change while a plan is made.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;

use super::etc::Etc;
use super::{REALM, made_of};
use crate::operate::krb5_conf::install::{install, install_inline, remove};
use crate::operate::krb5_conf::lock::Lock;
use crate::operate::krb5_conf::places::Places;
use crate::relay::failure::Failure;

const TEXT: &[u8] = b"[libdefaults]\n";

/// Makes a plan, has somebody else do something, and carries it out.
fn between(etc: &Etc, inline: bool, edit: impl FnOnce(&Etc)) -> Result<Vec<String>, Failure> {
    let made = made_of(REALM, false).unwrap();
    let places = Places::below(etc.0.path());
    let plan = match inline {
        true => install_inline(&places, &made),
        false => install(&places, &made),
    };
    let plan = plan.unwrap();
    edit(etc);
    plan.carry_out()
}

/// Fails the test unless it is told that this file was changed, and nothing was done but that.
#[track_caller]
fn is_told(etc: &Etc, inline: bool, name: &str, edit: impl Fn(&Etc)) {
    let after = |etc: &Etc| {
        edit(etc);
        etc.all()
    };
    let mut expected = Vec::new();
    let failure = between(etc, inline, |etc| expected = after(etc)).unwrap_err();
    let (path, command) = (etc.path(name), if inline { " --inline" } else { "" });
    assert_eq!(
        failure.to_string(),
        format!(
            "loopkdc: error: {} was changed by another program meanwhile, and nothing was written\n\
             loopkdc: hint: run it again: loopkdc krb5-conf --install{command}",
            path.display()
        )
    );
    assert_eq!(etc.all(), expected);
}

#[test]
fn an_edit_meanwhile_is_not_lost() {
    for inline in [false, true] {
        let etc = Etc::with(Some(TEXT));
        is_told(&etc, inline, "krb5.conf", |etc| {
            fs::write(etc.file(), "[libdefaults]\nforwardable = true\n").unwrap();
        });
        // Of its mode, or by a file in its place that says the same.
        is_told(&etc, inline, "krb5.conf", |etc| {
            let mode = fs::metadata(etc.file()).unwrap().mode() ^ 0o040;
            fs::set_permissions(etc.file(), fs::Permissions::from_mode(mode)).unwrap();
        });
        is_told(&etc, inline, "krb5.conf", |etc| {
            fs::copy(etc.file(), etc.path("new")).unwrap();
            fs::rename(etc.path("new"), etc.file()).unwrap();
        });
        is_told(&etc, inline, "krb5.conf", |etc| {
            fs::remove_file(etc.file()).unwrap()
        });
        // One that was not there.
        is_told(&etc, inline, "krb5.conf", |etc| {
            fs::write(etc.file(), TEXT).unwrap()
        });
        let kept = "krb5.conf.before-loopkdc";
        is_told(&etc, inline, kept, |etc| {
            fs::write(etc.path(kept), "x").unwrap()
        });
    }
}

/// What it led to is as it was.
#[test]
fn a_link_that_is_led_elsewhere_meanwhile_is_a_change() {
    for name in ["krb5.conf", "krb5.conf.d/loopkdc.conf"] {
        let etc = Etc::with(Some(TEXT));
        if name != "krb5.conf" {
            etc.install(false);
        }
        let link = |to: &str| {
            fs::copy(etc.path(name), etc.path(to)).unwrap();
            let _ = fs::remove_file(etc.path(name));
            symlink(etc.path(to), etc.path(name)).unwrap();
        };
        link("one.conf");
        is_told(&etc, name != "krb5.conf", name, |_| link("other.conf"));
        // Or that is one no more, with the same file in its place.
        is_told(&etc, name != "krb5.conf", name, |etc| {
            let target = fs::canonicalize(etc.path(name)).unwrap();
            fs::rename(target, etc.path(name)).unwrap();
        });
    }
}

#[test]
fn an_edit_of_the_drop_in_meanwhile_is_not_lost() {
    let drop_in = "krb5.conf.d/loopkdc.conf";
    let edit = |etc: &Etc| fs::write(etc.path(drop_in), "# of another\n").unwrap();
    let etc = Etc::with(Some(TEXT));
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    is_told(&etc, false, drop_in, edit);
    // Which --inline takes away.
    let etc = Etc::with(Some(TEXT));
    etc.install(false);
    is_told(&etc, true, drop_in, edit);
    // So does --remove.
    let etc = Etc::with(Some(TEXT));
    etc.install(false);
    let plan = remove(&Places::below(etc.0.path()), false).unwrap();
    edit(&etc);
    let before = etc.all();
    let failure = plan.carry_out().unwrap_err().to_string();
    assert!(
        failure.ends_with("run it again: loopkdc krb5-conf --remove"),
        "{failure}"
    );
    assert_eq!(etc.all(), before);
}

#[test]
fn a_second_one_does_not_begin_and_leaves_no_trace() {
    let etc = Etc::with(Some(TEXT));
    let (before, places) = (etc.all(), Places::below(etc.0.path()));
    let first = Lock::take(&places, "first").unwrap();
    let failure = Lock::take(&places, "loopkdc krb5-conf --install").unwrap_err();
    assert_eq!(
        failure.to_string(),
        format!(
            "loopkdc: error: another \"loopkdc krb5-conf\" is at work on {}\n\
             loopkdc: hint: run it again when that has ended: loopkdc krb5-conf --install",
            etc.file().display()
        )
    );
    // Who waited for nothing takes nothing away.
    assert!(Lock::take(&places, "third").is_err());
    drop(first);
    assert_eq!(etc.all(), before);
    Lock::take(&places, "fourth").unwrap();
    assert_eq!(etc.all(), before);
}

#[test]
fn what_was_left_behind_is_swept_away() {
    let etc = Etc::with(Some(TEXT));
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    // Of others, or of no form of ours.
    fs::write(etc.path(".krb5.conf.loopkdc-mine"), "").unwrap();
    fs::write(etc.path(".hosts.loopkdc-12"), "").unwrap();
    fs::write(etc.path("krb5.conf.loopkdc-12"), "").unwrap();
    // Beside what a link leads to, too.
    fs::create_dir(etc.path("real")).unwrap();
    fs::rename(etc.file(), etc.path("real/real.conf")).unwrap();
    symlink("real/real.conf", etc.file()).unwrap();
    fs::write(etc.path("real/.krb5.conf.loopkdc-12"), "").unwrap();
    let before = etc.all();
    for name in [
        "real/.real.conf.loopkdc-12",
        "real/.real.conf.loopkdc-12-old",
        ".krb5.conf.loopkdc-12",
        ".krb5.conf.loopkdc-12-old",
        ".krb5.conf.before-loopkdc.loopkdc-345",
        "krb5.conf.d/.loopkdc.conf.loopkdc-6-old",
        ".krb5.conf.loopkdc-lock",
    ] {
        fs::write(etc.path(name), "").unwrap();
    }
    drop(Lock::take(&Places::below(etc.0.path()), "command").unwrap());
    assert_eq!(etc.all(), before);
}

/// To run without a lock is for those who can change nothing either.
#[test]
fn what_stands_where_the_lock_is_to_be_is_told() {
    let etc = Etc::with(Some(TEXT));
    let (lock, places) = (
        etc.path(".krb5.conf.loopkdc-lock"),
        Places::below(etc.0.path()),
    );
    for made in ["mkfifo", "mkdir", "ln -s /nowhere/at/all"] {
        let mut words = made.split(' ');
        let mut command = Command::new(words.next().unwrap());
        assert!(command.args(words).arg(&lock).status().unwrap().success());
        // A pipe that somebody reads can be opened.
        let is_pipe = made == "mkfifo";
        for is_read in [false, true] {
            let options = || fs::File::options().read(true).write(true).open(&lock);
            let _reader = (is_pipe && is_read).then(options);
            let failure = Lock::take(&places, "loopkdc krb5-conf").unwrap_err();
            let word = lock.display();
            let told = format!("{word} can't be locked against others who run the same: ");
            assert!(failure.message().starts_with(&told), "{failure}");
            let hint = format!(
                "no file is there, but something else: see what, and move it away: ls -ld {word}; mv {word} {word}.old; loopkdc krb5-conf"
            );
            assert_eq!(failure.hints(), [hint]);
        }
        fs::rename(&lock, etc.path("moved")).unwrap();
        drop(Lock::take(&places, "loopkdc krb5-conf").unwrap());
        let _ = fs::remove_file(etc.path("moved"));
        let _ = fs::remove_dir(etc.path("moved"));
    }
    assert!(!lock.exists());
}
