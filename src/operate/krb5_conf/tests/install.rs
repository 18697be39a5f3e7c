//! What `--install` and `--remove` do to files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::etc::Etc;
use super::{REALM, config};
use crate::operate::krb5_conf::Form;
use crate::operate::krb5_conf::Placement::{Auto, DropIn, Inline};
use crate::operate::krb5_conf::install::{Target, install};

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
        for placement in [DropIn, Inline] {
            let etc = Etc::with(Some(file));
            let before = etc.all();
            etc.install(placement);
            assert_ne!(etc.all(), before);
            etc.remove();
            assert_eq!(etc.all(), before, "{placement:?} {}", file.escape_ascii());
        }
    }
}

#[test]
fn a_change_from_one_form_to_the_other_leaves_nothing_of_the_first() {
    for file in FILES {
        for placement in [DropIn, Inline] {
            let [one, other] = [Etc::with(Some(file)), Etc::with(Some(file))];
            let before = one.all();
            one.install(placement);
            other.install(if placement == Inline { DropIn } else { Inline });
            other.install(placement);
            let names = |etc: &Etc| -> Vec<_> {
                let all = etc.all().into_iter();
                all.map(|(path, _)| path.strip_prefix(etc.0.path()).unwrap().to_owned())
                    .collect()
            };
            assert_eq!(names(&one), names(&other));
            one.remove();
            assert_eq!(one.all(), before, "{placement:?} {}", file.escape_ascii());
        }
    }
}

#[test]
fn a_second_time_changes_nothing() {
    for file in FILES.iter().map(|file| Some(*file)).chain([None]) {
        for placement in [DropIn, Inline] {
            let etc = Etc::with(file);
            etc.install(placement);
            let (all, inode) = (etc.all(), fs::metadata(etc.file()).unwrap().ino());
            let said = etc.install(placement);
            assert_eq!(etc.all(), all);
            assert_eq!(fs::metadata(etc.file()).unwrap().ino(), inode, "{said:?}");
        }
    }
}

const NOTHING: &str = "nothing is to be changed in krb5.conf";

#[test]
fn each_thing_done_is_said() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    assert_eq!(
        etc.said(etc.install(DropIn)),
        [
            "made /etc/krb5.conf.d",
            "wrote /etc/krb5.conf.d/00-loopkdc.conf",
            "wrote /etc/krb5.conf.before-loopkdc",
            "wrote /etc/krb5.conf",
        ]
    );
    let head = "# >>> loopkdc: added by \"loopkdc krb5-conf --install\", taken out by --remove\n# There was no directory.";
    let text = fs::read_to_string(etc.file()).unwrap();
    assert!(text.starts_with(head), "{text}");
    let includedir = format!(
        "\nincludedir {}/\n# <<< loopkdc\n[libdefaults]\n",
        etc.path("krb5.conf.d").display()
    );
    assert!(text.ends_with(&includedir), "{text}");
    assert_eq!(etc.said(etc.install(DropIn)), [NOTHING]);
    assert_eq!(
        etc.said(etc.install(Inline)),
        [
            "wrote /etc/krb5.conf",
            "removed /etc/krb5.conf.d/00-loopkdc.conf",
            "removed /etc/krb5.conf.d",
        ]
    );
    assert_eq!(
        etc.said(etc.remove()),
        [
            "wrote /etc/krb5.conf",
            "removed /etc/krb5.conf.before-loopkdc",
        ]
    );
    assert_eq!(etc.said(etc.remove()), [NOTHING]);
}

#[test]
fn a_directory_that_is_included_already_is_all_it_takes() {
    for (include, placement) in [
        ("includedir ETC/krb5.conf.d", Auto),
        ("[a]\nincludedir ETC/krb5.conf.d/\n", DropIn),
        ("include ETC/krb5.conf.d/00-loopkdc.conf\n", Auto),
    ] {
        let etc = Etc::with(None);
        fs::create_dir(etc.path("krb5.conf.d")).unwrap();
        let text = include.replace("ETC", &etc.0.path().display().to_string());
        fs::write(etc.file(), &text).unwrap();
        let before = etc.all();
        assert_eq!(
            etc.said(etc.install(placement)),
            [
                "wrote /etc/krb5.conf.d/00-loopkdc.conf",
                "/etc/krb5.conf includes /etc/krb5.conf.d already",
            ]
        );
        assert_eq!(fs::read_to_string(etc.file()).unwrap(), text);
        assert_eq!(
            etc.said(etc.remove()),
            ["removed /etc/krb5.conf.d/00-loopkdc.conf"]
        );
        assert_eq!(etc.all(), before);
    }
}

#[test]
fn a_file_is_made_where_there_is_none_and_goes_with_it() {
    for placement in [DropIn, Inline] {
        let etc = Etc::with(None);
        let said = etc.said(etc.install(placement));
        assert_eq!(
            said.last().map(String::as_str),
            Some("wrote /etc/krb5.conf")
        );
        let file = if placement == Inline {
            etc.file()
        } else {
            etc.path("krb5.conf.d/00-loopkdc.conf")
        };
        let text = fs::read_to_string(file).unwrap();
        assert!(
            text.contains("\n[libdefaults]\n    default_realm = EXAMPLE.COM\n"),
            "{text}"
        );
        assert_eq!(fs::metadata(etc.file()).unwrap().mode() & 0o7777, 0o644);
        etc.remove();
        assert_eq!(etc.all(), []);
        // What somebody adds stays.
        etc.install(placement);
        let text = fs::read_to_string(etc.file()).unwrap() + "[libdefaults]\nforwardable = true\n";
        fs::write(etc.file(), text).unwrap();
        etc.remove();
        assert_eq!(
            fs::read_to_string(etc.file()).unwrap(),
            "[libdefaults]\nforwardable = true\n"
        );
    }
}

/// Beside another include one of ours makes nothing worse.
#[test]
fn without_an_include_that_stands_there_the_stanzas_do() {
    for (text, has_drop_in) in [
        ("[libdefaults]\n", false),
        (
            "# A head.\n[realms]\nX = {\n kdc = dc1\n}\nincludedir ETC/krb5.conf.d\n",
            false,
        ),
        ("include ETC/other\n[libdefaults]\n", true),
        ("# A head.\nincludedir ETC/krb5.conf.d\n", true),
    ] {
        let etc = Etc::with(None);
        fs::create_dir(etc.path("krb5.conf.d")).unwrap();
        fs::write(etc.path("other"), "").unwrap();
        let text = text.replace("ETC", &etc.0.path().display().to_string());
        fs::write(etc.file(), &text).unwrap();
        let before = etc.all();
        etc.install(Auto);
        assert_eq!(
            etc.path("krb5.conf.d/00-loopkdc.conf").exists(),
            has_drop_in,
            "{text}"
        );
        let installed = fs::read_to_string(etc.file()).unwrap();
        assert_eq!(
            installed.contains("\n[realms]\n    EXAMPLE.COM"),
            !has_drop_in,
            "{installed}"
        );
        etc.remove();
        assert_eq!(etc.all(), before);
    }
}

/// Heimdal reads nothing from an include on, and MIT asks first whom it read of first.
#[test]
fn stanzas_stand_above_includes_but_in_no_section_of_others() {
    for (text, place) in [
        ("# A head.\ninclude /nowhere/x\n[libdefaults]\n", 0),
        ("words\ninclude /nowhere/x\n[libdefaults]\n", 25),
        ("includedirectory = x\n[libdefaults]\n", 21),
    ] {
        let etc = Etc::with(Some(text.as_bytes()));
        etc.install(Inline);
        let installed = fs::read_to_string(etc.file()).unwrap();
        assert_eq!(installed.find("# >>> loopkdc"), Some(place), "{installed}");
        etc.remove();
        assert_eq!(fs::read_to_string(etc.file()).unwrap(), text);
    }
}

#[test]
fn a_drop_in_of_earlier_versions_gets_its_new_name() {
    let etc = Etc::with(None);
    fs::create_dir(etc.path("krb5.conf.d")).unwrap();
    let include = |what: &str| format!("{what} {}\n", etc.path("krb5.conf.d").display());
    fs::write(etc.file(), include("includedir")).unwrap();
    let before = etc.all();
    etc.install(DropIn);
    let [new, old] =
        ["00-loopkdc.conf", "loopkdc.conf"].map(|name| etc.path("krb5.conf.d").join(name));
    fs::rename(&new, &old).unwrap();
    let renamed = [
        "wrote /etc/krb5.conf.d/00-loopkdc.conf",
        "removed /etc/krb5.conf.d/loopkdc.conf",
    ];
    assert_eq!(etc.said(etc.install(Auto))[..2], renamed);
    fs::rename(&new, &old).unwrap();
    assert_eq!(etc.said(etc.remove()), [renamed[1]]);
    assert_eq!(etc.all(), before);
    // Who includes it by its name would include nothing.
    etc.install(DropIn);
    fs::rename(&new, &old).unwrap();
    fs::write(
        etc.file(),
        include("include").replace("\n", "/loopkdc.conf\n"),
    )
    .unwrap();
    etc.install(Auto);
    assert!(old.exists() && !new.exists());
}

#[test]
fn what_nobody_says_of_all_realms_is_said() {
    let said = "[libdefaults]\ndns_canonicalize_hostname = fallback\n";
    for (text, lines) in [
        (
            "[realms]\n",
            &[
                "default_realm = EXAMPLE.COM",
                "dns_canonicalize_hostname = false",
            ][..],
        ),
        (said, &["default_realm = EXAMPLE.COM"]),
        ("include ETC/other\n", &["default_realm = EXAMPLE.COM"]),
        ("include ETC/other\n[libdefaults]\ndefault_realm = X\n", &[]),
    ] {
        for placement in [DropIn, Inline] {
            let etc = Etc::with(None);
            fs::write(etc.path("other"), said).unwrap();
            let text = text.replace("ETC", &etc.0.path().display().to_string());
            fs::write(etc.file(), &text).unwrap();
            // What was written once is nobody else's word the second time.
            for _ in 0..2 {
                etc.install(placement);
                let file = if placement == Inline {
                    "krb5.conf"
                } else {
                    "krb5.conf.d/00-loopkdc.conf"
                };
                let installed = fs::read_to_string(etc.path(file)).unwrap();
                let (_, ours) = installed.split_once("[domain_realm]").unwrap();
                let ours = ours.split("# <<< loopkdc").next().unwrap();
                let defaults = ours
                    .split_once("[libdefaults]\n")
                    .map_or("", |(_, rest)| rest);
                let defaults: Vec<_> = defaults.lines().map(str::trim).collect();
                assert_eq!(defaults, lines, "{placement:?} {text}");
            }
        }
    }
}

/// Apple's Heimdal knows no include.
#[test]
fn on_macos_the_stanzas_stand_in_the_file_itself() {
    assert_eq!(Target::of("macos").etc, Path::new("/private/etc"));
    assert_eq!(Target::of("linux").etc, Path::new("/etc"));
    let etc = Etc::with(Some(b"includedir /nowhere\n[libdefaults]\n"));
    let target = Target {
        etc: etc.0.path().to_owned(),
        ..Target::of("macos")
    };
    let config = config(REALM);
    let form = |placement| Form {
        placement,
        ..Form::default()
    };
    let (plan, _) = install(&target, &config, form(Auto)).unwrap();
    plan.carry_out().unwrap();
    let text = fs::read_to_string(etc.file()).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(lines.clone().next(), Some("[realms]"), "{text}");
    assert!(!etc.path("krb5.conf.d").exists());
    let failure = install(&target, &config, form(DropIn)).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "loopkdc: error: the Kerberos of macOS reads no file that krb5.conf includes\n\
         loopkdc: hint: keep the stanzas in krb5.conf itself: loopkdc krb5-conf --install"
    );
}

/// As the command of a hint has none of the options.
#[test]
fn what_was_chosen_before_holds() {
    let config = format!("[listen]\nkdc = [\"127.0.0.1:88\", \"unix:/run/kdc\"]\n{REALM}");
    let sockets = Form {
        unix: true,
        sssd: true,
        ..Form::default()
    };
    for (placement, head) in [
        (DropIn, "[libdefaults]\n"),
        // Our part is the file alone.
        (DropIn, "[libdefaults]\nincludedir ETC/krb5.conf.d\n"),
        (Inline, "includedir ETC/krb5.conf.d\n"),
    ] {
        let etc = Etc::with(None);
        fs::create_dir(etc.path("krb5.conf.d")).unwrap();
        let head = head.replace("ETC", &etc.0.path().display().to_string());
        fs::write(etc.file(), &head).unwrap();
        let before = etc.all();
        let chosen = Form {
            placement,
            ..sockets
        };
        etc.form(&config, chosen).unwrap();
        let all = etc.all();
        let said = etc.said(etc.of(&config, Auto).unwrap());
        assert_eq!(etc.all(), all, "{said:?}");
        // Sockets that are there no more are named no more.
        etc.install(Auto);
        assert_ne!(etc.all(), all);
        etc.remove();
        assert_eq!(etc.all(), before);
        etc.install(Auto);
        let is_drop_in = etc.path("krb5.conf.d/00-loopkdc.conf").exists();
        assert_eq!(is_drop_in, placement == Inline);
    }
}

/// Earlier versions put an include where none stood, which keeps confined programs from all of Kerberos.
#[test]
fn an_include_of_earlier_versions_goes() {
    let etc = Etc::with(Some(b"[libdefaults]\n"));
    etc.install(DropIn);
    let folder = etc.path("krb5.conf.d");
    fs::rename(folder.join("00-loopkdc.conf"), folder.join("loopkdc.conf")).unwrap();
    etc.install(Auto);
    assert!(!folder.exists());
    // Nor is one put where the administrator took ours out.
    etc.install(DropIn);
    fs::write(etc.file(), "[libdefaults]\n").unwrap();
    etc.install(Auto);
    assert!(!folder.join("00-loopkdc.conf").exists());
}
