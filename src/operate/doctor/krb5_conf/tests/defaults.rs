//! What is said to all realms.

use crate::relay::finding::Severity;

use super::{CONFIG, FILE, STANZA, warns, wrong};

/// With these lines of `[libdefaults]` and no others.
fn with(lines: &str) -> String {
    format!("{STANZA}[libdefaults]\n{lines}\n")
}

const CANONICAL: &str = "dns_canonicalize_hostname = false";
const DEFAULT: &str = "default_realm = EXAMPLE.COM";

#[track_caller]
fn is_fine(text: &str, toml: &str) {
    super::is_fine(&[(FILE, text)], toml);
}

#[test]
fn no_default_realm() {
    warns(
        wrong(&with(CANONICAL)),
        "krb5.conf has no default_realm: names without @REALM belong to none",
        "write under [libdefaults] of /etc/krb5.conf\n    default_realm = EXAMPLE.COM",
    );
}

#[test]
fn another_default_realm() {
    let text = with(&format!("{CANONICAL}\ndefault_realm = ATHENA.MIT.EDU"));
    warns(
        wrong(&text),
        "/etc/krb5.conf:10: default_realm = ATHENA.MIT.EDU is none of loopkdc's realms: names without @REALM belong to it",
        "in the place of that line, write\n    default_realm = EXAMPLE.COM",
    );
    let second = format!("{CONFIG}[realms.\"ATHENA.MIT.ED\"]\nproxies = [\"https://p\"]\n");
    let (severity, what, hint) = super::wrong_with(&[(FILE, &text)], &second);
    assert_eq!(severity, Severity::Fault);
    assert_eq!(
        what,
        "/etc/krb5.conf:10: default_realm = ATHENA.MIT.EDU is none of the realms in config.toml, which has ATHENA.MIT.ED"
    );
    let one = "if that is meant, write in the place of that line\n    default_realm = ATHENA.MIT.ED; else write into config.toml:\n";
    assert!(hint.starts_with(one), "{hint}");
    for realm in ["*", "*.MIT.EDU"] {
        is_fine(
            &text,
            &format!("{CONFIG}[realms.\"{realm}\"]\nproxies = [\"https://p\"]\n"),
        );
    }
    is_fine(&text, &format!("{CONFIG}aliases = [\"athena.mit.edu\"]\n"));
}

#[test]
fn names_of_hosts_asked_of_dns() {
    let hint = "write under [libdefaults] of /etc/krb5.conf\n    dns_canonicalize_hostname = false";
    let what = "dns_canonicalize_hostname is on: ssh, browsers and kvno -S ask DNS for a host before they ask for its ticket, and wait 10 s where no name server answers";
    warns(wrong(&with(DEFAULT)), what, hint);
    warns(
        wrong(&with(&format!(
            "{DEFAULT}\ndns_canonicalize_hostname = yes"
        ))),
        &format!("/etc/krb5.conf:10: {what}"),
        "in the place of that line, write\n    dns_canonicalize_hostname = false",
    );
    is_fine(
        &with(&format!("{DEFAULT}\ndns_canonicalize_hostname = fallback")),
        CONFIG,
    );
}

#[test]
fn realms_of_hosts_asked_of_dns() {
    warns(
        wrong(&with(&format!(
            "{DEFAULT}\n{CANONICAL}\ndns_lookup_realm = true"
        ))),
        "/etc/krb5.conf:11: dns_lookup_realm is on: hosts' realms are asked of DNS, which takes seconds where no name server answers",
        "in the place of that line, write\n    dns_lookup_realm = false",
    );
    is_fine(
        &with(&format!("{DEFAULT}\n{CANONICAL}\ndns_lookup_realm = false")),
        CONFIG,
    );
}

#[test]
fn tickets_tied_to_addresses() {
    warns(
        wrong(&with(&format!(
            "{DEFAULT}\n{CANONICAL}\nnoaddresses = false"
        ))),
        "/etc/krb5.conf:11: noaddresses = false ties tickets to the addresses of this machine, and KDCs see the gateway's",
        "take that line out, then: kdestroy",
    );
    is_fine(
        &with(&format!("{DEFAULT}\n{CANONICAL}\nnoaddresses = true")),
        CONFIG,
    );
}

#[test]
fn a_timeout_shorter_than_the_deadline() {
    let text = |timeout: &str| {
        with(&format!(
            "{DEFAULT}\n{CANONICAL}\nrequest_timeout = {timeout}"
        ))
    };
    warns(
        wrong(&text("5s")),
        "/etc/krb5.conf:11: request_timeout = 5s has libkrb5 give up while loopkdc, with 9 s, still waits for EXAMPLE.COM",
        "in the place of that line, write\n    request_timeout = 11s",
    );
    for timeout in ["0", "10", "1m", "11s", "soon"] {
        is_fine(&text(timeout), CONFIG);
    }
}

#[test]
fn a_realm_on_the_way_without_a_stanza() {
    let capaths = "[capaths]\nEXAMPLE.COM = {\nFAR.TEST = MID.TEST\nNEAR.TEST = .\n}\nOTHER.TEST = {\nFURTHER.TEST = ON.TEST\n}\n";
    let text = format!("{}{capaths}", with(&format!("{DEFAULT}\n{CANONICAL}")));
    warns(
        wrong(&text),
        "/etc/krb5.conf:13: MID.TEST is on the way from EXAMPLE.COM to FAR.TEST, and krb5.conf names no kdc of it",
        "add [realms.\"MID.TEST\"] to the configuration, then: loopkdc krb5-conf --install",
    );
    is_fine(
        &format!("{text}[realms]\nMID.TEST = {{\nkdc = 127.0.0.1\n}}\n"),
        CONFIG,
    );
}
