//! What MIT krb5 reads.

use super::{Disk, realms};
use crate::operate::import::scan::scan;

/// The realms, and then the notes.
#[track_caller]
fn found(text: &str, disk: &[(&str, &str)]) -> Vec<String> {
    let mut found = scan("/etc/krb5.conf", text, &mut Disk::with(disk));
    let realms = realms(&found);
    realms.into_iter().chain(found.notes()).collect()
}

/// As [`found`], of what stands in one realm.
#[track_caller]
fn inside(lines: &str) -> Vec<String> {
    found(&format!("[realms]\nEXAMPLE.COM = {{\n{lines}\n}}\n"), &[])
}

#[test]
fn proxies_keep_their_order_and_stand_there_once() {
    assert_eq!(
        found(
            "[realms]\nB = {\nkdc = https://two/x\nkdc = https://one\nkdc = https://TWO:443/x\nkpasswd_server = https://two/x\n}\n\
             A = {\nkdc = \"https://two/x\" rest\n}\n[libdefaults]\nkdc = https://no\n[appdefaults]\nC = {\nkdc = https://no/x\n}\n[realms]\nB = {\nkdc = https://three/y/\n}\n",
            &[]
        ),
        [
            "B https://two/x https://one/KdcProxy https://three/y/",
            "A https://two/x",
            "line 4: kdc = https://one: has no path: MIT asks for /, and loopkdc for /KdcProxy",
        ]
    );
}

#[test]
fn a_server_that_is_no_proxy_is_told_beside_those_that_are() {
    assert_eq!(
        inside(
            "kdc = https://p/k\nkdc = tcp/dc1\nkdc = dc2.example.com:88\nkdc = [::1]:88\nkdc = /run/kdc.sock\nkdc = HTTPS://q/k\n\
             kdc = https://q/k # first\nkdc = https://user@q/k\nkdc = https://q/k#x\nkdc = http://q/k\nkdc = https:///k\nkdc = https://q\u{fffd}/"
        ),
        [
            "EXAMPLE.COM https://p/k",
            "line 4: kdc = tcp/dc1: is no HTTPS proxy: see direct = and kdcs =",
            "line 5: kdc = dc2.example.com:88: is no HTTPS proxy: see direct = and kdcs =",
            "line 6: kdc = [::1]:88: that is this machine, where loopkdc itself is to answer",
            "line 7: kdc = /run/kdc.sock: a Unix socket is no HTTPS proxy",
            "line 8: kdc = HTTPS://q/k: MIT knows https:// in lower case alone",
            "line 9: kdc = https://q/k # first: a blank is in it: MIT takes all of the value for the URL",
            "line 10: kdc = https://user@q/k: a proxy's URL carries no user name or password: none would be sent",
            "line 11: kdc = https://q/k#x: a proxy's URL has no fragment: it would never be sent",
            "line 12: kdc = http://q/k: is no HTTPS proxy",
            "line 13: kdc = https:///k: MIT reads no host in it",
            "line 14: kdc = https://q\u{fffd}/: is not UTF-8",
        ]
    );
}

#[test]
fn direct_kdcs_are_offered_as_a_comment() {
    let text = "[realms]\nA = {\nkdc = https://p/k\nkdc = tcp/dc1:88\n}\n";
    let written = scan("/etc/krb5.conf", text, &mut Disk::default()).to_string();
    let comment = "\n# A KDC of the file, which direct = and kdcs = can use: \"dc1:88\"\n";
    assert!(written.contains(comment), "{written}");
}

#[test]
fn other_servers_are_told_unless_they_are_the_realms_proxies() {
    assert_eq!(
        inside(
            "kdc = https://p/k\nprimary_kdc = https://p/k\nmaster_kdc = https://q/k\nkpasswd_server = https://q/k\nkpasswd_server = dc1:464\n\
             admin_server = https://p/k\nadmin_server = dc1\nprimary_kdc = dc1\ndefault_domain = example.com"
        ),
        [
            "EXAMPLE.COM https://p/k",
            "line 5: master_kdc = https://q/k: which KDC takes writes is the proxy's knowledge, and this is none of the realm's proxies",
            "line 6: kpasswd_server = https://q/k: password changes go through the realm's proxies, and this is none of them",
            "line 7: kpasswd_server = dc1:464: is no HTTPS proxy: password changes go through the realm's proxies; see kpasswd-servers =",
            "line 9: admin_server = dc1: kadmin is not tunnelled",
            "line 10: primary_kdc = dc1: is no HTTPS proxy: see direct = and kdcs =",
        ]
    );
}

#[test]
fn a_realm_without_a_proxy_is_told_in_one_line() {
    assert_eq!(
        inside("kdc = dc1\nkdc = dc2\nadmin_server = dc1"),
        ["line 3: realm EXAMPLE.COM: has no kdc = https://…, and is left as it is"]
    );
    assert_eq!(
        inside("kdc = dc1\nkpasswd_server = https://p/k"),
        [
            "line 3: realm EXAMPLE.COM: has no kdc = https://…, and is left as it is",
            "line 4: kpasswd_server = https://p/k: here a realm's proxies serve its KDC, too, and no kdc = names one",
        ]
    );
    assert_eq!(inside("default_domain = example.com"), [""; 0]);
    assert_eq!(
        found(
            "[realms]\nA = { kdc = https://p/k }\nÄ = {\nkdc = https://p/k\n}\n",
            &[]
        ),
        [
            "line 2: A = { kdc = https://p/k }: MIT reads no stanza there, as its { and } must end their lines",
            "line 4: realm Ä: the realm holds a character that is not printable ASCII",
        ]
    );
}

#[test]
fn what_is_final_and_what_differs_in_case_is_told() {
    assert_eq!(
        found(
            "[realms]\nA.B = {\nkdc* = https://p/k\nkdc = https://q/k\n}*\na.b = {\nkdc = https://r/k\n}\nA.B = {\nkdc = https://s/k\n}\n",
            &[]
        ),
        [
            "A.B https://p/k https://r/k",
            "line 4: kdc = https://q/k: an earlier one is marked as final by a *, so that MIT ignores this one",
            "line 7: realm a.b: is A.B of line 3 here, as letter case makes no difference: they share their proxies",
            "line 10: kdc = https://s/k: an earlier one is marked as final by a *, so that MIT ignores this one",
        ]
    );
}

#[test]
fn included_realms_count() {
    let disk = [("/d/x", "[realms]\nA = {\nkdc = https://p/k\nkdc = dc1\n}\n")];
    assert_eq!(
        found("includedir /d\n", &disk),
        [
            "A https://p/k",
            "/d/x, line 4: kdc = dc1: is no HTTPS proxy: see direct = and kdcs ="
        ]
    );
}

/// The `ca-file` that these values of `http_anchors` make, and the notes.
#[track_caller]
fn anchored(values: &[&str]) -> (Option<String>, Vec<String>) {
    let disk = [
        ("/ca", "certificate"),
        ("/other", "certificate"),
        ("/empty", ""),
        ("/hollow/.hidden", ""),
        ("/one/ca", "certificate"),
        ("/one/README", "text"),
        ("/two/a", "certificate"),
        ("/two/b", "certificate"),
        ("/two/.c", "certificate"),
        ("$CA", "DIR:/one"),
        ("$ROUND", "ENV:ROUND"),
    ];
    let anchors: String = values
        .iter()
        .map(|value| format!("http_anchors = {value}\n"))
        .collect();
    let text = format!("[realms]\nA = {{\nkdc = https://p/k\n{anchors}}}\n");
    let mut found = scan("/etc/krb5.conf", &text, &mut Disk::with(&disk));
    let notes = found.notes();
    (found.realms.pop().unwrap().ca_file, notes)
}

#[test]
fn anchors_become_a_ca_file_if_they_are_one() {
    for values in [&["FILE:/ca"][..], &["FILE:/ca", "FILE:/ca"]] {
        assert_eq!(anchored(values), (Some("/ca".to_owned()), vec![]));
    }
    for values in [&["DIR:/one"][..], &["DIR:/one/"], &["ENV:CA"]] {
        assert_eq!(anchored(values), (Some("/one/ca".to_owned()), vec![]));
    }
    assert_eq!(anchored(&[]), (None, vec![]));
}

#[test]
fn anchors_that_cannot_be_a_ca_file_are_told() {
    for (values, why) in [
        (
            &["FILE:/ca", "FILE:/other"][..],
            "FILE:/ca: ca-file is one file: cat /ca /other >all.pem, and set ca-file to that",
        ),
        (
            &["DIR:/two"],
            "DIR:/two: ca-file is one file: cat /two/a /two/b >all.pem, and set ca-file to that",
        ),
        (&["DIR:/none"], "DIR:/none: is not there"),
        (
            &["DIR:/hollow"],
            "DIR:/hollow: no file in it holds certificates in PEM",
        ),
        (&["FILE:/empty"], "FILE:/empty: holds no certificate"),
        (&["ENV:NONE"], "ENV:NONE: the variable is not set here"),
        (&["ENV:ROUND"], "ENV:ROUND: ENV: leads to ENV: too often"),
        (&["/ca"], "/ca: begins with none of FILE:, DIR: and ENV:"),
    ] {
        let told = format!("line 4: http_anchors = {why}");
        assert_eq!(anchored(values), (None, vec![told]), "{values:?}");
    }
}

#[test]
fn apples_scheme_is_that_of_https() {
    assert_eq!(
        inside("kdc = kkdcp://p/k\nkpasswd_server = kkdcp://p/k\nkdc = kkdcp://q"),
        [
            "EXAMPLE.COM https://p/k https://q/KdcProxy",
            "line 5: kdc = kkdcp://q: has no path: MIT asks for /, and loopkdc for /KdcProxy",
        ]
    );
}
