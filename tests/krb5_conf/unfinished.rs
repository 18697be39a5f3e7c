//! What stands in the way of the second change, when the first has been made.

use std::fs;
use std::process::Command;

use crate::etc::{DEBIANS, all, is_leftover, krb5_conf, on_debian, run, with_program};

const FILE: &str = "/etc/krb5.conf";

/// `loopkdc krb5-conf` whose renames fail from this one on, counted from 1.
fn failing_at(number: usize, words: &[&str]) -> Command {
    let mut command = Command::new("strace");
    let inject = format!("inject=/^rename(at|at2)?$:error=EIO:when={number}+");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject]);
    command
        .arg(env!("CARGO_BIN_EXE_loopkdc"))
        .arg("krb5-conf")
        .args(words);
    with_program(command)
}

/// The hints of an error.
fn hints(stderr: &str) -> Vec<&str> {
    let lines = stderr.lines();
    lines
        .filter_map(|line| line.strip_prefix("loopkdc: hint: "))
        .collect()
}

#[test]
fn what_was_done_and_what_was_not_is_told_with_what_to_type() {
    on_debian(|_| {
        let drop_in = "made /etc/krb5.conf.d; wrote /etc/krb5.conf.d/00-loopkdc.conf";
        let copy = "wrote /etc/krb5.conf.before-loopkdc";
        for (number, done, left) in [
            (
                1,
                "made /etc/krb5.conf.d".to_owned(),
                "/etc/krb5.conf.d/00-loopkdc.conf; /etc/krb5.conf.before-loopkdc; /etc/krb5.conf",
            ),
            (
                2,
                drop_in.to_owned(),
                "/etc/krb5.conf.before-loopkdc; /etc/krb5.conf",
            ),
            (3, format!("{drop_in}; {copy}"), "/etc/krb5.conf"),
        ] {
            let ended = run(&mut failing_at(number, &["--install", "--drop-in"]));
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(78), ""));
            let told = [
                format!("done before that: {done}"),
                format!("not done: {left}"),
                "when that is mended, do the rest: loopkdc krb5-conf --install --drop-in"
                    .to_owned(),
                "or take back what was done: loopkdc krb5-conf --remove".to_owned(),
            ];
            let hints = hints(&ended.stderr);
            assert!(
                hints.ends_with(&told.each_ref().map(String::as_str)),
                "{hints:?}"
            );
            assert_eq!(fs::read_to_string(FILE).unwrap(), DEBIANS);
            assert!(!all().into_keys().any(|path| is_leftover(&path)));
            // Either command does what is said of it.
            krb5_conf(&["--remove"]);
            assert_eq!(fs::read_to_string(FILE).unwrap(), DEBIANS);
            let _ = fs::remove_dir("/etc/krb5.conf.d");
            assert_eq!(all().len(), 1);
            run(&mut failing_at(number, &["--install", "--drop-in"]));
            krb5_conf(&["--install", "--drop-in"]).well();
            krb5_conf(&["--remove"]).well();
            assert_eq!(fs::read_to_string(FILE).unwrap(), DEBIANS);
            let _ = fs::remove_dir("/etc/krb5.conf.d");
        }
    });
}

#[test]
fn a_removal_goes_on_where_it_ended() {
    on_debian(|_| {
        krb5_conf(&["--install", "--drop-in"]).well();
        let mut command = Command::new("strace");
        let inject = "inject=/^unlink(at)?$:error=EIO:when=2+";
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject]);
        command.args([env!("CARGO_BIN_EXE_loopkdc"), "krb5-conf", "--remove"]);
        let ended = run(&mut with_program(command));
        let told = [
            "done before that: wrote /etc/krb5.conf",
            "not done: /etc/krb5.conf.before-loopkdc; /etc/krb5.conf.d/00-loopkdc.conf; /etc/krb5.conf.d",
            "when that is mended, do the rest: loopkdc krb5-conf --remove",
        ];
        assert_eq!(ended.code, Some(78));
        assert!(hints(&ended.stderr).ends_with(&told), "{ended:?}");
        krb5_conf(&["--remove"]).well();
        let left = all();
        assert_eq!(fs::read_to_string(FILE).unwrap(), DEBIANS);
        assert_eq!(left.len(), 2, "{left:?}");
    });
}
