//! What is said to all realms.

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
        "/etc/krb5.conf:9: default_realm = ATHENA.MIT.EDU is none of loopkdc's realms: names without @REALM belong to it",
        "write under [libdefaults] of /etc/krb5.conf\n    default_realm = EXAMPLE.COM",
    );
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
        &format!("/etc/krb5.conf:9: {what}"),
        hint,
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
        "/etc/krb5.conf:10: dns_lookup_realm is on: hosts' realms are asked of DNS, which takes seconds where no name server answers",
        "write under [libdefaults] of /etc/krb5.conf\n    dns_lookup_realm = false",
    );
    is_fine(
        &with(&format!("{DEFAULT}\n{CANONICAL}\ndns_lookup_realm = false")),
        CONFIG,
    );
}
