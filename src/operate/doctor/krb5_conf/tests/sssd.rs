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
    let waits = "a login by SSSD (corp) goes by the cached password while EXAMPLE.COM can't be reached, or has just given a reply that would have SSSD begin again, and brings a ticket else";
    is_well(
        &set_up(&[PID, READS, ("/run/loopkdc/reachable", "")]),
        waits,
    );
}

#[test]
fn logins_that_nobody_has_set_up() {
    let what = "a login by SSSD (corp) away from the office brings no ticket";
    let hint = "have it bring one: loopkdc krb5-conf --install; or, if it is to bring none: systemctl mask --now loopkdc-sssd.path; loopkdc krb5-conf --install";
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
fn logins_that_an_administrator_wants_without() {
    for unit in [
        ("/etc/systemd/system/loopkdc-sssd.path", ""),
        // A link to a device, which can't be read.
        ("/etc/systemd/system/loopkdc-sssd.path/null", ""),
    ] {
        let (severity, what, _) = wrong_with(&machine(&[unit]), super::CONFIG);
        assert_eq!(severity, Severity::Skipped);
        let expected = "a login by SSSD (corp) away from the office brings no ticket, as loopkdc-sssd.path is masked";
        assert_eq!(what, expected);
    }
    let unit = ("/etc/systemd/system/loopkdc-sssd.path", "[Unit]\n");
    let (severity, ..) = wrong_with(&machine(&[unit]), super::CONFIG);
    assert_eq!(severity, Severity::Warning);
}

/// Whether that is set up or not.
#[test]
fn a_domain_that_has_the_kdcs_of_trusted_ones_asked() {
    let domain = (
        "/etc/sssd/conf.d/x.conf",
        "[domain/corp]\nid_provider = ad\nkrb5_use_subdomain_realm = true\n",
    );
    let what = "a login by SSSD (corp) brings no ticket away from the office, as that is not set up for such a domain: SSSD asks the KDCs of trusted domains itself, and would begin a login of theirs again without end while they can't be reached";
    let hint = "write into [domain/corp] of /etc/sssd/conf.d/x.conf\n    krb5_use_enterprise_principal = true\n    krb5_use_subdomain_realm = false; or, where none of their users log in\n    subdomains_provider = none; then: systemctl restart sssd; loopkdc krb5-conf --install";
    warns_of(&machine(&[domain]), what, hint);
    warns_of(&set_up(&[PID, READS, IS_UP, MAY_TRY, domain]), what, hint);
    // Nor is there anything to mend where an administrator wants none of it.
    let masked = ("/etc/systemd/system/loopkdc-sssd.path", "");
    let (severity, ..) = wrong_with(&machine(&[domain, masked]), super::CONFIG);
    assert_eq!(severity, Severity::Skipped);
    let (_, what, _) = wrong_with(&set_up(&[domain, masked]), super::CONFIG);
    assert!(what.contains(" is still set up to "), "{what}");
}

/// SSSD asks the realm of each principal.
#[test]
fn a_domain_with_principals_of_other_realms() {
    let schema = (
        "/etc/sssd/conf.d/x.conf",
        "[domain/corp]\nldap_schema = ad\n",
    );
    let what = "a login by SSSD (corp) brings no ticket away from the office, as that is not set up for such a domain: SSSD asks the KDCs of the realms of users' principals in LDAP itself, and would begin a login of such a user again without end while they can't be reached";
    let hint = "write into [domain/corp] of /etc/sssd/conf.d/x.conf\n    krb5_use_enterprise_principal = true; or, where all of them are NAME@REALM with the domain's realm\n    ldap_user_principal = nosuchattr; then: systemctl restart sssd; loopkdc krb5-conf --install";
    warns_of(&machine(&[schema]), what, hint);
    warns_of(&set_up(&[PID, READS, IS_UP, MAY_TRY, schema]), what, hint);
}

/// A restart does not help.
#[test]
fn a_file_that_goes_before_the_drop_in() {
    let hint = "append to it there\n    :/run/loopkdc-sssd/krb5.conf; then: systemctl daemon-reload; systemctl restart sssd";
    let later = "/etc/systemd/system/sssd.service.d/override.conf";
    for (file, text) in [
        ("/etc/default/sssd", "# KRB5_CONFIG=/b\nKRB5_CONFIG=/a\n"),
        ("/etc/sysconfig/sssd", "KRB5_CONFIG=\"/a\"\n"),
        (later, "[Service]\nEnvironment=\"KRB5_CONFIG=/a\"\n"),
    ] {
        let what = format!(
            "a login by SSSD (corp) away from the office brings no ticket: KRB5_CONFIG in {file} has SSSD read /a"
        );
        let running = ("/proc/123/environ", "KRB5_CONFIG=/a\0");
        warns_of(
            &set_up(&[PID, running, IS_UP, MAY_TRY, (file, text)]),
            &what,
            hint,
        );
        // SSSD is yet to start.
        warns_of(&set_up(&[IS_UP, MAY_TRY, (file, text)]), &what, hint);
    }
    let brings = "a login by SSSD (corp) brings a ticket, away from the office, too";
    for (file, text) in [
        (
            "/etc/default/sssd",
            "KRB5_CONFIG=/a:/run/loopkdc-sssd/krb5.conf\n",
        ),
        (
            "/etc/systemd/system/sssd.service.d/10.conf",
            "Environment=KRB5_CONFIG=/a\n",
        ),
    ] {
        is_well(&set_up(&[IS_UP, MAY_TRY, (file, text)]), brings);
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
    // What is true now is so by chance.
    let inactive = ("$inactive loopkdc-sssd.path", "");
    warns_of(&set_up(&[PID, READS, IS_UP, MAY_TRY, inactive]), what, hint);
    // Where it is set up by hand somebody else does it.
    let by_hand = machine(&[PID, READS, IS_UP, MAY_TRY, inactive]);
    let brings = "a login by SSSD (corp) brings a ticket, away from the office, too";
    is_well(&by_hand, brings);
}

/// A restart of it would be refused.
#[test]
fn a_path_unit_that_is_masked_after_it_was_set_up() {
    let masked = ("/etc/systemd/system/loopkdc-sssd.path", "");
    let what = "a login by SSSD (corp) is still set up to bring a ticket, and loopkdc-sssd.path is masked: SSSD is not told whether EXAMPLE.COM can be reached";
    let hint = "take back what was set up: loopkdc krb5-conf --install";
    for files in [
        &[PID, READS, IS_UP, MAY_TRY, masked][..],
        &[PID, READS, masked],
    ] {
        warns_of(&set_up(files), what, hint);
    }
}

/// By systemd's rule: the name says which comes last, and then the folder whose counts.
#[test]
fn drop_ins_of_all_folders() {
    const ETC: &str = "/etc/systemd/system/sssd.service.d/x.conf";
    const RUN: &str = "/run/systemd/system/sssd.service.d/x.conf";
    const LIB: &str = "/usr/lib/systemd/system/sssd.service.d/x.conf";
    const LATER: &str = "/usr/lib/systemd/system/sssd.service.d/y.conf";
    const OTHER: &str = "Environment=KRB5_CONFIG=/a\n";
    const OURS: &str = "Environment=KRB5_CONFIG=/run/loopkdc-sssd/krb5.conf\n";
    let hint = "append to it there\n    :/run/loopkdc-sssd/krb5.conf; then: systemctl daemon-reload; systemctl restart sssd";
    for (files, file) in [
        (&[(RUN, OTHER)][..], RUN),
        (&[(LIB, OTHER)], LIB),
        (&[(LIB, OTHER), (RUN, OTHER)], RUN),
        (&[(ETC, OURS), (LATER, OTHER)], LATER),
    ] {
        let what = format!(
            "a login by SSSD (corp) away from the office brings no ticket: KRB5_CONFIG in {file} has SSSD read /a"
        );
        warns_of(&set_up(&[&[IS_UP, MAY_TRY], files].concat()), &what, hint);
    }
    let brings = "a login by SSSD (corp) brings a ticket, away from the office, too";
    for files in [
        [(LIB, OTHER), (ETC, "")],
        [(RUN, OTHER), (ETC, OURS)],
        [(ETC, OTHER), (LATER, OURS)],
    ] {
        is_well(&set_up(&[&[IS_UP, MAY_TRY][..], &files].concat()), brings);
    }
}

/// That SSSD calls the realm by.
#[test]
fn an_alias() {
    let corp = (
        "/etc/sssd/conf.d/x.conf",
        "[domain/corp]\nkrb5_realm = CORP\n",
    );
    let config = format!("{}aliases = [\"CORP\"]\n", super::CONFIG);
    let said = said_of(
        &set_up(&[corp, ("/run/loopkdc/reachable", "EXAMPLE.COM\n")]),
        &config,
    );
    let waits = "a login by SSSD (corp) goes by the cached password while CORP can't be reached, or has just given a reply that would have SSSD begin again, and brings a ticket else";
    assert!(
        said.iter().any(|finding| finding.what == waits),
        "{said:#?}"
    );
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
