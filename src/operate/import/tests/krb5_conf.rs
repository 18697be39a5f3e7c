//! What MIT krb5 reads.

use std::path::Path;

use super::imported;

const NO_USER: &str = "a proxy's URL has no user name, password or fragment: none would be sent";

/// What is read of the stanza of one realm, the first line of which is line 3.
#[track_caller]
fn inside(lines: &str) -> Vec<String> {
    imported(&format!("[realms]\nEXAMPLE.COM = {{\n{lines}\n}}\n"), &[])
}

#[test]
fn proxies_keep_their_order_and_stand_there_once() {
    assert_eq!(
        imported(
            "[realms]\nB = {\nkdc = https://two/x\nkdc = https://one\nkdc = https://TWO:443/x\nkpasswd_server = https://two/x\nkpasswd_server = https://one/KdcProxy\nkpasswd_server = https://three/y/\n}\n\
             A = {\nkdc = \"https://two/x\" rest\n}\n[libdefaults]\nkdc = https://no\n[appdefaults]\nC = {\nkdc = https://no/x\n}\n[realms]\nB = {\nkdc = https://three/y/\n}\n",
            &[]
        ),
        [
            "B https://two/x https://one/KdcProxy https://three/y/",
            "A https://two/x",
            "line 4: kdc = https://one: https://one/KdcProxy here",
            "line 5: kdc = https://TWO:443/x: https://two/x here",
        ]
    );
}

#[test]
fn a_stanza_is_read_without_the_head_of_its_section() {
    assert_eq!(
        imported(
            "# As a mail quotes it.\n  A.B = {\n  kdc = https://p\n  kdc = dc1\n  }\nkdc = kkdcp://q/x\n",
            &[]
        ),
        [
            "A.B https://p/KdcProxy",
            "line 3: kdc = https://p: https://p/KdcProxy here",
            "line 4: kdc = dc1: no KDC proxy; KDCs themselves belong to direct and kdcs",
            "line 6: kdc = kkdcp://q/x: no realm stands with it, and no --realm says one",
        ]
    );
    // What is none of it is no krb5.conf with mistakes.
    assert_eq!(
        imported("A mail.\nkdc: https://kdc.example.com/\n", &[]),
        [""; 0]
    );
}

#[test]
fn a_server_that_is_no_proxy_is_told_beside_those_that_are() {
    let none = "no KDC proxy; KDCs themselves belong to direct and kdcs";
    assert_eq!(
        inside(
            "kdc = https://p/k\nkdc = tcp/dc1\nkdc = /run/kdc.sock\nkdc = https://user@q/k\nkdc = https://q/k#x\nkdc = http://q/k\n\
             primary_kdc = dc1\nmaster_kdc = http://q/k\nkpasswd_server = dc1:464\n\
             admin_server = dc1\ndefault_domain = example.com"
        ),
        [
            "EXAMPLE.COM https://p/k".to_owned(),
            format!("line 4: kdc = tcp/dc1: {none}"),
            format!("line 5: kdc = /run/kdc.sock: {none}"),
            "line 6: kdc = https://****@q/k: a proxy's URL has no user name, password or fragment: none would be sent".to_owned(),
            "line 7: kdc = https://q/k#x: a proxy's URL has no user name, password or fragment: none would be sent".to_owned(),
            format!("line 8: kdc = http://q/k: {none}"),
            format!("line 9: primary_kdc = dc1: {none}"),
            format!("line 10: master_kdc = http://q/k: {none}"),
            format!("line 11: kpasswd_server = dc1:464: {none}"),
        ]
    );
}

#[test]
fn what_only_some_proxies_serve_is_kept() {
    for (lines, read) in [
        // As people write it so that libkrb5 asks nobody else: there is nothing to be kept.
        (
            "kdc = https://p/k\nprimary_kdc = https://p/k\nmaster_kdc = https://p/k\nkpasswd_server = https://p/k",
            "https://p/k",
        ),
        (
            "kpasswd_server = https://p/k\nmaster_kdc = https://p/k\nkdc = https://q/k\nkdc = https://p/k",
            "https://q/k https://p/k* kpasswd https://p/k*",
        ),
        (
            "kdc = https://q/k\nprimary_kdc = https://p/k\nmaster_kdc = https://p/k",
            "https://q/k https://p/k*",
        ),
        (
            "kdc = https://q/k\nkdc = https://p/k\nkpasswd_server = https://r/k",
            "https://q/k https://p/k kpasswd https://r/k",
        ),
        ("primary_kdc = https://p/k", "https://p/k*"),
    ] {
        assert_eq!(inside(lines), [format!("EXAMPLE.COM {read}")], "{lines}");
    }
    assert_eq!(
        inside("kdc = dc1\nprimary_kdc = https://p\nkpasswd_server = https://q"),
        [
            "EXAMPLE.COM https://p/KdcProxy* kpasswd https://q/KdcProxy",
            "line 3: kdc = dc1: no KDC proxy; KDCs themselves belong to direct and kdcs",
            "line 4: primary_kdc = https://p: https://p/KdcProxy here",
            "line 5: kpasswd_server = https://q: https://q/KdcProxy here",
        ]
    );
}

#[test]
fn a_realm_without_a_proxy_is_told_in_one_line() {
    assert_eq!(
        inside("kdc = dc1\nkdc = dc2\nkpasswd_server = https://p/k"),
        ["line 3: realm EXAMPLE.COM names no KDC proxy, and is left out"]
    );
    assert_eq!(inside("default_domain = example.com"), [""; 0]);
    assert_eq!(
        imported("[realms]\nA\u{202e} = {\nkdc = https://p/k\n}\n", &[]),
        ["line 3: realm A\u{fffd}: the realm holds a character that cannot be shown"]
    );
}

#[test]
fn letter_case_makes_no_difference() {
    assert_eq!(
        imported(
            "[realms]\nA.B = {\nkdc = https://p/k\n}\na.b = {\nkdc = https://r/k\n}\n",
            &[]
        ),
        ["A.B https://p/k https://r/k"]
    );
}

#[test]
fn included_realms_count_and_so_do_their_mistakes() {
    let included = "[realms]\nA = {\nkdc = https://p/k\nkdc = dc1\nwords\n}\n";
    assert_eq!(
        imported("includedir /d\n", &[("/d/x", included)]),
        [
            "A https://p/k",
            "/d/x, line 4: kdc = dc1: no KDC proxy; KDCs themselves belong to direct and kdcs",
            "/d/x, line 5: has no =",
        ]
    );
}

#[test]
fn anchors_that_are_no_file_of_certificates_are_told() {
    let one = "set ca-file to one file that holds all these certificates";
    assert_eq!(
        inside(
            "kdc = https://p/k\nhttp_anchors = DIR:/ca\nhttp_anchors = ENV:CA\nhttp_anchors = FILE:/no/ca.pem\nhttp_anchors = FILE:/other.pem"
        ),
        [
            "EXAMPLE.COM https://p/k".to_owned(),
            format!("line 4: http_anchors = DIR:/ca: {one}"),
            format!("line 5: http_anchors = ENV:CA: {one}"),
            "line 6: ca-file /no/ca.pem does not exist".to_owned(),
            format!("line 7: http_anchors = FILE:/other.pem: {one}"),
        ]
    );
}

#[test]
fn certificates_are_in_regular_files_of_a_sane_size() {
    let long = tempfile::NamedTempFile::new().unwrap();
    long.as_file().set_len((1 << 20) + 1).unwrap();
    for (path, why) in [
        (Path::new("/dev/null"), "it is no regular file"),
        (long.path(), "file too large"),
    ] {
        let path = path.display();
        assert_eq!(
            inside(&format!("kdc = https://p/k\nhttp_anchors = FILE:{path}")),
            [
                "EXAMPLE.COM https://p/k".to_owned(),
                format!("line 4: ca-file {path} can't be read: {why}"),
            ]
        );
    }
}

#[test]
fn apples_scheme_is_that_of_https() {
    assert_eq!(
        inside("kdc = kkdcp://p/k\nkpasswd_server = kkdcp://p/k\nkdc = kkdcp://q"),
        [
            "EXAMPLE.COM https://p/k https://q/KdcProxy kpasswd https://p/k",
            "line 3: kdc = kkdcp://p/k: https://p/k here",
            "line 4: kpasswd_server = kkdcp://p/k: https://p/k here",
            "line 5: kdc = kkdcp://q: https://q/KdcProxy here",
        ]
    );
}

#[test]
fn a_proxy_that_cannot_be_taken_is_told_though_its_realm_is_left_out() {
    let left_out = "names no KDC proxy, and is left out";
    assert_eq!(
        inside("kdc = https://u@p/k\nkdc = dc1"),
        [
            format!("line 3: kdc = https://*@p/k: {NO_USER}"),
            format!("line 3: realm EXAMPLE.COM {left_out}"),
        ]
    );
    assert_eq!(
        imported("a.b <https $Fqdn />\n", &[]),
        [
            "line 1: $Fqdn: not in the form host:port:path".to_owned(),
            format!("line 1: realm A.B {left_out}"),
        ]
    );
}
