//! Authentication indicators (RFC 8129): a ticket tells services how its owner logged in, and a KDC asks for it on their behalf.

use std::path::{Path, PathBuf};

use crate::exchanges::otp::{CODE, Tokens};
use crate::exchanges::pkinit::Certificates;
use crate::exchanges::{change, gss, python_gssapi};
use crate::office::Office;
use crate::recorded::isolated;
use crate::support::realm::{More, PASSWORD, SERVICE};
use crate::table::{About, Software, comes_through};

const USER: &str = "user@EXAMPLE.COM";
/// One that takes everybody.
const OPEN: &str = "host/b.example.com@EXAMPLE.COM";

/// Lets [`SERVICE`] be for those who bear this indicator; the keys of both.
fn guard(office: &Office, indicator: &str) -> PathBuf {
    let line = format!("set_string {SERVICE} require_auth {indicator}\n");
    change(office, &line);
    office.keytab(&[SERVICE, OPEN])
}

/// What a service learns of whoever is logged in.
fn learned(office: &Office, keytab: &Path, service: &str) -> String {
    let met = gss(office, &[service, keytab.to_str().unwrap()]);
    met.succeeds().text
}

fn is_refused(office: &Office, keytab: &Path, user: &str) {
    let kvno = office.client.run(&format!("kvno {SERVICE}"), &[]);
    kvno.fails_with("KDC policy rejects request");
    let expected = format!("initiator: {user}\n");
    assert_eq!(learned(office, keytab, OPEN), expected);
}

fn is_granted(office: &Office, keytab: &Path, user: &str, indicator: &str) {
    let kvno = office.client.run(&format!("kvno {SERVICE}"), &[]);
    kvno.succeeds();
    let expected = format!("initiator: {user}\nindicator: {indicator}\n");
    for service in [SERVICE, OPEN] {
        assert_eq!(learned(office, keytab, service), expected);
    }
}

fn shown(how: &str) {
    let what = format!("{how}: its indicator is asked for by the KDC and read by the service");
    let with = [Software::mit(), python_gssapi()];
    comes_through(About::Indicators, &what, &with);
}

#[test]
fn pkinit() {
    isolated(|| {
        let certificates = Certificates::issue();
        let office = Office::furnished(More {
            stanza: &(certificates.stanza() + " pkinit_indicator = card\n"),
            ..More::default()
        });
        let keytab = guard(&office, "card");
        let kinit = |options: &str, typed| {
            let line = format!("kinit {options} user@EXAMPLE.COM");
            office.client.run(&line, typed).succeeds()
        };
        kinit("", &[PASSWORD]);
        is_refused(&office, &keytab, USER);
        kinit(&certificates.identity(), &[]);
        is_granted(&office, &keytab, USER, "card");
        shown("PKINIT");
    });
}

#[test]
fn spake() {
    isolated(|| {
        let mut office = Office::furnished(More {
            stanza: " spake_preauth_indicator = spake\n",
            ..More::default()
        });
        let keytab = guard(&office, "spake");
        let kinit = |office: &Office| {
            let kinit = office.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
            kinit.succeeds();
        };
        kinit(&office);
        is_granted(&office, &keytab, USER, "spake");
        // A group that this KDC doesn't have: the client goes back to the encrypted timestamp.
        let other = "[libdefaults]\n spake_preauth_groups = P-256\n";
        office.client.also(other);
        kinit(&office);
        is_refused(&office, &keytab, USER);
        shown("SPAKE");
    });
}

#[test]
fn otp() {
    isolated(|| {
        let tokens = Tokens::hand_out(0);
        let office = tokens.office("code");
        let keytab = guard(&office, "code");
        let kinit = office.client.run("kinit strict@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds();
        is_refused(&office, &keytab, "strict@EXAMPLE.COM");
        tokens.kinit(&office, CODE).succeeds();
        is_granted(&office, &keytab, USER, "code");
        shown("OTP");
    });
}
