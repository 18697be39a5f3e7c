//! What is somebody else's: it stays as it is, or nothing is done.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::REALM;
use super::etc::Etc;
use crate::daemon::user::is_root;
use crate::operate::krb5_conf::trouble;

#[test]
fn somebody_elses_file_is_left_alone() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    fs::write(etc.path("krb5.conf.d/loopkdc.conf"), "[realms]\n").unwrap();
    let before = etc.all();
    let failure = etc.of(REALM, false).unwrap_err().to_string();
    let drop_in = etc.path("krb5.conf.d/loopkdc.conf").display().to_string();
    assert_eq!(
        failure,
        format!(
            "loopkdc: error: {drop_in} is there, and was not made by \"loopkdc krb5-conf --install\"\n\
             loopkdc: hint: move it away, to a name that libkrb5 does not read: mv {drop_in} {drop_in}.old"
        )
    );
    assert_eq!(etc.all(), before);
    assert_eq!(
        etc.said(etc.remove()),
        [
            "left /etc/krb5.conf.d/loopkdc.conf alone, as \"loopkdc krb5-conf --install\" did not make it"
        ]
    );
    assert_eq!(etc.all(), before);
}

#[test]
fn what_cannot_be_done_is_told_and_changes_nothing() {
    let etc = Etc::with(None);
    symlink("nowhere", etc.file()).unwrap();
    assert!(
        etc.of(REALM, false)
            .unwrap_err()
            .to_string()
            .contains("krb5.conf is a link to a file that does not exist")
    );
    for (text, line) in [
        ("# <<< loopkdc\n", 1),
        ("[a]\n# >>> loopkdc\n", 2),
        (
            "# >>> loopkdc\n# <<< loopkdc\n# >>> loopkdc\n# <<< loopkdc\n",
            3,
        ),
    ] {
        let etc = Etc::with(Some(text.as_bytes()));
        for inline in [false, true] {
            let failure = etc.of(REALM, inline).unwrap_err().to_string();
            assert!(
                failure.contains(&format!(
                    "line {line}: a marker of loopkdc's without the other\n"
                )),
                "{failure}"
            );
        }
        assert_eq!(fs::read_to_string(etc.file()).unwrap(), text);
    }
    let etc = Etc::with(Some(b"include /x\nstray words"));
    let failure = etc.of(REALM, true).unwrap_err().to_string();
    assert!(
        failure.contains("line 2: belongs to no section"),
        "{failure}"
    );
    // A directory that was made for what failed goes again.
    let etc = Etc::with(Some(b"[a]\n"));
    let name = format!(".loopkdc.conf.loopkdc-{}", std::process::id());
    fs::create_dir_all(etc.path("krb5.conf.d").join(name).join("in the way")).unwrap();
    let before = etc.all();
    assert!(etc.of(REALM, false).is_err());
    assert_eq!(etc.all(), before);
}

/// Nobody writes to them: to open one would take for ever.
#[test]
fn a_pipe_is_no_file() {
    let etc = Etc::with(None);
    let pipe = etc.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    symlink(&pipe, etc.file()).unwrap();
    let failure = etc.of(REALM, false).unwrap_err();
    assert!(failure.message().contains("no regular file"), "{failure}");

    fs::remove_file(etc.file()).unwrap();
    fs::write(etc.file(), format!("include {}\n", pipe.display())).unwrap();
    etc.install(false);
}

#[test]
fn nothing_but_a_copy_of_the_file_is_removed() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    etc.install(false);
    let other = etc.path("other");
    fs::write(&other, "[libdefaults]\n").unwrap();
    let text = fs::read_to_string(etc.file()).unwrap();
    let backup = etc.path("krb5.conf.before-loopkdc").display().to_string();
    assert!(text.contains(&backup), "{text}");
    fs::write(
        etc.file(),
        text.replace(&backup, &other.display().to_string()),
    )
    .unwrap();
    etc.remove();
    assert!(other.exists());
    assert!(Path::new(&backup).exists());
}

#[test]
fn a_copy_has_no_bits_that_run_it_as_another() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    fs::set_permissions(etc.file(), fs::Permissions::from_mode(0o4755)).unwrap();
    etc.install(false);
    let mode = |name| fs::metadata(etc.path(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("krb5.conf.before-loopkdc"), 0o755);
    assert_eq!(mode("krb5.conf"), 0o755);
}

#[test]
fn links_modes_and_attributes_are_kept() {
    let etc = Etc::with(None);
    fs::create_dir(etc.path("elsewhere")).unwrap();
    let target = etc.path("elsewhere/real.conf");
    fs::write(&target, "[libdefaults]\n").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&target, etc.file()).unwrap();
    etc.install(false);
    assert!(etc.file().is_symlink());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&target), 0o640);
    assert_eq!(mode(&etc.path("krb5.conf.before-loopkdc")), 0o640);
    assert_eq!(mode(&etc.path("krb5.conf.d/loopkdc.conf")), 0o644);
    assert_eq!(mode(&etc.path("krb5.conf.d")), 0o755);
    etc.remove();
    assert!(etc.file().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "[libdefaults]\n");
    assert_eq!(fs::read_dir(etc.path("elsewhere")).unwrap().count(), 1);
}

#[test]
fn what_others_changed_meanwhile_stays() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    etc.install(false);
    let text = fs::read_to_string(etc.file()).unwrap();
    fs::write(etc.file(), format!("# before\n{text}# behind\n")).unwrap();
    fs::write(etc.path("krb5.conf.d/other.conf"), "").unwrap();
    etc.of(
        "[realms.\"OTHER.TEST\"]\nproxies = [\"https://p\"]\n",
        false,
    )
    .unwrap();
    let text = fs::read_to_string(etc.file()).unwrap();
    assert!(text.starts_with("# before\n# >>> loopkdc"), "{text}");
    assert_eq!(
        etc.said(etc.remove()),
        [
            "removed /etc/krb5.conf.d/loopkdc.conf",
            "left /etc/krb5.conf.before-loopkdc, as /etc/krb5.conf was changed since it was made",
            "took the includedir line out of /etc/krb5.conf",
        ]
    );
    assert_eq!(
        fs::read_to_string(etc.file()).unwrap(),
        "# before\n[libdefaults]\n# behind\n"
    );
    assert!(etc.path("krb5.conf.d/other.conf").exists());
    // The next copy does not take the place of that one.
    etc.install(true);
    assert_eq!(
        fs::read_to_string(etc.path("krb5.conf.before-loopkdc")).unwrap(),
        "[libdefaults]\n"
    );
    assert!(etc.path("krb5.conf.before-loopkdc.1").exists());
}

/// Somebody has moved our file, and led its name there.
#[test]
fn what_was_made_and_is_a_link_now() {
    for inline in [false, true] {
        let etc = Etc::with(None);
        etc.install(inline);
        let real = etc.path("real.conf");
        fs::rename(etc.file(), &real).unwrap();
        symlink("real.conf", etc.file()).unwrap();
        let what = if inline {
            "took the stanzas out of /etc/krb5.conf"
        } else {
            "took the includedir line out of /etc/krb5.conf"
        };
        assert!(etc.said(etc.remove()).contains(&what.to_owned()));
        // Nothing of ours stays, and the link leads somewhere.
        assert!(etc.file().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"");
    }
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    let before = etc.all();
    for is_inline_next in [false, true] {
        etc.install(false);
        let (drop_in, real) = (etc.path("krb5.conf.d/loopkdc.conf"), etc.path("real.conf"));
        fs::rename(&drop_in, &real).unwrap();
        symlink(&real, &drop_in).unwrap();
        let said = match is_inline_next {
            true => etc.install(true),
            false => etc.remove(),
        };
        let told =
            "removed /etc/krb5.conf.d/loopkdc.conf, and /etc/real.conf, which it was a link to";
        assert!(etc.said(said).contains(&told.to_owned()));
        assert!(!drop_in.is_symlink() && !real.exists());
        etc.remove();
        assert_eq!(etc.all(), before);
    }
}

#[test]
fn a_link_to_a_copy_is_no_copy_of_ours() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    let other = etc.path("other");
    fs::write(&other, "[libdefaults]\n").unwrap();
    symlink(&other, etc.path("krb5.conf.before-loopkdc")).unwrap();
    let before = etc.all();
    etc.install(false);
    assert!(etc.path("krb5.conf.before-loopkdc.1").exists());
    etc.remove();
    assert_eq!(etc.all(), before);
}

#[test]
fn so_many_copies_are_kept_and_no_more() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    let first = etc.path("krb5.conf.before-loopkdc");
    // None of which can be read.
    fs::create_dir(&first).unwrap();
    for number in 1..99 {
        fs::create_dir(etc.path(&format!("krb5.conf.before-loopkdc.{number}"))).unwrap();
    }
    let before = etc.all();
    etc.install(false);
    etc.remove();
    assert_eq!(etc.all(), before);
    fs::create_dir(etc.path("krb5.conf.before-loopkdc.99")).unwrap();
    let failure = etc.of(REALM, true).unwrap_err();
    let (file, first) = (etc.file(), first.display());
    assert_eq!(
        failure.message(),
        format!(
            "no name is left to keep {} as it is: 100 files are there already, from {first} on",
            file.display()
        )
    );
    let hint = format!("see which of them are still of use: ls -l {first}*");
    assert_eq!(failure.hints(), [hint]);
}

#[test]
fn paths_in_commands_are_quoted() {
    let path = Path::new("/etc/a b/krb5.conf");
    let hints = |kind: std::io::ErrorKind| {
        let failure = trouble::failed(path, &kind.into(), "loopkdc krb5-conf --install");
        failure.hints().join("\n")
    };
    let busy = hints(std::io::ErrorKind::ResourceBusy);
    assert!(busy.contains(": findmnt '/etc/a b/krb5.conf'"), "{busy}");
    if is_root() {
        let denied = hints(std::io::ErrorKind::PermissionDenied);
        let told = ": lsattr -d '/etc/a b/krb5.conf' '/etc/a b'";
        assert!(denied.contains(told), "{denied}");
    }
}
