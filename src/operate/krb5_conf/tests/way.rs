//! Who else could lead a name to another file.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::REALM;
use super::etc::Etc;
use crate::daemon::user::is_root;
use crate::operate::krb5_conf::seen::{Opened, Seen};
use crate::operate::krb5_conf::staged::Staged;
use crate::operate::krb5_conf::way::{Unseen, follow};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// An /etc with a directory that others can write, and a file in it.
fn with_open_directory(mode: u32) -> Etc {
    let etc = Etc::with(None);
    fs::create_dir(etc.path("open")).unwrap();
    fs::write(etc.path("open/real.conf"), "[libdefaults]\n").unwrap();
    set_mode(&etc.path("open"), mode);
    etc
}

/// Fails the test unless nothing is done, for what stands there.
#[track_caller]
fn is_refused(etc: &Etc, name: &str, entry: &str, hints: &[String]) {
    let before = etc.all();
    let failure = etc.of(REALM, false).unwrap_err();
    let others = if is_root() {
        "root"
    } else {
        "root and this user"
    };
    assert_eq!(
        failure.message(),
        format!(
            "{} is not safe to change: others than {others} can put another file in the place of {}",
            etc.path(name).display(),
            etc.path(entry).display()
        )
    );
    assert_eq!(failure.hints(), hints);
    assert_eq!(etc.all(), before);
}

#[test]
fn a_link_into_a_directory_that_others_can_write_is_not_followed() {
    for mode in [0o777, 0o775, 0o757] {
        let etc = with_open_directory(mode);
        let (file, open) = (etc.file(), etc.path("open"));
        symlink(etc.path("open/real.conf"), &file).unwrap();
        let (file, open) = (file.display(), open.display());
        let hints = [
            format!("see who: ls -ld {open} {open}/real.conf"),
            format!(
                "let no link lead there, but have a file in its place: ls -l {file}; then: loopkdc krb5-conf --install"
            ),
        ];
        is_refused(&etc, "krb5.conf", "open/real.conf", &hints);
        set_mode(&etc.path("open"), 0o755);
        etc.install(false);
    }
}

/// Whoever can write there can have it lead anywhere.
#[test]
fn a_way_through_such_a_directory_to_a_safe_one_is_none() {
    let etc = with_open_directory(0o777);
    fs::write(etc.path("safe.conf"), "[libdefaults]\n").unwrap();
    symlink("../safe.conf", etc.path("open/link")).unwrap();
    symlink("open/link", etc.file()).unwrap();
    let refused = |entry: &str| match follow(&etc.file()) {
        Err(Unseen::Open { entry: at, .. }) => assert_eq!(at, etc.path(entry)),
        other => panic!("{other:?}"),
    };
    refused("open/link");
    // A directory that is a link counts as what it leads to.
    fs::remove_file(etc.file()).unwrap();
    symlink("open", etc.path("way")).unwrap();
    symlink("way/link", etc.file()).unwrap();
    refused("open/link");
    // What is above it is nothing that can be changed in it.
    fs::remove_file(etc.file()).unwrap();
    symlink("way/../safe.conf", etc.file()).unwrap();
    assert_eq!(follow(&etc.file()).unwrap(), etc.path("safe.conf"));
    set_mode(&etc.path("open"), 0o755);
    fs::remove_file(etc.file()).unwrap();
    symlink("way/link", etc.file()).unwrap();
    assert_eq!(follow(&etc.file()).unwrap(), etc.path("safe.conf"));
}

#[test]
fn what_is_ones_own_in_a_sticky_directory_is_safe() {
    let etc = with_open_directory(0o1777);
    symlink("open/real.conf", etc.file()).unwrap();
    etc.install(false);
    let text = fs::read_to_string(etc.path("open/real.conf")).unwrap();
    assert!(text.contains("includedir"), "{text}");
}

#[test]
fn a_directory_for_the_drop_in_that_others_can_write_is_refused() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    let directory = etc.path("krb5.conf.d");
    fs::create_dir(&directory).unwrap();
    set_mode(&directory, 0o775);
    let (name, shown) = ("krb5.conf.d/loopkdc.conf", directory.display());
    let hints = [
        format!("see who: ls -ld {shown} {shown}/loopkdc.conf"),
        format!(
            "have it root's alone: chown root {shown} && chmod go-w {shown}; then: loopkdc krb5-conf --install"
        ),
    ];
    is_refused(&etc, name, name, &hints);
    set_mode(&directory, 0o755);
    etc.install(false);
    // Nor is anything removed from there.
    set_mode(&directory, 0o777);
    let before = etc.all();
    let plan = crate::operate::krb5_conf::install::remove(
        &crate::operate::krb5_conf::places::Places::below(etc.0.path()),
        false,
    );
    assert!(plan.is_err());
    assert_eq!(etc.all(), before);
}

#[test]
fn a_ring_of_links_ends() {
    let etc = Etc::with(None);
    symlink("krb5.conf", etc.file()).unwrap();
    let failure = etc.of(REALM, false).unwrap_err();
    assert!(failure.message().contains("too many links"), "{failure}");
}

/// What takes its name after it was found is not read, and gives nothing of its own.
#[test]
fn what_was_opened_is_what_counts() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    set_mode(&etc.file(), 0o640);
    let seen = Seen::read(&etc.file()).unwrap();
    fs::write(etc.path("secret"), "secret").unwrap();
    set_mode(&etc.path("secret"), 0o666);
    fs::remove_file(etc.file()).unwrap();
    symlink("secret", etc.file()).unwrap();
    assert!(Opened::at(&etc.file()).is_err());
    let like = seen.file.as_deref();
    let _staged = Staged::new(&seen, b"ours".to_vec(), like).unwrap();
    let beside = etc.path(&format!(".krb5.conf.loopkdc-{}", std::process::id()));
    let mode = fs::metadata(beside).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);
    assert!(!seen.is_still_so());
}
