//! Files that something is mounted on, as the runtimes of containers do: nothing can take their place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::etc::{DEBIANS, all, krb5_conf, on_debian};
use crate::support::netns::bind_over;

const FILE: &str = "/etc/krb5.conf";
const DROP_IN: &str = "/etc/krb5.conf.d/00-loopkdc.conf";

/// Mounts a file that says the same there.
fn mount_on(path: &str, dir: &Path) {
    let own = dir.join("mounted");
    fs::copy(path, &own).unwrap();
    bind_over(&own, Path::new(path));
}

fn unmount(path: &str) {
    let done = Command::new("umount").arg(path).status();
    assert!(done.unwrap().success());
}

/// Fails the test unless it is told of this file, which is as it was, to the inode.
#[track_caller]
fn fails(words: &[&str], name: &str, hints: &[&str]) {
    let file = || {
        let inode = fs::metadata(name).unwrap().ino();
        (fs::read(name).unwrap(), inode)
    };
    let before = file();
    let ended = krb5_conf(words);
    let mut told = format!(
        "loopkdc: error: {name} can't be replaced: it is mounted there by itself, as in containers\n\
         loopkdc: hint: see which file it is, and edit that: \"loopkdc krb5-conf --inline\" prints what to write into it, or to take out: findmnt {name}\n\
         loopkdc: hint: for one user: loopkdc krb5-conf >~/.loopkdc.conf, and export KRB5_CONFIG=~/.loopkdc.conf:/etc/krb5.conf\n"
    );
    for hint in hints {
        told += &format!("loopkdc: hint: {hint}\n");
    }
    assert_eq!((ended.code, ended.stderr), (Some(78), told), "{words:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(file(), before, "{words:?}");
}

#[test]
fn krb5_conf_in_a_container() {
    on_debian(|dir| {
        mount_on(FILE, dir);
        let done = [
            "done before that: made /etc/krb5.conf.d; wrote /etc/krb5.conf.d/00-loopkdc.conf; wrote /etc/krb5.conf.before-loopkdc",
            "not done: /etc/krb5.conf",
            "when that is mended, do the rest: loopkdc krb5-conf --install --drop-in",
            "or take back what was done: loopkdc krb5-conf --remove",
        ];
        fails(&["--install", "--drop-in"], FILE, &done);
        // What is advised.
        krb5_conf(&["--remove"]).well();
        let left: Vec<_> = all().into_keys().collect();
        assert_eq!(left, [Path::new(FILE), Path::new("/etc/krb5.conf.d")]);
        let before = all();
        krb5_conf(&["--install", "--inline"]);
        krb5_conf(&["--remove"]).well();
        assert_eq!(all(), before);
        let findmnt = Command::new("findmnt").arg(FILE).output().unwrap();
        assert!(String::from_utf8_lossy(&findmnt.stdout).contains("mounted"));
        // So is this.
        let text = krb5_conf(&["--inline"]).well();
        // What is printed says nothing of all realms.
        let rest = DEBIANS.replace("\n\n", "\n\tdns_canonicalize_hostname = false\n\n");
        fs::write(FILE, format!("{text}{rest}")).unwrap();
        let by_hand = krb5_conf(&["--install", "--inline"]).well();
        assert!(
            by_hand.starts_with("nothing is to be changed in krb5.conf\n"),
            "{by_hand}"
        );
    });
}

#[test]
fn krb5_conf_when_it_is_to_be_as_it_was() {
    on_debian(|dir| {
        for words in [["--install", "--drop-in"], ["--install", "--inline"]] {
            krb5_conf(&words).well();
            mount_on(FILE, dir);
            fails(&["--remove"], FILE, &[]);
            unmount(FILE);
            krb5_conf(&["--remove"]).well();
            assert_eq!(fs::read_to_string(FILE).unwrap(), DEBIANS);
        }
    });
}

/// Of two files, the first can be changed.
#[test]
fn the_drop_in() {
    on_debian(|dir| {
        krb5_conf(&["--install", "--drop-in"]).well();
        mount_on(DROP_IN, dir);
        let done = [
            "done before that: wrote /etc/krb5.conf",
            "not done: /etc/krb5.conf.d/00-loopkdc.conf; /etc/krb5.conf.d",
            "when that is mended, do the rest: loopkdc krb5-conf --install --inline",
            "or take back what was done: loopkdc krb5-conf --remove",
        ];
        let inline = ["--install", "--inline"];
        fails(&inline, DROP_IN, &done);
        // What need not change may be anything.
        krb5_conf(&["--install", "--drop-in"]).well();
        unmount(DROP_IN);
        krb5_conf(&inline).well();
        assert!(!Path::new(DROP_IN).exists());
    });
}
