//! What `--install` and `--remove` do to files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{REALM, made_of};
use crate::failure::Failure;
use crate::krb5_conf::install::{install, install_inline, remove};
use crate::krb5_conf::places::Places;

/// An /etc of one's own.
struct Etc(TempDir);

impl Etc {
    fn with(krb5_conf: Option<&[u8]>) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        if let Some(octets) = krb5_conf {
            fs::write(etc.file(), octets).unwrap();
        }
        etc
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("krb5.conf")
    }

    fn install(&self, inline: bool) -> Vec<String> {
        self.of(REALM, inline).unwrap()
    }

    fn of(&self, config: &str, inline: bool) -> Result<Vec<String>, Failure> {
        let made = made_of(config, false).unwrap();
        let places = Places::below(self.0.path());
        match inline {
            true => install_inline(&places, &made)?.carry_out(),
            false => install(&places, &made)?.carry_out(),
        }
    }

    fn remove(&self) -> Vec<String> {
        let plan = remove(&Places::below(self.0.path()), false);
        plan.unwrap().carry_out().unwrap()
    }

    /// Every file below, with what is in it; directories with nothing.
    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn below(path: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => {
                        all.push((path.clone(), Vec::new()));
                        below(&path, all);
                    }
                    false => all.push((path.clone(), fs::read(&path).unwrap())),
                }
            }
        }
        let mut all = Vec::new();
        below(self.0.path(), &mut all);
        all.sort();
        all
    }

    fn said(&self, done: Vec<String>) -> Vec<String> {
        let etc = format!("{}/", self.0.path().display());
        done.into_iter()
            .map(|words| words.replace(&etc, "/etc/"))
            .collect()
    }
}

/// Files as they may be, in any encoding.
const FILES: &[&[u8]] = &[
    b"",
    b"[libdefaults]\n\tdefault_realm = X\n",
    b"# A head.\n\n[libdefaults]\n",
    b"[libdefaults]\r\n x = y\r\n\r\n",
    b"# caf\xe9\n[a]\nb = \xff\xfe",
    b"include /nowhere/x\n[realms]\nEXAMPLE.COM = {\n kdc = dc1\n}\n",
    b"include /nowhere/x\n; nothing more",
    b"\xef\xbb\xbf[libdefaults]\n[realms]\n",
    b"words before a section\n[a]\nb = c\n",
    b"\n\n\n",
    b"#",
];

#[test]
fn what_was_installed_is_removed_to_the_octet() {
    for file in FILES {
        for inline in [false, true] {
            let etc = Etc::with(Some(file));
            let before = etc.all();
            etc.install(inline);
            assert_ne!(etc.all(), before);
            etc.remove();
            assert_eq!(etc.all(), before, "{inline} {}", file.escape_ascii());
        }
    }
}

#[test]
fn a_change_from_one_form_to_the_other_leaves_nothing_of_the_first() {
    for file in FILES {
        for inline in [false, true] {
            let [one, other] = [Etc::with(Some(file)), Etc::with(Some(file))];
            let before = one.all();
            one.install(inline);
            other.install(!inline);
            other.install(inline);
            let names = |etc: &Etc| -> Vec<_> {
                let all = etc.all().into_iter();
                all.map(|(path, _)| path.strip_prefix(etc.0.path()).unwrap().to_owned())
                    .collect()
            };
            assert_eq!(names(&one), names(&other));
            one.remove();
            assert_eq!(one.all(), before, "{inline} {}", file.escape_ascii());
        }
    }
}

#[test]
fn a_second_time_changes_nothing() {
    for file in FILES.iter().map(|file| Some(*file)).chain([None]) {
        for inline in [false, true] {
            let etc = Etc::with(file);
            etc.install(inline);
            let (all, inode) = (etc.all(), fs::metadata(etc.file()).unwrap().ino());
            let said = etc.install(inline);
            assert_eq!(etc.all(), all);
            assert_eq!(fs::metadata(etc.file()).unwrap().ino(), inode, "{said:?}");
        }
    }
}

#[test]
fn each_thing_done_is_said() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    assert_eq!(
        etc.said(etc.install(false)),
        [
            "made /etc/krb5.conf.d",
            "wrote /etc/krb5.conf.d/loopkdc.conf: EXAMPLE.COM",
            "kept /etc/krb5.conf as it was in /etc/krb5.conf.before-loopkdc",
            "wrote includedir /etc/krb5.conf.d/ into /etc/krb5.conf",
        ]
    );
    let head = "# >>> loopkdc: added by \"loopkdc krb5-conf --install\", taken out by --remove\n# There was no directory.\n# The file as it was: ";
    let text = fs::read_to_string(etc.file()).unwrap();
    assert!(text.starts_with(head), "{text}");
    let includedir = format!(
        "\nincludedir {}/\n# <<< loopkdc\n[libdefaults]\n",
        etc.path("krb5.conf.d").display()
    );
    assert!(text.ends_with(&includedir), "{text}");
    assert_eq!(
        etc.said(etc.install(false)),
        [
            "/etc/krb5.conf.d/loopkdc.conf is as it should be",
            "/etc/krb5.conf is as it should be",
        ]
    );
    assert_eq!(
        etc.said(etc.install(true)),
        [
            "wrote the stanzas into /etc/krb5.conf",
            "removed /etc/krb5.conf.d/loopkdc.conf",
            "removed /etc/krb5.conf.d, which was made for it",
        ]
    );
    assert_eq!(
        etc.said(etc.remove()),
        [
            "removed /etc/krb5.conf.before-loopkdc, as that is what krb5.conf is again",
            "took the stanzas out of /etc/krb5.conf",
        ]
    );
    assert_eq!(
        etc.said(etc.remove()),
        ["neither /etc/krb5.conf nor /etc/krb5.conf.d holds anything of loopkdc's"]
    );
}

#[test]
fn a_directory_that_is_included_already_is_all_it_takes() {
    for include in [
        "includedir ETC/krb5.conf.d",
        "[a]\nincludedir ETC/krb5.conf.d/\n",
        "include ETC/krb5.conf.d/loopkdc.conf\n",
    ] {
        let etc = Etc::with(None);
        fs::create_dir(etc.path("krb5.conf.d")).unwrap();
        let text = include.replace("ETC", &etc.0.path().display().to_string());
        fs::write(etc.file(), &text).unwrap();
        let before = etc.all();
        assert_eq!(
            etc.said(etc.install(false)),
            [
                "wrote /etc/krb5.conf.d/loopkdc.conf: EXAMPLE.COM",
                "/etc/krb5.conf includes /etc/krb5.conf.d already",
            ]
        );
        assert_eq!(fs::read_to_string(etc.file()).unwrap(), text);
        assert_eq!(
            etc.said(etc.remove()),
            ["removed /etc/krb5.conf.d/loopkdc.conf"]
        );
        assert_eq!(etc.all(), before);
    }
}

#[test]
fn a_file_is_made_where_there_is_none_and_goes_with_it() {
    for inline in [false, true] {
        let etc = Etc::with(None);
        let said = etc.said(etc.install(inline));
        assert_eq!(said.last().map(String::as_str), Some("made /etc/krb5.conf"));
        let text = fs::read_to_string(etc.file()).unwrap();
        assert!(
            text.contains("\n[libdefaults]\n    default_realm = EXAMPLE.COM\n"),
            "{text}"
        );
        assert_eq!(fs::metadata(etc.file()).unwrap().mode() & 0o7777, 0o644);
        etc.remove();
        assert_eq!(etc.all(), []);
        // What somebody adds stays.
        etc.install(inline);
        let text = fs::read_to_string(etc.file()).unwrap() + "[libdefaults]\nforwardable = true\n";
        fs::write(etc.file(), text).unwrap();
        etc.remove();
        assert_eq!(
            fs::read_to_string(etc.file()).unwrap(),
            "[libdefaults]\nforwardable = true\n"
        );
    }
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
