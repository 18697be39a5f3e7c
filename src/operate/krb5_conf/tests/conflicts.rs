//! What a krb5.conf says of our realms besides.

use super::{REALM, made_of};
use crate::operate::krb5_conf::disk::Disk;
use crate::operate::krb5_conf::profile::read_all;

const OURS: &str =
    "[realms]\nEXAMPLE.COM = {\nkdc = 127.0.0.1\n}\n[domain_realm]\n.example.com = EXAMPLE.COM\n";

fn noted(text: &str) -> Vec<String> {
    let mut disk = Disk::with(&[("/etc/krb5.conf", text), ("/d/loopkdc.conf", OURS)]);
    let (profile, missing) = read_all(&["/etc/krb5.conf".to_owned()], &mut disk);
    assert!(missing.is_empty());
    made_of(REALM, false).unwrap().conflicts(&profile)
}

#[test]
fn ours_alone_is_nothing_to_tell() {
    assert_eq!(
        noted("includedir /d/\n[realms]\nOTHER = {\nkdc = dc1\n}\n"),
        [""; 0]
    );
}

#[test]
fn servers_behind_ours_are_told() {
    let told = "/etc/krb5.conf, line 4: kdc = dc1 of EXAMPLE.COM is tried too, when loopkdc has no answer: take it out if it can't be reached from where the tunnel is needed";
    let stanza = "[realms]\nEXAMPLE.COM = {\nkdc = dc1\n}\n";
    assert_eq!(noted(&format!("includedir /d/\n{stanza}")), [told]);
    // Before ours is there.
    assert_eq!(noted(&format!("\n{stanza}")), [told]);
}

#[test]
fn servers_before_ours_are_told() {
    assert_eq!(
        noted("[realms]\nEXAMPLE.COM = {\nkdc = dc1\n}\nincludedir /d/\n"),
        [
            "/etc/krb5.conf, line 3: kdc = dc1 of EXAMPLE.COM comes before loopkdc's and is asked first: put the includedir line at the top of the file, or take this one out"
        ]
    );
}

#[test]
fn a_final_part_before_ours_is_told() {
    assert_eq!(
        noted("[realms]*\nincludedir /d/\n"),
        [
            "/d/loopkdc.conf, line 3: kdc = 127.0.0.1 of EXAMPLE.COM is ignored by MIT krb5 1.22 and later, as an earlier part is marked as final by a *"
        ]
    );
}

#[test]
fn another_realm_for_the_same_hosts_is_told() {
    assert_eq!(
        noted("includedir /d/\n[domain_realm]\n.example.com = OTHER\n"),
        [
            "/etc/krb5.conf, line 3: .example.com = OTHER differs from loopkdc's .example.com = EXAMPLE.COM: what comes first counts"
        ]
    );
}
