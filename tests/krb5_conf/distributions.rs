//! krb5.conf as distributions and companies leave it: kinit asks the tunnel first, the doctor has nothing to say, and all of it
//! goes away again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::etc::{all, configure, furnish, krb5_conf, program, run};
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::nameserver::NameServer;
use crate::support::netns::isolated;
use crate::support::realm::PASSWORD;
use crate::tickets::realm;

const DROP_IN: &str = "/etc/krb5.conf.d/00-loopkdc.conf";
/// A proxy that nobody is to ask any more.
const PROXY: &str = "https://localhost:9/KdcProxy";
const ONLY: &str = "have all such lines made comments: loopkdc krb5-conf --install --only\n";

/// As Fedora installs it, shortened.
const FEDORAS: &str = "\
# To opt out of the system crypto-policies configuration of krb5, remove the
# symlink at /etc/krb5.conf.d/crypto-policies which will not be recreated.
includedir /etc/krb5.conf.d/

[logging]
    default = FILE:/var/log/krb5libs.log

[libdefaults]
    dns_lookup_realm = false
    rdns = false
    spake_preauth_groups = edwards25519
    dns_canonicalize_hostname = fallback
    qualify_shortname = \"\"
#    default_realm = EXAMPLE.COM

[realms]
# EXAMPLE.COM = {
#     kdc = kerberos.example.com
# }

[domain_realm]
# .example.com = EXAMPLE.COM
";

/// As Ubuntu's installer writes it, shortened.
const UBUNTUS: &str = "\
[libdefaults]
\tdefault_realm = EXAMPLE.COM

# The following krb5.conf variables are only for MIT Kerberos.
\tkdc_timesync = 1
\tforwardable = true

[realms]
\tATHENA.MIT.EDU = {
\t\tkdc = kerberos.mit.edu
\t\tadmin_server = kerberos.mit.edu
\t}

[domain_realm]
\t.mit.edu = ATHENA.MIT.EDU
";

/// As fedora-packager's and a company's packages write it, for libkrb5's own client of KDC proxies.
fn native(realm: &str) -> String {
    format!(
        "[realms]\n {realm} = {{\n  kdc = {PROXY}\n  kpasswd_server = {PROXY}\n }}\n[domain_realm]\n .{0} = {realm}\n",
        realm.to_lowercase()
    )
}

/// A machine with a tunnel that works, a user, and the files that `make` puts there.
fn machine(make: impl FnOnce(), body: impl FnOnce(&Client, &Loopkdc)) {
    let dir = tempfile::tempdir().unwrap();
    furnish(dir.path(), None);
    make();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "tmpfs", "/run"])
        .status();
    assert!(mounted.unwrap().success());
    fs::create_dir("/run/loopkdc").unwrap();
    let _names = NameServer::start();
    let (_realm, _proxy, text) = realm(dir.path());
    configure(&text);
    let runtime = [("RUNTIME_DIRECTORY", "/run/loopkdc")];
    let loopkdc = Loopkdc::with_environment(dir.path(), &text, &runtime);
    let before = all();
    body(&Client::by_etc(dir.path()), &loopkdc);
    krb5_conf(&["--remove"]).well();
    assert_eq!(all(), before);
}

/// libkrb5 asks the tunnel before all others, and is answered.
#[track_caller]
fn kinit_asks_the_tunnel_first(client: &Client) {
    let trace = client
        .run("kinit user@EXAMPLE.COM", &[PASSWORD])
        .succeeds()
        .trace;
    let first = trace.lines().find(|line| line.contains(" request to "));
    let first = first.unwrap_or_default();
    assert!(
        first.ends_with(": Sending initial UDP request to dgram 127.0.0.1:88"),
        "{trace}"
    );
    assert!(!trace.contains("localhost"), "{trace}");
}

#[track_caller]
fn the_doctor_has_nothing_to_say(loopkdc: &Loopkdc) {
    let mut doctor = program();
    doctor.args(["doctor", "--config"]).arg(loopkdc.config());
    let ended = run(&mut doctor);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for word in ["warn ", "FAULT"] {
        assert!(!ended.stdout.contains(word), "{}", ended.stdout);
    }
}

/// What the last command warned of, and the hint that it gave.
#[track_caller]
fn warns_of_a_proxy(words: &[&str], at: &str) {
    let ended = krb5_conf(words);
    let told =
        format!("loopkdc: warning: {at}: kdc = {PROXY} of EXAMPLE.COM stands beside loopkdc: ");
    assert_eq!(ended.code, Some(0));
    assert!(ended.stderr.starts_with(&told), "{ended:?}");
    assert!(ended.stderr.ends_with(ONLY), "{ended:?}");
}

#[test]
fn fedoras_with_drop_ins_that_sort_before_l() {
    isolated(|| {
        let make = || {
            fs::write("/etc/krb5.conf", FEDORAS).unwrap();
            fs::create_dir("/etc/krb5.conf.d").unwrap();
            for (name, realm) in [
                ("example_com", "EXAMPLE.COM"),
                ("fedoraproject_org", "FEDORAPROJECT.ORG"),
            ] {
                fs::write(format!("/etc/krb5.conf.d/{name}"), native(realm)).unwrap();
            }
            fs::write(
                "/etc/policy",
                "[libdefaults]\npermitted_enctypes = aes256-cts-hmac-sha1-96\n",
            )
            .unwrap();
            symlink("/etc/policy", "/etc/krb5.conf.d/crypto-policies").unwrap();
        };
        machine(make, |client, loopkdc| {
            warns_of_a_proxy(&["--install"], "/etc/krb5.conf.d/example_com:3");
            assert!(Path::new(DROP_IN).exists());
            assert_eq!(fs::read_to_string("/etc/krb5.conf").unwrap(), FEDORAS);
            kinit_asks_the_tunnel_first(client);
            krb5_conf(&["--install", "--only"]).well();
            kinit_asks_the_tunnel_first(client);
            the_doctor_has_nothing_to_say(loopkdc);
            // Other realms' proxies are theirs.
            let other = fs::read_to_string("/etc/krb5.conf.d/fedoraproject_org");
            assert_eq!(other.unwrap(), native("FEDORAPROJECT.ORG"));
        });
    });
}

#[test]
fn a_krb5_conf_that_names_the_proxy_itself() {
    isolated(|| {
        let text = format!(
            "[libdefaults]\n default_realm = EXAMPLE.COM\n{}",
            native("EXAMPLE.COM")
        );
        machine(
            || fs::write("/etc/krb5.conf", &text).unwrap(),
            |client, loopkdc| {
                krb5_conf(&["--install"]);
                let installed = fs::read_to_string("/etc/krb5.conf").unwrap();
                let line = installed
                    .lines()
                    .position(|line| line.contains(PROXY))
                    .unwrap()
                    + 1;
                warns_of_a_proxy(&["--install"], &format!("/etc/krb5.conf:{line}"));
                kinit_asks_the_tunnel_first(client);
                krb5_conf(&["--install", "--only"]).well();
                kinit_asks_the_tunnel_first(client);
                the_doctor_has_nothing_to_say(loopkdc);
            },
        );
    });
}

#[test]
fn ubuntus_without_includes() {
    isolated(|| {
        machine(
            || fs::write("/etc/krb5.conf", UBUNTUS).unwrap(),
            |client, loopkdc| {
                let said = krb5_conf(&["--install"]).well();
                let next = "\nto see whether it works: loopkdc doctor\nto undo it: loopkdc krb5-conf --remove\n";
                assert!(said.ends_with(next), "{said}");
                assert!(!Path::new("/etc/krb5.conf.d").exists());
                kinit_asks_the_tunnel_first(client);
                the_doctor_has_nothing_to_say(loopkdc);
            },
        );
    });
}

/// From a machine without one.
#[test]
fn no_krb5_conf() {
    isolated(|| {
        machine(
            || (),
            |client, loopkdc| {
                krb5_conf(&["--install"]).well();
                kinit_asks_the_tunnel_first(client);
                the_doctor_has_nothing_to_say(loopkdc);
                let files: BTreeMap<_, _> = all();
                assert_eq!(
                    files.into_keys().collect::<Vec<_>>(),
                    [Path::new("/etc/krb5.conf")]
                );
            },
        );
    });
}
