//! What is said of logins by SSSD.

use super::{DEFAULTS, FILE, STANZA, said_of, warns, wrong_with};
use crate::relay::finding::Severity;

const SSSD: (&str, &str) = (
    "/etc/sssd/sssd.conf",
    "[sssd]\ndomains = corp\n[domain/corp]\nid_provider = ldap\nauth_provider = krb5\nkrb5_realm = EXAMPLE.COM\n",
);
const DROP_INS: [(&str, &str); 3] = [
    ("/etc/systemd/system/sssd.service.d/loopkdc-sssd.conf", ""),
    (
        "/etc/systemd/system/loopkdc.service.d/loopkdc-sssd.conf",
        "",
    ),
    (
        "/etc/systemd/system/loopkdc-sssd.service.d/loopkdc-sssd.conf",
        "",
    ),
];
const PID: (&str, &str) = ("/run/sssd.pid", "123\n");
const READS: (&str, &str) = (
    "/proc/123/environ",
    "LANG=C\0KRB5_CONFIG=/etc/krb5.conf:/run/loopkdc-sssd/krb5.conf\0A=b\0",
);
const IS_UP: (&str, &str) = ("/run/loopkdc/reachable", "OTHER\nEXAMPLE.COM\n");
const MAY_TRY: (&str, &str) = (
    "/run/loopkdc-sssd/krb5.conf",
    "[realms]\n    EXAMPLE.COM = {\n        kdc = https://127.0.0.1:9/none\n    }\n",
);

type Files = Vec<(&'static str, &'static str)>;

/// A machine whose krb5.conf is as it should be, with SSSD and these files.
fn machine(files: &[(&'static str, &'static str)]) -> Files {
    let krb5_conf: &str = format!("{DEFAULTS}{STANZA}").leak();
    let own = [(FILE, krb5_conf), SSSD];
    [&own[..], files].concat()
}

fn set_up(files: &[(&'static str, &'static str)]) -> Files {
    machine(&[&DROP_INS[..], files].concat())
}

#[track_caller]
fn warns_of(files: &Files, what: &str, hint: &str) {
    warns(wrong_with(files, super::CONFIG), what, hint);
}

/// What is said, and that it is well.
#[track_caller]
fn is_well(files: &Files, what: &str) {
    let said = said_of(files, super::CONFIG);
    let said = said.iter().filter(|finding| finding.what.contains("SSSD"));
    let said: Vec<_> = said.map(|of| (of.severity, of.what.as_str())).collect();
    assert_eq!(said, [(Severity::Ok, what)]);
}

#[test]
fn a_login_that_brings_a_ticket() {
    let brings = "a login by SSSD (corp) brings a ticket, away from the office, too";
    is_well(&set_up(&[PID, READS, IS_UP, MAY_TRY]), brings);
    // Set up by hand.
    is_well(&machine(&[PID, READS, IS_UP, MAY_TRY]), brings);
    // SSSD is yet to start.
    is_well(&set_up(&[IS_UP, MAY_TRY]), brings);
    let waits = "a login by SSSD (corp) goes by the cached password until EXAMPLE.COM can be reached, and then brings a ticket";
    is_well(
        &set_up(&[PID, READS, ("/run/loopkdc/reachable", "")]),
        waits,
    );
}

#[test]
fn logins_that_nobody_has_set_up() {
    let what = "a login by SSSD (corp) away from the office brings no ticket";
    let hint = "have it bring one: loopkdc krb5-conf --install";
    for files in [
        machine(&[]),
        machine(&[PID, ("/proc/123/environ", "A=b\0")]),
        machine(&[PID, ("/proc/123/environ", "A=b\0"), IS_UP, MAY_TRY]),
        machine(&DROP_INS[..2]),
    ] {
        warns_of(&files, what, hint);
    }
}

#[test]
fn services_from_before_that() {
    let what = "a login by SSSD (corp) away from the office brings no ticket until both services have begun anew";
    let hint = "have them do so: systemctl restart loopkdc sssd";
    for environment in ["A=b\0", "XKRB5_CONFIG=/run/loopkdc-sssd/krb5.conf\0", ""] {
        let before = ("/proc/123/environ", environment);
        warns_of(&set_up(&[PID, before, IS_UP, MAY_TRY]), what, hint);
    }
    warns_of(&set_up(&[PID, READS]), what, hint);
}

#[test]
fn a_path_unit_that_is_not_at_work() {
    let what =
        "SSSD is not told whether EXAMPLE.COM can be reached: loopkdc-sssd.path is not at work";
    let hint = "see why, and start it: systemctl status loopkdc-sssd.path; systemctl restart loopkdc-sssd.path loopkdc-sssd.service";
    warns_of(&set_up(&[PID, READS, IS_UP]), what, hint);
    let is_down = ("/run/loopkdc/reachable", "OTHER\n");
    warns_of(&set_up(&[PID, READS, is_down, MAY_TRY]), what, hint);
}

#[test]
fn a_realm_of_somebody_elses_is_nothing_to_tell() {
    let other = (
        "/etc/sssd/conf.d/x.conf",
        "[domain/corp]\nkrb5_realm = OTHER\n",
    );
    let said = said_of(&machine(&[other]), super::CONFIG);
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[test]
fn domains_that_this_user_may_not_see() {
    // The name is there, and nothing that could be read.
    let hidden = ("/etc/sssd/sssd.conf/hidden", "");
    let krb5_conf = format!("{DEFAULTS}{STANZA}");
    let (severity, what, hint) = wrong_with(&[(FILE, &krb5_conf), hidden], super::CONFIG);
    assert_eq!(severity, Severity::Skipped);
    let expected = "whether logins by SSSD bring a ticket is for root to see: this user may not read sssd.conf";
    assert_eq!((what.as_str(), hint.as_str()), (expected, ""));
}
