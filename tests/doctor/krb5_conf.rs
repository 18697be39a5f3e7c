//! Where krb5.conf sends the realm. What else of it is read, and what SSSD, Java and Heimdal make of it, the tests beside the
//! code show.

use loopkdc::doctor::Layer;

use crate::scene::{REALM, Scene};

/// A stanza of the realm with these lines.
fn stanza(lines: &str) -> String {
    format!("[realms]\n {REALM} = {{\n{lines}\n }}\n")
}

fn scene(krb5_conf: &str) -> Scene {
    let config = format!("[realms.\"{REALM}\"]\nproxies = [\"https://127.0.0.1:9\"]\n");
    Scene::configured(&config).with_krb5_conf(krb5_conf)
}

#[test]
fn ways_that_lead_elsewhere() {
    let install = "loopkdc krb5-conf --install";
    for (text, words, advice) in [
        (
            String::new(),
            "names no kdc of EXAMPLE.COM: libkrb5 looks for one in DNS",
            install,
        ),
        (
            "[libdefaults]\n dns_lookup_kdc = false\n".to_owned(),
            "look nowhere else",
            install,
        ),
        (
            stanza("kdc = dc1.example.com"),
            "is not loopkdc, which listens at 127.0.0.1:88",
            install,
        ),
        (
            stanza("kdc = 127.0.0.1:1088"),
            "is not where loopkdc listens",
            install,
        ),
        (
            stanza("kdc = https://kdcproxy.example.com/KdcProxy"),
            "ask the proxy itself, without loopkdc",
            install,
        ),
        (
            stanza("kdc = udp/127.0.0.1"),
            "is a host of that name to MIT krb5",
            "kdc = 127.0.0.1",
        ),
        (
            stanza("kdc = 127.0.0.1").replace(REALM, "example.com"),
            "letter case counts",
            install,
        ),
        (
            "include /nowhere.conf\n".to_owned(),
            "libkrb5 gives the whole configuration up",
            "take the line out",
        ),
        (
            stanza("kdc 127.0.0.1"),
            "libkrb5 gives the whole configuration up",
            "krb5.conf(5)",
        ),
    ] {
        scene(&text)
            .doctor_here(&[])
            .is_at_fault(Layer::Krb5Conf, words, advice);
    }
}

#[test]
fn a_file_that_is_not_there() {
    let scene = scene("");
    std::fs::remove_file(scene.path("krb5.conf")).unwrap();
    let found = scene.doctor_here(&[]);
    found.is_at_fault(
        Layer::Krb5Conf,
        "libkrb5 has no configuration",
        "loopkdc krb5-conf --install",
    );
}

#[test]
fn ways_that_cost_time() {
    let ours = "kdc = 127.0.0.1\n";
    for (lines, words, advice) in [
        (
            format!("kdc = 127.0.0.2\n{ours}"),
            "is asked first, and loopkdc after it",
            "above it",
        ),
        (
            format!("{ours}kdc = 127.0.0.2\n"),
            "can't be reached from here",
            "direct = \"prefer\"",
        ),
        (
            ours.to_owned(),
            "has no primary_kdc: MIT krb5 asks DNS",
            "dns_lookup_kdc = false",
        ),
        (
            format!("{ours}primary_kdc = dc1.example.com\n"),
            "asks it again about each wrong password",
            "krb5-conf",
        ),
        (
            ours.to_owned(),
            "has no kpasswd_server: password changes go to what DNS names",
            "krb5-conf",
        ),
        (
            format!("{ours}kpasswd_server = dc1.example.com\n"),
            "kpasswd_server = dc1.example.com of EXAMPLE.COM is not loopkdc",
            "krb5-conf",
        ),
    ] {
        let found = scene(&stanza(&lines)).doctor_here(&[]);
        found.says(Layer::Krb5Conf, "warn", words, advice);
    }
}

#[test]
fn defaults() {
    for (text, words, advice) in [
        ("", "has no default_realm", "default_realm = EXAMPLE.COM"),
        (
            "default_realm = EXAMPLE.ORG",
            "is none of loopkdc's realms",
            "default_realm = EXAMPLE.COM",
        ),
        (
            "",
            "dns_canonicalize_hostname is on",
            "dns_canonicalize_hostname = false",
        ),
        (
            "dns_lookup_realm = true",
            "dns_lookup_realm is on",
            "dns_lookup_realm = false",
        ),
        (
            "noaddresses = false",
            "ties tickets to the addresses",
            "kdestroy",
        ),
        (
            "request_timeout = 3s",
            "has libkrb5 give up while loopkdc",
            "request_timeout = 11s",
        ),
    ] {
        let text = format!("[libdefaults]\n{text}\n{}", stanza("kdc = 127.0.0.1"));
        let found = scene(&text).doctor_here(&[]);
        found.says(Layer::Krb5Conf, "warn", words, advice);
        found.says(
            Layer::Krb5Conf,
            "warn",
            "KRB5_CONFIG is ",
            "unset KRB5_CONFIG",
        );
    }
}

#[test]
fn realms_between() {
    let text = format!(
        "[capaths]\n EXAMPLE.COM = {{\n EXAMPLE.ORG = EXAMPLE.NET\n }}\n{}",
        stanza("kdc = 127.0.0.1")
    );
    let found = scene(&text).doctor_here(&[]);
    found.says(
        Layer::Krb5Conf,
        "warn",
        "EXAMPLE.NET is on the way",
        "krb5-conf",
    );
}

/// Of several realms, the one that names without a realm belong to is the one that matters.
#[test]
fn the_default_realm_is_looked_at_alone() {
    let config = |name| format!("[realms.\"{name}\"]\nproxies = [\"https://127.0.0.1:9\"]\n");
    let text = config(REALM) + &config("EXAMPLE.ORG");
    let realms = |scene: Scene| {
        let found = scene.doctor_here(&[]);
        let realms = found.lines.iter().filter_map(|line| line["realm"].as_str());
        let realms: std::collections::BTreeSet<_> = realms.map(ToOwned::to_owned).collect();
        realms.into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(realms(Scene::configured(&text)), "EXAMPLE.COM EXAMPLE.ORG");
    let default = "[libdefaults]\n default_realm = EXAMPLE.ORG\n";
    let scene = Scene::configured(&text).with_krb5_conf(default);
    assert_eq!(realms(scene), "EXAMPLE.ORG");
}
