//! impacket, a library for Windows' protocols with programs of its own.

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
fn first_ticket_and_password_change() {
    isolated(|| {
        let domain = Domain::start();
        let dir = tempfile::tempdir().unwrap();
        let client = &domain.site.client;
        let kdc = ["-dc-ip", "127.0.0.1"];
        let user = |password: &str| format!("{}/user:{password}", domain::REALM);
        let tgt = |password: &str| {
            let args = [kdc[0], kdc[1], &user(password)];
            impacket(client, dir.path(), "getTGT", &args)
        };
        tgt("battery staple").says("KDC_ERR_PREAUTH_FAILED");
        tgt(domain::PASSWORD).says("Saving ticket in user.ccache");
        let target = format!("{}@127.0.0.1", user(domain::PASSWORD));
        let change = ["-protocol", "kpasswd", "-newpass", NEW];
        let change = [&change[..], &kdc, &[&target]].concat();
        let change = impacket(client, dir.path(), "changepasswd", &change);
        change.says("Password was changed successfully");
        tgt(NEW).says("Saving ticket in user.ccache");
        let what = "impacket: `getTGT`, and `changepasswd` by kpasswd";
        comes_through(About::Clients, what, &[software(), domain::software()]);
    });
}

/// Its own faults with an MIT KDC, which the README tells. What such a KDC encrypts for the client says that it belongs to a
/// TGS-REP, as it may (RFC 4120 5.4.2): impacket takes what belongs to an AS-REP alone. And in its TGS-REQ the authenticator has no
/// checksum of the body, without which a KDC refuses it (RFC 4120 3.3.2 and 3.3.3). A version that does better is to be a row of the table.
#[test]
fn its_faults_with_an_mit_kdc_are_the_same_without_the_tunnel() {
    netns::isolated(|| {
        let office = Office::furnished(More::default());
        let kinit = office.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds();
        let directly = format!("127.0.0.{HOST}");
        for kdc in ["127.0.0.1", &directly] {
            let tgt = |password: &str| {
                let user = format!("{REALM}/user:{password}");
                impacket(
                    &office.client,
                    office.dir(),
                    "getTGT",
                    &["-dc-ip", kdc, &user],
                )
            };
            tgt("battery staple").says("KDC_ERR_PREAUTH_FAILED");
            tgt(PASSWORD).says("not in asn1Spec: <EncASRepPart");
            let known = ["-k", "-no-pass", "-dc-ip", kdc];
            let args = [
                &known[..],
                &["-spn", "host/a.example.com", "EXAMPLE.COM/user"],
            ]
            .concat();
            impacket(&office.client, office.dir(), "getST", &args).says("KRB_AP_ERR_INAPP_CKSUM");
        }
    });
}
