//! The machine that a test runs on, as its programs see it: its users, its krb5.conf and its PAM services.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::office::{Office, REALM};
use crate::support::client::Client;
use crate::support::netns::bind_over;
use crate::support::realm::More;
use crate::support::unpacked;

/// The user `user` of the machine, who is also a principal of the realm, as is `expired`.
pub(crate) const USER_ID: u32 = 20_000;
const ACCOUNTS: [(&str, u32); 4] = [
    ("root", 0),
    ("user", USER_ID),
    ("expired", 20_001),
    // Whose rights sshd takes before anybody is let in.
    ("sshd", 20_002),
];
/// The group that tests/run unpacks.
const GROUP: &str = "login";

/// An office whose laptop is this machine.
pub(crate) fn office() -> Office {
    let mut office = Office::furnished(More::default());
    office.client.default_realm(REALM);
    furnish(office.dir(), &office.client);
    office
}

/// Gives this mount namespace an /etc in `dir` with the client's krb5.conf and the users' accounts, homes for them, and an empty
/// /run.
pub(crate) fn furnish(dir: &Path, client: &Client) {
    let etc = dir.join("etc");
    let copied = Command::new("cp").arg("-a").arg("/etc").arg(&etc).status();
    assert!(copied.unwrap().success());
    bind_over(&etc, Path::new("/etc"));
    replace("/etc/krb5.conf", &krb5_conf(client));
    let accounts = |line: &dyn Fn(&str, u32) -> String| -> String {
        let lines = ACCOUNTS.iter().map(|(name, id)| line(name, *id));
        lines.collect()
    };
    let passwd = accounts(&|name, id| format!("{name}:x:{id}:{id}::/home/{name}:/bin/sh\n"));
    replace("/etc/passwd", &passwd);
    replace(
        "/etc/group",
        &accounts(&|name, id| format!("{name}:x:{id}:\n")),
    );
    // A password that nobody has: the accounts are not locked, which would keep sshd from letting them in.
    replace(
        "/etc/shadow",
        &accounts(&|name, _| format!("{name}:*:19000::::::\n")),
    );
    for empty in ["/home", "/run"] {
        mount_empty(empty);
    }
    for (name, id) in ACCOUNTS {
        let home = Path::new("/home").join(name);
        fs::create_dir(&home).unwrap();
        chown(&home, Some(id), Some(id)).unwrap();
    }
}

/// Makes `lines` the PAM service `name`, and the only one of this mount namespace.
pub(crate) fn pam_service(name: &str, lines: &str) {
    let dir = "/etc/pam.d";
    fs::remove_dir_all(dir).unwrap();
    fs::create_dir(dir).unwrap();
    fs::write(Path::new(dir).join(name), lines).unwrap();
}

/// libpam-krb5's module.
pub(crate) fn pam_krb5() -> PathBuf {
    let module = "security/pam_krb5.so";
    unpacked::folder_with(&unpacked::root(GROUP).join("lib"), module).join(module)
}

/// OpenSSH's server.
pub(crate) fn sshd() -> PathBuf {
    unpacked::file(GROUP, "usr/sbin/sshd")
}

/// One file that says what the client's files say.
fn krb5_conf(client: &Client) -> String {
    let files = client.files().map(|file| fs::read_to_string(file).unwrap());
    files.collect()
}

/// Puts a file of this text in the place of `target`, in the /etc of [`furnish`].
pub(crate) fn replace(target: &str, text: &str) {
    // Or it would be written where a link leads.
    let _ = fs::remove_file(target);
    fs::write(target, text).unwrap();
}

/// Puts an empty folder in the place of this one, in this mount namespace only.
pub(crate) fn mount_empty(path: &str) {
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", path]);
}

/// Adds to a folder what is in another, in this mount namespace only.
pub(crate) fn mount_over(added: &Path, path: &str) {
    let layers = format!("lowerdir={}:{path}", added.display());
    mount(&["-t", "overlay", "-o", &layers, "overlay", path]);
}

fn mount(args: &[&str]) {
    let status = Command::new("mount").args(args).status();
    assert!(status.unwrap().success(), "mount {args:?}");
}
