//! What of a krb5.conf nobody serves, where systemd's sockets do.

use super::{REALM, made_of};
use crate::operate::krb5_conf::Host;
use crate::operate::krb5_conf::disk::Disk;
use crate::operate::krb5_conf::profile::FileSystem;
use crate::operate::krb5_conf::units::{Note, notes};

const UNIT: &str = include_str!("../../../../packaging/systemd/loopkdc.socket");
const KPASSWD_UNIT: &str = include_str!("../../../../packaging/systemd/loopkdc-kpasswd.socket");
const USERS_UNIT: &str = include_str!("../../../../packaging/systemd/user/loopkdc.socket");
const BOTH: &str = "kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc.sock\"]";

const SYSTEM: [(&str, &str); 4] = [
    ("/usr/lib/systemd/system/loopkdc.socket", UNIT),
    (
        "/usr/lib/systemd/system/loopkdc-kpasswd.socket",
        KPASSWD_UNIT,
    ),
    (
        "/etc/systemd/system/sockets.target.wants/loopkdc.socket",
        UNIT,
    ),
    (
        "/etc/systemd/system/sockets.target.wants/loopkdc-kpasswd.socket",
        KPASSWD_UNIT,
    ),
];
const EDITED: &str = "/etc/systemd/system/loopkdc.socket.d/override.conf";

/// What is said where these files are, and this is under `[listen]`.
fn noted(files: &[&[(&str, &str)]], listen: &str, unix: bool) -> Vec<Note> {
    let made = made_of(&format!("[listen]\n{listen}\n{REALM}"), unix).unwrap();
    notes(&mut Disk::with(&files.concat()), &made.servers)
}

#[test]
fn what_the_units_open_is_nothing_to_tell() {
    assert_eq!(noted(&[&SYSTEM], "", false), []);
    assert_eq!(noted(&[&SYSTEM], "kdc = [\"[::1]:88\"]", false), []);
    // Without them [listen] counts: they are not there, or do not start.
    assert_eq!(noted(&[], BOTH, true), []);
    assert_eq!(noted(&[&SYSTEM[..2]], BOTH, true), []);
    for opened in [
        "[Socket]\nListenStream=/run/loopkdc.sock\n",
        "[Socket]\nListenStream = %t/loopkdc.sock\n",
        "[Unit]\n[Socket]\n# more\nListenStream=\nListenStream=127.0.0.1:88\nListenStream=/run/loopkdc.sock",
    ] {
        assert_eq!(noted(&[&SYSTEM, &[(EDITED, opened)]], BOTH, true), []);
    }
    for opened in [
        "ListenStream=8888",
        "ListenStream=0.0.0.0:8888",
        "ListenStream=[::]:8888",
    ] {
        let opened = format!("[Socket]\n{opened}\n");
        let listen = "kdc = [\"127.0.0.1:8888\"]";
        assert_eq!(noted(&[&SYSTEM, &[(EDITED, &opened)]], listen, false), []);
    }
}

#[test]
fn a_socket_that_no_unit_opens_is_told_with_what_to_write() {
    let told = Note {
        what: "systemd's loopkdc.socket does not open /run/loopkdc.sock, which krb5.conf is to name: with the units, their addresses count and [listen]'s do not".to_owned(),
        hint: "systemctl edit loopkdc.socket, and write\n    [Socket]\n    ListenStream=/run/loopkdc.sock\n  then: systemctl restart loopkdc.socket; or name in [listen] what it opens: systemctl cat loopkdc.socket".to_owned(),
    };
    assert_eq!(
        noted(&[&SYSTEM], BOTH, true).as_slice(),
        std::slice::from_ref(&told)
    );
    // What is taken away again, or is no stream of this unit's, is not opened.
    for edited in [
        "[Socket]\nListenStream=/run/loopkdc.sock\nListenDatagram=\n",
        "[Socket]\nListenDatagram=/run/loopkdc.sock\n",
        "[Service]\nListenStream=/run/loopkdc.sock\n",
        "[Socket]\n#ListenStream=/run/loopkdc.sock\n",
    ] {
        let files: &[&[(&str, &str)]] = &[&SYSTEM, &[(EDITED, edited)]];
        assert_eq!(
            noted(files, BOTH, true).as_slice(),
            std::slice::from_ref(&told),
            "{edited}"
        );
    }
    // The drop-in of a directory hides that of a later one.
    let below = "/run/systemd/system/loopkdc.socket.d/override.conf";
    let files: [(&str, &str); 2] = [
        (EDITED, ""),
        (below, "[Socket]\nListenStream=/run/loopkdc.sock\n"),
    ];
    assert_eq!(noted(&[&SYSTEM, &files], BOTH, true).as_slice(), [told]);
}

#[test]
fn so_is_an_address() {
    let listen = "kdc = [\"127.0.0.1:8888\"]\nkpasswd = [\"127.0.0.1:8464\"]";
    let hints: Vec<_> = noted(&[&SYSTEM], listen, false)
        .into_iter()
        .map(|of| of.hint)
        .collect();
    let hint = |unit: &str, port: u16| {
        format!(
            "systemctl edit {unit}, and write\n    [Socket]\n    ListenDatagram=127.0.0.1:{port}\n    ListenStream=127.0.0.1:{port}\n  then: systemctl restart {unit}; or name in [listen] what it opens: systemctl cat {unit}"
        )
    };
    assert_eq!(
        hints,
        [
            hint("loopkdc.socket", 8888),
            hint("loopkdc-kpasswd.socket", 8464)
        ]
    );
}

#[test]
fn a_users_own_units_count_too() {
    let units = [
        ("$HOME", "/home/u"),
        ("/usr/lib/systemd/user/loopkdc.socket", USERS_UNIT),
        (
            "/home/u/.config/systemd/user/sockets.target.wants/loopkdc.socket",
            USERS_UNIT,
        ),
    ];
    assert_eq!(noted(&[&units], "kdc = [\"127.0.0.1:8888\"]", false), []);
    let [note] = noted(&[&units], "", false).try_into().unwrap();
    assert!(
        note.hint
            .starts_with("systemctl --user edit loopkdc.socket, and write"),
        "{note:?}"
    );
    // One that opens it is enough.
    assert_eq!(noted(&[&units, &SYSTEM], "", false), []);
}

#[test]
fn a_socket_that_goes_with_the_service_is_told() {
    let listen = "kdc = [\"unix:/run/loopkdc/kdc.sock\"]";
    let edited = "[Socket]\nListenStream=/run/loopkdc/kdc.sock\n";
    let [note] = noted(&[&SYSTEM, &[(EDITED, edited)]], listen, true)
        .try_into()
        .unwrap();
    let what = "systemd takes /run/loopkdc/kdc.sock away when loopkdc ends, with all that is below /run/loopkdc/, and then nobody can start it there";
    assert_eq!(note.what, what);
    assert!(note.hint.contains("/run/loopkdc.sock"), "{note:?}");
}

/// Drop-ins without an end, each as large as one may be.
struct Endless(String, usize);

impl FileSystem for Endless {
    fn text(&mut self, _: &str) -> Result<String, String> {
        self.1 += 1;
        Ok(self.0.clone())
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, String> {
        match directory.ends_with(".wants") {
            true => Ok(vec![
                "loopkdc.socket".to_owned(),
                "loopkdc-kpasswd.socket".to_owned(),
            ]),
            false => Ok((0..32 * 1024)
                .map(|number| format!("{number}.conf"))
                .collect()),
        }
    }
}

impl Host for Endless {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn drop_ins_are_bounded_in_all() {
    for (text, most) in [
        ("# of no meaning\n".repeat(64 * 1024), 17),
        (String::new(), 4097),
    ] {
        let made = made_of(REALM, false).unwrap();
        let mut host = Endless(text, 0);
        let told = notes(&mut host, &made.servers);
        assert_eq!(host.1, most);
        let note = Note {
            what: "systemd's loopkdc.socket has more than 16 MiB of drop-ins with what is read before it: whether it opens what krb5.conf is to name was not looked for".to_owned(),
            hint: "see what is there: systemctl cat loopkdc.socket; systemctl --user cat loopkdc.socket".to_owned(),
        };
        assert_eq!(told, [note]);
    }
}
