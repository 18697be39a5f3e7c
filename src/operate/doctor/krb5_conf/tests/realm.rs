//! Where a realm's requests go.

use super::{CONFIG, DEFAULTS, DROP_IN, FILE, STANZA, faults, said_of, warns, wrong, wrong_with};
use crate::operate::doctor::krb5_conf::Scene;
use crate::operate::krb5_conf::disk::Disk;
use crate::relay::finding::Severity;

const INSTALL: &str = "have krb5.conf send it here: loopkdc krb5-conf --install";

/// A krb5.conf whose stanza has these lines.
fn stanza(lines: &str) -> String {
    format!("{DEFAULTS}[realms]\nEXAMPLE.COM = {{\n{lines}\n}}\n")
}

/// As it should be, but for `lines`.
fn but(lines: &str) -> String {
    stanza(&format!("kdc = 127.0.0.1\n{lines}"))
}

const REST: &str = "primary_kdc = 127.0.0.1\nkpasswd_server = 127.0.0.1:464";

#[test]
fn no_stanza() {
    faults(
        wrong(DEFAULTS),
        "krb5.conf names no kdc of EXAMPLE.COM: libkrb5 looks for one in DNS",
        INSTALL,
    );
    faults(
        wrong(&format!("{DEFAULTS}dns_lookup_kdc = no\n")),
        "krb5.conf names no kdc of EXAMPLE.COM: dns_lookup_kdc = false has libkrb5 look nowhere else",
        INSTALL,
    );
}

#[test]
fn the_drop_in_is_not_included() {
    faults(
        wrong_with(&[(FILE, DEFAULTS), (DROP_IN, STANZA)], CONFIG),
        "no kdc of EXAMPLE.COM is read: /etc/krb5.conf.d/loopkdc.conf is there, and krb5.conf does not include it, or it lacks the realm",
        INSTALL,
    );
}

#[test]
fn another_spelling() {
    faults(
        wrong(&format!(
            "{DEFAULTS}{}",
            STANZA.replace("EXAMPLE.COM", "example.com")
        )),
        "/etc/krb5.conf, line 6: the stanza is of example.com, and to libkrb5 EXAMPLE.COM is another realm, as letter case counts",
        "name the realm as users type it in the configuration, then: loopkdc krb5-conf --install",
    );
}

#[test]
fn an_ignored_stanza() {
    warns(
        wrong(&format!("{DEFAULTS}[realms]*\n{STANZA}")),
        "/etc/krb5.conf, line 7: kdc = 127.0.0.1 of EXAMPLE.COM is ignored by MIT krb5 1.22 and later, as an earlier part is marked as final by a *",
        "take the * away, from [realms]* or from the realm's name",
    );
}

#[test]
fn another_server() {
    faults(
        wrong(&stanza("kdc = dc1.example.com")),
        "/etc/krb5.conf, line 6: kdc = dc1.example.com of EXAMPLE.COM is not loopkdc, which listens at 127.0.0.1:88, [::1]:88",
        INSTALL,
    );
    faults(
        wrong(&stanza("kdc = https://p/KdcProxy")),
        "/etc/krb5.conf, line 6: kdc = https://p/KdcProxy of EXAMPLE.COM has libkrb5 ask the proxy itself, without loopkdc",
        INSTALL,
    );
}

#[test]
fn another_port() {
    let what = "/etc/krb5.conf, line 6: kdc = 127.0.0.1 of EXAMPLE.COM is not where loopkdc listens, which is at 127.0.0.1:8888";
    let high = format!("[listen]\nkdc = [\"127.0.0.1:8888\"]\n{CONFIG}");
    faults(wrong_with(&[(FILE, &but(REST))], &high), what, INSTALL);
    let file = but(REST).replace("kdc = 127.0.0.1\n", "kdc = 127.0.0.1:8888\n");
    let findings = said_of(&[(FILE, &file)], &high, &[]);
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Ok),
        "{findings:#?}"
    );
}

#[test]
fn a_socket_is_a_listener() {
    let socket = format!("[listen]\nkdc = [\"unix:/run/k\"]\n{CONFIG}");
    let file = but(REST).replace("kdc = 127.0.0.1\n", "kdc = /run/k\n");
    let findings = said_of(&[(FILE, &file)], &socket, &[]);
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Ok),
        "{findings:#?}"
    );
}

#[test]
fn an_udp_prefix() {
    let what = "/etc/krb5.conf, line 6: kdc = udp/127.0.0.1 is a host of that name to MIT krb5, and has Heimdal never turn to TCP";
    let hint = "write it without what stands before the /:\n    kdc = 127.0.0.1";
    faults(wrong(&stanza("kdc = udp/127.0.0.1")), what, hint);
    let both = but(&format!("{REST}\nkdc = tcp/127.0.0.1"));
    let what = what.replace("udp/", "tcp/").replace("line 6", "line 9");
    faults(wrong(&both), &what, hint);
}

#[test]
fn localhost_without_both_families() {
    let file = but(REST).replace("kdc = 127.0.0.1\n", "kdc = localhost\n");
    let one = format!("[listen]\nkdc = [\"127.0.0.1:88\"]\n{CONFIG}");
    warns(
        wrong_with(&[(FILE, &file)], &one),
        "/etc/krb5.conf, line 6: localhost means both 127.0.0.1 and ::1 to most clients, and loopkdc listens at 127.0.0.1:88 alone: they lose a second",
        "name the address in the place of localhost: loopkdc krb5-conf --install",
    );
    let findings = said_of(&[(FILE, &file)], CONFIG, &[]);
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Ok),
        "{findings:#?}"
    );
}

#[test]
fn another_server_first() {
    warns(
        wrong(&stanza(&format!("kdc = dc1\nkdc = 127.0.0.1\n{REST}"))),
        "/etc/krb5.conf, line 6: kdc = dc1 of EXAMPLE.COM is asked first, and loopkdc after it (/etc/krb5.conf, line 7); Java asks whom the first stanza names alone",
        "take that line out, or write loopkdc's stanza, or the includedir line, above it",
    );
}

#[test]
fn another_server_behind() {
    let file = but(&format!("{REST}\nkdc = dc1:1088"));
    let findings = said_of(&[(FILE, &file)], CONFIG, &["dc2:88"]);
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.severity, finding.what.as_str()))
        .collect();
    let what = "/etc/krb5.conf, line 9: kdc = dc1:1088 of EXAMPLE.COM is tried besides";
    let ok = format!("{what}, when loopkdc has no answer or takes more than a second");
    assert_eq!(said[1..], [(Severity::Ok, ok.as_str())]);
    let mut findings = said_of(&[(FILE, &file)], CONFIG, &["dc1:1088"]);
    let finding = findings.pop().unwrap();
    warns(
        (finding.severity, finding.what.clone(), finding.advice()),
        &format!(
            "{what}, and can't be reached from here: what loopkdc has no answer to takes seconds longer"
        ),
        "take that line out; on the network where it answers, loopkdc asks it too: direct = \"prefer\" and kdcs = [\"dc1\"] in the realm's table",
    );
}

#[test]
fn no_primary_kdc() {
    let file = but("kpasswd_server = 127.0.0.1");
    warns(
        wrong(&file),
        "EXAMPLE.COM has no primary_kdc: MIT krb5 asks DNS for one after replies, which takes 30 s each time where no name server answers",
        "have the stanza name it: loopkdc krb5-conf --install; or write under [libdefaults]\n    dns_lookup_kdc = false",
    );
    for instead in [
        "[libdefaults]\ndns_lookup_kdc = false\n",
        "[realms]\nEXAMPLE.COM = {\nmaster_kdc = 127.0.0.1\n}\n",
    ] {
        let findings = said_of(&[(FILE, &format!("{file}{instead}"))], CONFIG, &[]);
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Ok),
            "{findings:#?}"
        );
    }
}

#[test]
fn another_primary_kdc() {
    warns(
        wrong(&but("primary_kdc = dc1\nkpasswd_server = 127.0.0.1")),
        "/etc/krb5.conf, line 7: primary_kdc = dc1 of EXAMPLE.COM is not loopkdc: MIT krb5 asks it again about each wrong password",
        "name the same server as kdc does: loopkdc krb5-conf --install",
    );
}

#[test]
fn no_kpasswd_server() {
    let hint = "have the stanza name it: loopkdc krb5-conf --install";
    warns(
        wrong(&but("primary_kdc = 127.0.0.1")),
        "EXAMPLE.COM has no kpasswd_server: password changes go to what DNS names",
        hint,
    );
    warns(
        wrong(&but("primary_kdc = 127.0.0.1\nadmin_server = dc1")),
        "EXAMPLE.COM has no kpasswd_server: password changes go to dc1, which is its admin_server",
        hint,
    );
    let none = format!("[listen]\nkpasswd = []\n{CONFIG}");
    let findings = said_of(&[(FILE, &but("primary_kdc = 127.0.0.1"))], &none, &[]);
    assert!(
        findings
            .iter()
            .all(|finding| finding.severity == Severity::Ok),
        "{findings:#?}"
    );
}

#[test]
fn another_kpasswd_server() {
    warns(
        wrong(&but(
            "primary_kdc = 127.0.0.1\nkpasswd_server = 127.0.0.1:465",
        )),
        "/etc/krb5.conf, line 8: kpasswd_server = 127.0.0.1:465 of EXAMPLE.COM is not loopkdc, which listens at 127.0.0.1:464, [::1]:464",
        "have the stanza name it: loopkdc krb5-conf --install",
    );
}

#[test]
fn a_server_that_sssd_names() {
    let kdcinfo = "/var/lib/sss/pubconf/kdcinfo.EXAMPLE.COM";
    let plugin = "/usr/lib/x86_64-linux-gnu/krb5/plugins/libkrb5/sssd_krb5_locator_plugin.so";
    let file = but(REST);
    let files = [
        (FILE, file.as_str()),
        (kdcinfo, "10.0.0.1\ndc1:88\n"),
        (plugin, ""),
    ];
    faults(
        wrong_with(&files, CONFIG),
        "SSSD has libkrb5 ask 10.0.0.1, dc1:88 about EXAMPLE.COM, whatever krb5.conf says (/var/lib/sss/pubconf/kdcinfo.EXAMPLE.COM)",
        "write krb5_use_kdcinfo = false into the section of its domain in /etc/sssd/sssd.conf, then: systemctl restart sssd; rm -f /var/lib/sss/pubconf/kdcinfo.EXAMPLE.COM",
    );
    let is_fine = |files: &[(&str, &str)]| {
        let findings = said_of(files, CONFIG, &[]);
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity == Severity::Ok),
            "{findings:#?}"
        );
    };
    is_fine(&files[..2]);
    is_fine(&[
        files[0],
        files[1],
        files[2],
        ("$SSSD_KRB5_LOCATOR_DISABLE", "1"),
    ]);
    is_fine(&[files[0], (kdcinfo, "127.0.0.1\n"), files[2]]);
}

#[test]
fn of_what_sssd_names_no_more_is_kept_than_it_writes() {
    let long = format!("{} ", "x".repeat(1000)).repeat(1000);
    let paths = (0..300).map(|number| format!("/var/lib/sss/pubconf/kdcinfo.R{number}"));
    let paths: Vec<_> = paths.collect();
    let plugin = "/usr/lib64/krb5/plugins/libkrb5/sssd_krb5_locator_plugin.so";
    let mut files: Vec<_> = paths.iter().map(|path| (path.as_str(), &*long)).collect();
    files.push((plugin, ""));
    let sssd = Scene::read(&mut Disk::with(&files)).sssd;
    assert_eq!(sssd.len(), 256);
    for of in sssd {
        assert_eq!(of.servers, vec!["x".repeat(264); 64]);
    }
}
