//! FAST (RFC 6113): what is made of the password travels in the armor of another ticket's key, and so can't be guessed at.

use super::pkinit::{ANONYMOUS, Certificates};
use crate::office::{Office, Way};
use crate::recorded::isolated;
use crate::support::proxy::Maker;
use crate::support::realm::{PASSWORD, Preauth, SERVICE};
use crate::table::{About, Software, comes_through};

/// PA-SPAKE, and what takes the encrypted timestamp's place inside FAST (RFC 6113 5.4.6).
const SPAKE: u8 = 151;
const ENCRYPTED_CHALLENGE: u8 = 138;

/// Logs in by this preauthentication, armored by the ticket that `kinit` gets by these arguments; and with a wrong password,
/// which is said inside the armor.
fn armored(office: &Office, arguments: &str, by: u8) {
    let armor = office.dir().join("armor");
    let armor = armor.display();
    let line = format!("kinit -c {armor} {arguments}");
    office.client.run(&line, &[]).succeeds();
    let kinit = |password| {
        let line = format!("kinit -T {armor} user@EXAMPLE.COM");
        office.client.run(&line, &[password])
    };
    kinit("battery staple").fails_with("Password incorrect");
    let kinit = kinit(PASSWORD).succeeds();
    for done in ["FAST armor key", "Decoding FAST response"] {
        assert!(kinit.trace.contains(done), "{}", kinit.trace);
    }
    let klist = office.client.run("klist -C", &[]);
    klist.says(&format!("pa_type(krbtgt/EXAMPLE.COM@EXAMPLE.COM) = {by}\n"));
}

#[test]
fn by_anonymous_pkinit() {
    isolated(|| {
        let certificates = Certificates::issue();
        let office = certificates.office(ANONYMOUS);
        let kinit = format!("-n {} @EXAMPLE.COM", certificates.anchors());
        armored(&office, &kinit, SPAKE);
        let what = "AS: FAST, armored by anonymous PKINIT";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}

#[test]
fn by_a_hosts_ticket() {
    isolated(|| {
        let office = Office::with(Way::Udp, Maker::Ours, Preauth::Timestamp);
        let keytab = office.keytab(&[SERVICE]);
        let kinit = format!("-k -t {} {SERVICE}", keytab.display());
        armored(&office, &kinit, ENCRYPTED_CHALLENGE);
        let what = "AS: FAST, armored by a host's ticket";
        comes_through(About::Exchanges, what, &[Software::mit()]);
    });
}
