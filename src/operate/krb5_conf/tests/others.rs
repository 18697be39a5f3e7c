//! What is somebody else's: it stays as it is, or nothing is done.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::REALM;
use super::etc::Etc;
use crate::daemon::user::is_root;
use crate::operate::krb5_conf::Placement::{DropIn, Inline};
use crate::operate::krb5_conf::errors;

#[test]
fn somebody_elses_file_is_left_alone() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    fs::write(etc.path("krb5.conf.d/00-loopkdc.conf"), "[realms]\n").unwrap();
    let before = etc.all();
    let failure = etc.of(REALM, DropIn).unwrap_err().to_string();
    let drop_in = etc
        .path("krb5.conf.d/00-loopkdc.conf")
        .display()
        .to_string();
    assert_eq!(
        failure,
        format!(
            "loopkdc: error: {drop_in} is there, and was not made by \"loopkdc krb5-conf --install\"\n\
             loopkdc: hint: move it away, to a name that nobody reads: mv {drop_in} {drop_in}.old\n\
             loopkdc: hint: then: loopkdc krb5-conf --install --drop-in"
        )
    );
    assert_eq!(etc.all(), before);
    assert_eq!(
        etc.said(etc.remove()),
        [
            "left /etc/krb5.conf.d/00-loopkdc.conf alone, as \"loopkdc krb5-conf --install\" did not make it"
        ]
    );
    assert_eq!(etc.all(), before);
}

#[test]
fn what_cannot_be_done_is_told_and_changes_nothing() {
    for (text, line) in [
        ("# <<< loopkdc\n", 1),
        ("[a]\n# >>> loopkdc\n", 2),
        (
            "# >>> loopkdc\n# <<< loopkdc\n# >>> loopkdc\n# <<< loopkdc\n",
            3,
        ),
    ] {
        let etc = Etc::with(Some(text.as_bytes()));
        for placement in [DropIn, Inline] {
            let failure = etc.of(REALM, placement).unwrap_err().to_string();
            assert!(
                failure.contains(&format!(
                    "line {line}: a marker of loopkdc's without the other\n"
                )),
                "{failure}"
            );
        }
        assert_eq!(fs::read_to_string(etc.file()).unwrap(), text);
    }
    // What is to be written first is in the way of itself.
    let etc = Etc::with(Some(b"[a]\n"));
    let name = format!(".00-loopkdc.conf.loopkdc-{}", std::process::id());
    fs::create_dir_all(etc.path("krb5.conf.d").join(name).join("in the way")).unwrap();
    let before = etc.all();
    assert!(etc.of(REALM, DropIn).is_err());
    assert_eq!(etc.all(), before);
}

/// Nobody writes to them: to open one would take for ever.
#[test]
fn a_pipe_is_no_file() {
    let etc = Etc::with(None);
    let make = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    make(&etc.file());
    let failure = etc.of(REALM, DropIn).unwrap_err();
    assert!(failure.message().contains("no regular file"), "{failure}");

    fs::remove_file(etc.file()).unwrap();
    let pipe = etc.path("pipe");
    make(&pipe);
    fs::write(etc.file(), format!("include {}\n", pipe.display())).unwrap();
    etc.install(DropIn);
}

#[test]
fn a_copy_has_no_bits_that_run_it_as_another() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    fs::set_permissions(etc.file(), fs::Permissions::from_mode(0o4755)).unwrap();
    etc.install(DropIn);
    let mode = |name| fs::metadata(etc.path(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("krb5.conf.before-loopkdc"), 0o755);
    assert_eq!(mode("krb5.conf"), 0o755);
}

#[test]
fn modes_are_kept() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    fs::set_permissions(etc.file(), fs::Permissions::from_mode(0o640)).unwrap();
    etc.install(DropIn);
    let mode = |name| fs::metadata(etc.path(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("krb5.conf"), 0o640);
    assert_eq!(mode("krb5.conf.before-loopkdc"), 0o640);
    assert_eq!(mode("krb5.conf.d/00-loopkdc.conf"), 0o644);
    assert_eq!(mode("krb5.conf.d"), 0o755);
    etc.remove();
    assert_eq!(mode("krb5.conf"), 0o640);
    assert_eq!(fs::read_to_string(etc.file()).unwrap(), "[libdefaults]\n");
}

#[test]
fn what_others_changed_meanwhile_stays() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    etc.install(DropIn);
    let text = fs::read_to_string(etc.file()).unwrap();
    fs::write(etc.file(), format!("# before\n{text}# behind\n")).unwrap();
    fs::write(etc.path("krb5.conf.d/other.conf"), "").unwrap();
    etc.of(
        "[realms.\"OTHER.TEST\"]\nproxies = [\"https://p\"]\n",
        DropIn,
    )
    .unwrap();
    let text = fs::read_to_string(etc.file()).unwrap();
    assert!(text.starts_with("# >>> loopkdc"), "{text}");
    assert!(text.contains("# <<< loopkdc\n# before\n"), "{text}");
    assert_eq!(
        etc.said(etc.remove()),
        [
            "wrote /etc/krb5.conf",
            "removed /etc/krb5.conf.d/00-loopkdc.conf",
            "left /etc/krb5.conf.before-loopkdc, as /etc/krb5.conf was changed since it was made",
        ]
    );
    assert_eq!(
        fs::read_to_string(etc.file()).unwrap(),
        "# before\n[libdefaults]\n# behind\n"
    );
    assert!(etc.path("krb5.conf.d/other.conf").exists());
    // One copy is kept: of the file as it was last before it was ours.
    etc.install(Inline);
    assert_eq!(
        fs::read_to_string(etc.path("krb5.conf.before-loopkdc")).unwrap(),
        "# before\n[libdefaults]\n# behind\n"
    );
}

#[test]
fn an_end_of_the_last_line_that_others_wrote_stays() {
    let etc = Etc::with(Some(b"[a]\nb = c"));
    etc.install(DropIn);
    let text = fs::read_to_string(etc.file()).unwrap();
    fs::write(etc.file(), text + "\n").unwrap();
    etc.remove();
    etc.install(DropIn);
    etc.remove();
    assert_eq!(fs::read_to_string(etc.file()).unwrap(), "[a]\nb = c\n");
}

#[test]
fn paths_in_commands_are_quoted() {
    let path = Path::new("/etc/a b/krb5.conf");
    let hints = |kind: std::io::ErrorKind| {
        let failure = errors::failed(path, "written", &kind.into(), "loopkdc krb5-conf --install");
        failure.hints().join("\n")
    };
    let busy = hints(std::io::ErrorKind::ResourceBusy);
    assert!(busy.contains("findmnt '/etc/a b/krb5.conf'"), "{busy}");
    if is_root() {
        let denied = hints(std::io::ErrorKind::PermissionDenied);
        let told = "lsattr -d '/etc/a b/krb5.conf'";
        assert!(denied.contains(told), "{denied}");
    }
}
