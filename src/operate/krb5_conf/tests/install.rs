//! What `--install` and `--remove` do to files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::etc::Etc;

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
            "wrote /etc/krb5.conf.d/loopkdc.conf",
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
    assert_eq!(etc.said(etc.install(false)), ["nothing is to be changed"]);
    assert_eq!(
        etc.said(etc.install(true)),
        [
            "wrote /etc/krb5.conf",
            "removed /etc/krb5.conf.d/loopkdc.conf",
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
    assert_eq!(etc.said(etc.remove()), ["nothing is to be changed"]);
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
                "wrote /etc/krb5.conf.d/loopkdc.conf",
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
        assert_eq!(
            said.last().map(String::as_str),
            Some("wrote /etc/krb5.conf")
        );
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
