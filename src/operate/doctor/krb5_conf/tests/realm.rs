//! Where a realm's requests go.

use super::{CONFIG, DEFAULTS, DROP_IN, FILE, STANZA, faults, is_fine, warns, wrong, wrong_with};
use crate::operate::doctor::krb5_conf::ClientConfig;
use crate::operate::krb5_conf::disk::Disk;

const INSTALL: &str = "have krb5.conf send it here: loopkdc krb5-conf --install";

/// A krb5.conf whose stanza has these lines.
fn stanza(lines: &str) -> String {
    format!("{DEFAULTS}[realms]\nEXAMPLE.COM = {{\n{lines}\n}}\n")
}

/// As it should be, but for `lines`.
fn but(lines: &str) -> String {
    stanza(&format!("kdc = 127.0.0.1\n{lines}\nkdc = [::1]"))
}

const REST: &str = "primary_kdc = 127.0.0.1\nkpasswd_server = 127.0.0.1:464";

#[test]
fn no_stanza_that_is_read() {
    let what = "krb5.conf names no kdc of EXAMPLE.COM that libkrb5 reads";
    faults(wrong(DEFAULTS), what, INSTALL);
    let not_included = [(FILE, DEFAULTS), (DROP_IN, STANZA)];
    faults(wrong_with(&not_included, CONFIG), what, INSTALL);
}

#[test]
fn another_spelling() {
    faults(
        wrong(&format!(
            "{DEFAULTS}{}",
            STANZA.replace("EXAMPLE.COM", "example.com")
        )),
        "/etc/krb5.conf:6: the stanza is of example.com, and to libkrb5 EXAMPLE.COM is another realm, as letter case counts",
        INSTALL,
    );
}

#[test]
fn another_server() {
    for server in ["dc1.example.com", "https://p/KdcProxy", "127.0.0.1:1088"] {
        let what = format!(
            "/etc/krb5.conf:6: kdc = {server} of EXAMPLE.COM is not loopkdc, which listens at 127.0.0.1:88, [::1]:88"
        );
        let stanza = stanza(&format!("kdc = {server}"));
        faults(wrong(&stanza), &what, INSTALL);
    }
}

#[test]
fn a_transport_before_the_server() {
    for transport in ["tcp", "udp"] {
        let what = format!(
            "/etc/krb5.conf:6: kdc = {transport}/127.0.0.1 of EXAMPLE.COM is a name to MIT krb5, with the {transport}/, and is looked up: Heimdal alone knows it for a transport"
        );
        let stanza = stanza(&format!("kdc = {transport}/127.0.0.1"));
        faults(wrong(&stanza), &what, INSTALL);
    }
}

#[test]
fn another_port() {
    let what = "/etc/krb5.conf:6: kdc = 127.0.0.1 of EXAMPLE.COM is not loopkdc, which listens at 127.0.0.1:8888";
    let high = format!("[listen]\nkdc = [\"127.0.0.1:8888\"]\n{CONFIG}");
    faults(wrong_with(&[(FILE, &but(REST))], &high), what, INSTALL);
    let file = but(REST).replace("kdc = 127.0.0.1\n", "kdc = 127.0.0.1:8888\n");
    is_fine(&[(FILE, &file)], &high);
}

#[test]
fn a_socket_is_a_listener() {
    let socket = format!("[listen]\nkdc = [\"unix:/run/k\"]\n{CONFIG}");
    let file = but(REST).replace("kdc = 127.0.0.1\n", "kdc = /run/k\n");
    is_fine(&[(FILE, &file)], &socket);
}

#[test]
fn another_server_first() {
    warns(
        wrong(&stanza(&format!(
            "kdc = dc1\nkdc = 127.0.0.1\n{REST}\nkdc = [::1]"
        ))),
        "/etc/krb5.conf:6: kdc = dc1 of EXAMPLE.COM is asked before loopkdc; Java asks whom the first stanza names alone",
        "take that line out, or write loopkdc's stanza, or the includedir line, above it; or have all such lines made comments: loopkdc krb5-conf --install --only",
    );
}

#[test]
fn an_address_of_one_family_alone() {
    for (kdc, family) in [("127.0.0.1", "IPv6"), ("[::1]", "IPv4")] {
        warns(
            wrong(&stanza(&format!("kdc = {kdc}\n{REST}"))),
            &format!(
                "no kdc of EXAMPLE.COM is loopkdc's {family} address: on a network that has {family} alone, libkrb5 asks no other"
            ),
            "have the stanza name it: loopkdc krb5-conf --install",
        );
    }
    is_fine(
        &[(FILE, &stanza(&format!("kdc = localhost\n{REST}")))],
        CONFIG,
    );
}

#[test]
fn a_proxy_beside_ours() {
    for line in [
        "kdc = https://p/KdcProxy",
        "primary_kdc = https://p",
        "kpasswd_server = kkdcp://p",
    ] {
        warns(
            wrong(&but(&format!("{line}\n{REST}"))),
            &format!(
                "/etc/krb5.conf:7: {line} of EXAMPLE.COM stands beside loopkdc: libkrb5 may show that proxy a password once more, and waits 24 s more for it if it is silent"
            ),
            "take that line out, or have all such lines made comments: loopkdc krb5-conf --install --only",
        );
    }
}

#[test]
fn a_name_behind_ours() {
    for line in [
        "kdc = dc1.example.com",
        "kdc = tcp/127.0.0.1",
        "kdc = dc1:88 # old",
    ] {
        warns(
            wrong(&but(&format!("{line}\n{REST}"))),
            &format!(
                "/etc/krb5.conf:7: {line} of EXAMPLE.COM stands behind loopkdc: when a proxy takes longer than a second, libkrb5 looks that name up, for 10 s where no name server answers"
            ),
            "take that line out, or have all such lines made comments: loopkdc krb5-conf --install --only",
        );
    }
    for line in [
        "kdc = 192.0.2.1",
        "kdc = [2001:db8::1]:88",
        "kdc = localhost",
        "kdc = /run/x",
    ] {
        is_fine(&[(FILE, &but(&format!("{line}\n{REST}")))], CONFIG);
    }
}

#[test]
fn no_primary_kdc() {
    let file = but("kpasswd_server = 127.0.0.1");
    warns(
        wrong(&file),
        "EXAMPLE.COM has no primary_kdc: MIT krb5 asks DNS for one after replies, which takes 30 s each time where no name server answers",
        "have the stanza name it: loopkdc krb5-conf --install",
    );
    for instead in [
        "[libdefaults]\ndns_lookup_kdc = false\n",
        "[realms]\nEXAMPLE.COM = {\nmaster_kdc = 127.0.0.1\n}\n",
    ] {
        is_fine(&[(FILE, &format!("{file}{instead}"))], CONFIG);
    }
}

#[test]
fn another_primary_kdc() {
    warns(
        wrong(&but("primary_kdc = dc1\nkpasswd_server = 127.0.0.1")),
        "/etc/krb5.conf:7: primary_kdc = dc1 of EXAMPLE.COM is not loopkdc, which listens at 127.0.0.1:88, [::1]:88",
        "have the stanza name it: loopkdc krb5-conf --install",
    );
}

#[test]
fn no_kpasswd_server() {
    let file = but("primary_kdc = 127.0.0.1");
    warns(
        wrong(&file),
        "EXAMPLE.COM has no kpasswd_server: password changes go to its admin_server, or to what DNS names",
        "have the stanza name it: loopkdc krb5-conf --install",
    );
    let none = format!("[listen]\nkpasswd = []\n{CONFIG}");
    is_fine(&[(FILE, &file)], &none);
}

#[test]
fn another_kpasswd_server() {
    warns(
        wrong(&but(
            "primary_kdc = 127.0.0.1\nkpasswd_server = 127.0.0.1:465",
        )),
        "/etc/krb5.conf:8: kpasswd_server = 127.0.0.1:465 of EXAMPLE.COM is not loopkdc, which listens at 127.0.0.1:464, [::1]:464",
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
    is_fine(&files[..2], CONFIG);
    let disabled = ("$SSSD_KRB5_LOCATOR_DISABLE", "1");
    is_fine(&[&files[..], &[disabled]].concat(), CONFIG);
    is_fine(&[files[0], (kdcinfo, "127.0.0.1\n"), files[2]], CONFIG);
}

#[test]
fn of_what_sssd_names_no_more_is_kept_than_it_writes() {
    let long = format!("{} ", "x".repeat(1000)).repeat(1000);
    let paths = (0..300).map(|number| format!("/var/lib/sss/pubconf/kdcinfo.R{number}"));
    let paths: Vec<_> = paths.collect();
    let plugin = "/usr/lib64/krb5/plugins/libkrb5/sssd_krb5_locator_plugin.so";
    let mut files: Vec<_> = paths.iter().map(|path| (path.as_str(), &*long)).collect();
    files.push((plugin, ""));
    let sssd = ClientConfig::read(&mut Disk::with(&files)).sssd;
    assert_eq!(sssd.len(), 256);
    assert!(sssd.values().all(|servers| servers.len() == 4096));
}
