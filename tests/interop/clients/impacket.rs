//! impacket, a library for Windows' protocols with programs of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::office::{HOST, Office, REALM};
use crate::recorded::isolated;
use crate::servers::domain::{self, Domain};
use crate::support::client::{Client, Outcome};
use crate::support::netns;
use crate::support::realm::{More, PASSWORD};
use crate::support::unpacked::file;
use crate::table::{About, Software, comes_through};

const WRONG: &str = "battery staple";
const NEW: &str = "Newer.Horse.2";
const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// Runs one of its programs, which write tickets where they stand.
fn impacket(client: &Client, dir: &Path, program: &str, args: &[&str]) -> Outcome {
    let mut command = Command::new("env");
    command
        .arg("--chdir")
        .arg(dir)
        .arg(file("venv", "bin/python3"))
        .arg(file("venv", &format!("bin/{program}.py")))
        .args(args);
    client.finish(command, &[])
}

fn software() -> Software {
    let version = |line: &'static str| line.strip_prefix("impacket==");
    let version = REQUIREMENTS.lines().find_map(version).unwrap();
    Software::other("impacket", version)
}

#[test]
fn password_change() {
    isolated(|| {
        let domain = Domain::start();
        let dir = tempfile::tempdir().unwrap();
        let client = &domain.site.client;
        let kdc = ["-dc-ip", "127.0.0.1"];
        let change = |old: &str, new: &str| {
            let target = format!("{}/user:{old}@127.0.0.1", domain::REALM);
            let args = ["-protocol", "kpasswd", "-newpass", new];
            let args = [&args[..], &kdc, &[&target]].concat();
            impacket(client, dir.path(), "changepasswd", &args)
        };
        change(WRONG, NEW).says("KDC_ERR_PREAUTH_FAILED");
        change(domain::PASSWORD, NEW).says("Password was changed successfully");
        let line = format!("kinit user@{}", domain::REALM);
        client.run(&line, &[NEW]).succeeds();
        let what = "impacket: a password change by kpasswd (`changepasswd.py`)";
        comes_through(About::Clients, what, &[software(), domain::software()]);
    });
}

/// Runs `getTGT`, and `getST` with a ticket of `kinit`, through the tunnel and then directly: both end in these words, and a
/// version that does better is to be a row of the table.
fn no_tickets(client: &Client, realm: &str, password: &str, directly: &str, says: [&str; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let user = format!("{realm}/user");
    let kinit = format!("kinit user@{realm}");
    client.run(&kinit, &[password]).succeeds();
    for kdc in ["127.0.0.1", directly] {
        let tgt = |password: &str| {
            let identity = format!("{user}:{password}");
            impacket(client, dir.path(), "getTGT", &["-dc-ip", kdc, &identity])
        };
        tgt(WRONG).says("KDC_ERR_PREAUTH_FAILED");
        tgt(password).says(says[0]);
        let service = format!("host/pc1.{}", realm.to_lowercase());
        let known = ["-dc-ip", kdc, "-k", "-no-pass", "-spn", &service, &user];
        impacket(client, dir.path(), "getST", &known).says(says[1]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "saved");
    }
}

/// Its own faults, which packaging/doc/interop.md tells: there are no tickets without the tunnel either. What an MIT KDC encrypts for the client
/// says that it belongs to a TGS-REP, as it may (RFC 4120 5.4.2): impacket takes what belongs to an AS-REP alone. And its TGS-REQ
/// has no checksum of the body, without which a KDC refuses it (RFC 4120 3.3.2 and 3.3.3).
#[test]
fn no_tickets_from_an_mit_kdc_without_the_tunnel_either() {
    netns::isolated(|| {
        let office = Office::furnished(More::default());
        let directly = format!("127.0.0.{HOST}");
        let says = ["not in asn1Spec: <EncASRepPart", "KRB_AP_ERR_INAPP_CKSUM"];
        no_tickets(&office.client, REALM, PASSWORD, &directly, says);
    });
}

/// Samba leaves out the starttime of a ticket, which is optional (RFC 4120 5.4.2) and which impacket writes down.
#[test]
fn no_tickets_from_a_domain_of_samba_without_the_tunnel_either() {
    netns::isolated(|| {
        let domain = Domain::start();
        let directly = domain::ADDRESS.to_string();
        let says = [
            "Attempted \"__str__\" operation on ASN.1 schema object",
            "KRB_AP_ERR_INAPP_CKSUM",
        ];
        let client = &domain.site.client;
        no_tickets(client, domain::REALM, domain::PASSWORD, &directly, says);
    });
}
