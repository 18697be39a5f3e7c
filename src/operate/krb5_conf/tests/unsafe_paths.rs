//! What somebody else could have root change: nothing is done then.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::REALM;
use super::etc::Etc;
use crate::operate::krb5_conf::Placement::{DropIn, Inline};
use crate::operate::krb5_conf::install::remove;

const TEXT: &[u8] = b"[libdefaults]\n";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Fails the test unless each command says this of `path`, with these words and commands in turn, and does nothing.
#[track_caller]
fn is_refused(etc: &Etc, path: &Path, why: &str, hints: &[String]) {
    let before = etc.all();
    for placement in [DropIn, Inline] {
        let failure = etc.of(REALM, placement).unwrap_err();
        let told = format!("{} {why}", path.display());
        assert_eq!(failure.message(), told);
        let command = if placement == Inline {
            "inline"
        } else {
            "drop-in"
        };
        let again = format!("loopkdc krb5-conf --install --{command}");
        let hints: Vec<_> = hints
            .iter()
            .cloned()
            .chain(["then".to_owned(), again])
            .collect();
        let hints: Vec<_> = hints.chunks(2).map(|pair| pair.join(": ")).collect();
        assert_eq!(failure.hints(), hints);
    }
    assert!(remove(&etc.target()).is_err());
    assert_eq!(etc.all(), before);
}

#[test]
fn a_link_is_not_followed() {
    let etc = Etc::with(None);
    fs::write(etc.path("real.conf"), TEXT).unwrap();
    fs::create_dir(etc.path("real.d")).unwrap();
    let why = "is a symbolic link, and what that leads to is not changed";
    for (name, target) in [
        ("krb5.conf", "real.conf"),
        ("krb5.conf", "nowhere"),
        ("krb5.conf", "krb5.conf"),
        ("krb5.conf.d", "real.d"),
    ] {
        let path = etc.path(name);
        symlink(target, &path).unwrap();
        let hints = [
            "see where it leads, and have a copy of that in its place".to_owned(),
            format!("ls -ld {}", path.display()),
        ];
        is_refused(&etc, &path, why, &hints);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_drop_in_that_is_a_link_is_somebody_elses() {
    let etc = Etc::with(Some(TEXT));
    etc.install(DropIn);
    let (drop_in, real) = (
        etc.path("krb5.conf.d/00-loopkdc.conf"),
        etc.path("real.conf"),
    );
    fs::rename(&drop_in, &real).unwrap();
    symlink(&real, &drop_in).unwrap();
    let failure = etc.of(REALM, DropIn).unwrap_err();
    assert!(
        failure
            .message()
            .ends_with("was not made by \"loopkdc krb5-conf --install\""),
        "{failure}"
    );
    let told = "left /etc/krb5.conf.d/00-loopkdc.conf alone, as \"loopkdc krb5-conf --install\" did not make it";
    assert!(etc.said(etc.remove()).contains(&told.to_owned()));
    assert!(drop_in.is_symlink() && real.exists());
    assert_eq!(fs::read(etc.file()).unwrap(), TEXT);
}

#[test]
fn a_copy_that_is_a_link_is_neither_written_nor_removed() {
    let etc = Etc::with(Some(TEXT));
    let (copy, other) = (etc.path("krb5.conf.before-loopkdc"), etc.path("other"));
    fs::write(&other, "other").unwrap();
    symlink(&other, &copy).unwrap();
    let before = etc.all();
    let failure = etc.of(REALM, DropIn).unwrap_err();
    assert!(
        failure
            .message()
            .starts_with(&format!("{} is a symbolic link", copy.display())),
        "{failure}"
    );
    assert_eq!(etc.all(), before);
    fs::write(&other, TEXT).unwrap();
    etc.remove();
    assert!(copy.is_symlink());
}

#[test]
fn what_others_can_write_is_not_changed() {
    let etc = Etc::with(Some(TEXT));
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    let why = "is not safe to change: others than root may write to it";
    for (name, mode) in [("krb5.conf", 0o644), ("krb5.conf.d", 0o755), ("", 0o755)] {
        let path = etc.path(name);
        let path = Path::new(path.to_str().unwrap().trim_end_matches('/'));
        let shown = path.display();
        let hints = [
            ("see who", format!("ls -ld {shown}")),
            ("have it root's alone", format!("chown root {shown}")),
            ("and", format!("chmod go-w {shown}")),
        ];
        let hints: Vec<_> = hints
            .into_iter()
            .flat_map(|(words, command)| [words.to_owned(), command])
            .collect();
        for of_others in [0o020, 0o002, 0o1022] {
            set_mode(path, mode | of_others);
            is_refused(&etc, path, why, &hints);
        }
        set_mode(path, mode);
    }
    etc.install(DropIn);
}
