//! Several at once, and others who edit the file.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::etc::{DEBIANS, all, is_leftover, krb5_conf, on_debian, program};

const LOCK: &str = "/etc/.krb5.conf.loopkdc-lock";

#[test]
fn a_second_one_does_nothing_while_the_first_is_at_work() {
    on_debian(|_| {
        let first = File::create(LOCK).unwrap();
        flock(&first, FlockOperation::LockExclusive).unwrap();
        let before = all();
        for words in [
            &["--install"][..],
            &["--install", "--inline"],
            &["--remove"],
        ] {
            let ended = krb5_conf(words);
            let stderr = format!(
                "loopkdc: error: another \"loopkdc krb5-conf\" is at work on /etc/krb5.conf\n\
                 loopkdc: hint: run it again when that has ended: loopkdc krb5-conf {}\n",
                words.join(" ")
            );
            assert_eq!((ended.code, ended.stderr), (Some(78), stderr));
            assert_eq!(all(), before);
        }
        // To print takes none.
        krb5_conf(&[]).well();
        // Who was ended holds it no more.
        drop(first);
        krb5_conf(&["--install"]).well();
        assert!(!fs::exists(LOCK).unwrap());
    });
}

/// Each says that it did all of it, or that another was at work; none spoils what another did.
#[test]
fn many_at_once() {
    on_debian(|_| {
        let ways = [
            &["--install"][..],
            &["--install", "--inline"],
            &["--remove"],
        ];
        let start = |number: usize| -> Child {
            let mut command = program();
            command.arg("krb5-conf").args(ways[number % ways.len()]);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        for mut child in (0..60).map(start).collect::<Vec<_>>() {
            let mut said = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut said)
                .unwrap();
            match child.wait().unwrap().code() {
                Some(0) => assert_eq!(said, ""),
                code => assert!(
                    code == Some(78) && said.contains("is at work on /etc/krb5.conf"),
                    "{said}"
                ),
            }
        }
        assert!(!all().into_keys().any(|path| is_leftover(&path)));
        krb5_conf(&["--remove"]).well();
        let left = all();
        assert_eq!(fs::read_to_string("/etc/krb5.conf").unwrap(), DEBIANS);
        assert_eq!(left.len(), 1, "{left:?}");
    });
}
