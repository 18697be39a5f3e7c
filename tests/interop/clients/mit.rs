//! MIT's other programs: `ksu`, and `kdestroy` of all that a user has.

use std::fs;
use std::process::Command;

use super::machine;
use crate::office::{Office, REALM};
use crate::recorded::isolated;
use crate::support::client::Outcome;
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::table::{About, Software, comes_through};

/// As the user, on the host whose key is in the keytab.
const AS_USER: [&str; 9] = [
    "unshare",
    "--uts",
    "sh",
    "-c",
    "hostname a.example.com && exec \"$@\"",
    "sh",
    "setpriv",
    "--reuid=user",
    "--clear-groups",
];

fn as_user(office: &Office, line: &[&str], typed: &[&str]) -> Outcome {
    let mut command = Command::new(AS_USER[0]);
    command
        .args(&AS_USER[1..])
        .arg("--regid=user")
        .args(line)
        .env("KRB5_CONFIG", "/etc/krb5.conf")
        .env("KRB5CCNAME", "FILE:/home/user/ccache");
    office.client.finish(command, typed)
}

/// Another user by one's own ticket, or by one's Kerberos password.
#[test]
fn ksu() {
    isolated(|| {
        let mut office = Office::furnished(More::default());
        let keytab = office.keytab(&[SERVICE]);
        office.client.also(&format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_canonicalize_hostname = false\n \
             default_keytab_name = FILE:{}\n",
            keytab.display()
        ));
        machine::furnish(office.dir(), &office.client);
        fs::write("/home/root/.k5login", "user@EXAMPLE.COM\n").unwrap();
        let become_root = [
            "ksu",
            "root",
            "-n",
            "user@EXAMPLE.COM",
            "-a",
            "-c",
            "id -un",
        ];
        let ksu = |typed: &[&str]| as_user(&office, &become_root, typed);
        ksu(&["battery staple"]).fails_with("Authentication failed");
        ksu(&[PASSWORD]).succeeds().says("root\n");
        as_user(&office, &["kinit", "user@EXAMPLE.COM"], &[PASSWORD]).succeeds();
        ksu(&[])
            .succeeds()
            .says("Authenticated user@EXAMPLE.COM")
            .says("root\n");
        // Each time it has had a ticket for this host, to see that the KDC is the true one.
        office.proxy.process.wait_for_count("kind=TGS-REQ", 2);
        let what = "MIT: `ksu`, by a ticket and by a password";
        comes_through(About::Clients, what, &[Software::mit()]);
    });
}

#[test]
fn kdestroy_of_all() {
    isolated(|| {
        let office = Office::furnished(More::default());
        let caches = office.dir().join("caches");
        fs::create_dir(&caches).unwrap();
        let caches = format!("DIR:{}", caches.display());
        let run = |program: &str, args: &[&str], typed: &[&str]| {
            let mut command = Command::new(program);
            command.args(args).env("KRB5CCNAME", &caches);
            office.client.finish(command, typed)
        };
        for user in ["user@EXAMPLE.COM", "strict@EXAMPLE.COM"] {
            run("kinit", &[user], &[PASSWORD]).succeeds();
            run("klist", &["-l"], &[]).says(user);
        }
        run("kdestroy", &["-A"], &[]).succeeds();
        assert!(!run("klist", &["-l"], &[]).text.contains("EXAMPLE.COM"));
        let what = "MIT: `kdestroy -A` of the tickets of two users";
        comes_through(About::Clients, what, &[Software::mit()]);
    });
}
