//! The stanzas of a configuration.

use super::{REALM, made_of};
use crate::operate::krb5_conf::disk::Disk;
use crate::operate::krb5_conf::profile::read;
use crate::relay::failure::Exit;

const SHIPPED: &str = include_str!("../../../../krb5.conf.d/00-loopkdc.conf");

/// What libkrb5 reads of a file, as `section/section/name=value`.
fn read_as(text: &str) -> Vec<String> {
    let profile = read("/f", text, &mut Disk::default());
    assert!(profile.errors.is_empty(), "{:?}", profile.errors);
    let relations = profile.relations.iter();
    let shown = relations.map(|of| format!("{}/{}={}", of.sections.join("/"), of.name, of.value));
    shown.collect()
}

/// The sections, for what is under `[listen]` and one realm.
#[track_caller]
fn sections(listen: &str, unix: bool) -> Vec<String> {
    let made = made_of(&format!("[listen]\n{listen}\n{REALM}"), unix).unwrap();
    read_as(&made.sections())
}

/// What the kdc and the kpasswd_server of the realm are.
#[track_caller]
fn servers(listen: &str, unix: bool) -> [Vec<String>; 2] {
    let read = sections(listen, unix);
    let values = |name: &str| {
        let of = format!("realms/EXAMPLE.COM/{name}=");
        let values = read.iter().filter_map(|line| line.strip_prefix(&of));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let kdc = values("kdc");
    assert_eq!(values("primary_kdc"), kdc);
    assert_eq!(values("master_kdc"), kdc);
    [kdc, values("kpasswd_server")]
}

#[test]
fn what_is_printed_says_what_the_shipped_file_says() {
    let (head, sections) = SHIPPED.split_once("\n[realms]\n").unwrap();
    let in_use: Vec<_> = sections
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .collect();
    let in_use = format!("[realms]\n{}\n", in_use.join("\n"));
    let made = made_of(REALM, false).unwrap();
    let printed = made.file();
    assert_eq!(read_as(&printed), read_as(&in_use));
    assert_eq!(read_as(&printed).len(), 10);
    let (_, reasons) = head.split_once("\n# Why these lines").unwrap();
    assert!(printed.contains(reasons), "{printed}");
    assert!(
        reasons.contains("primary_kdc") && reasons.contains("dns_canonicalize_hostname = false")
    );
}

#[test]
fn the_stanzas_name_the_listeners() {
    for (listen, kdc, kpasswd) in [
        (
            "",
            &["127.0.0.1", "[::1]"][..],
            &["127.0.0.1:464", "[::1]:464"][..],
        ),
        (
            "kdc = [\"127.0.0.1:8888\"]\nkpasswd = [\"127.0.0.1:8464\"]",
            &["127.0.0.1:8888"],
            &["127.0.0.1:8464"],
        ),
        (
            "kdc = [\"[::1]:88\"]\nkpasswd = [\"[::1]:464\"]",
            &["[::1]"],
            &["[::1]:464"],
        ),
        (
            "kdc = [\"[::1]:1088\", \"127.0.0.2:88\", \"127.0.0.1:88\"]",
            &["127.0.0.2", "[::1]:1088"],
            &["127.0.0.1:464", "[::1]:464"],
        ),
        (
            "allow-remote-clients = true\nkdc = [\"192.0.2.1:88\", \"[2001:db8::1]:88\", \"0.0.0.0:1088\"]\nkpasswd = [\"192.0.2.1:464\"]",
            &["127.0.0.1:1088"],
            &["192.0.2.1:464"],
        ),
        (
            "kdc = [\"127.0.0.1:0\", \"unix:/run/k\", \"127.0.0.1:88\"]\nkpasswd = []",
            &["127.0.0.1"],
            &[],
        ),
    ] {
        assert_eq!(servers(listen, false), [kdc, kpasswd], "{listen}");
    }
}

#[test]
fn the_stanzas_name_unix_sockets_if_they_are_asked_for() {
    let both = "kdc = [\"127.0.0.1:88\", \"unix:/run/loopkdc/kdc.sock\"]\nkpasswd = [\"unix:/run/loopkdc/kpasswd.sock\"]";
    assert_eq!(
        servers(both, true),
        [["/run/loopkdc/kdc.sock"], ["/run/loopkdc/kpasswd.sock"]]
    );
    let one = "kdc = [\"unix:/run/loopkdc/kdc.sock\"]";
    assert_eq!(servers(one, true)[1], ["127.0.0.1:464", "[::1]:464"]);
}

#[test]
fn a_listener_that_no_krb5_conf_can_name_is_an_error() {
    for (listen, unix, error, hint) in [
        (
            "",
            true,
            "no Unix socket for the KDC service",
            "add one to kdc under [listen]",
        ),
        ("kdc = []", false, "has no address and port", "write kdc = "),
        (
            "kdc = [\"unix:/k\"]",
            false,
            "has no address and port",
            "loopkdc krb5-conf --unix",
        ),
        (
            "kdc = [\"127.0.0.1:0\"]",
            false,
            "has no address and port",
            "write kdc = ",
        ),
    ] {
        let failure = made_of(&format!("[listen]\n{listen}\n{REALM}"), unix).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.message().contains(error), "{failure}");
        assert!(failure.to_string().contains(hint), "{failure}");
    }
}

#[test]
fn realms_and_aliases_have_stanzas_and_wildcards_a_note() {
    let made = made_of(
        r#"
        [defaults]
        proxies = ["https://p"]
        [realms."*.EXAMPLE.COM"]
        [realms."EXAMPLE.COM"]
        aliases = ["CORP", "OLD.EXAMPLE.COM"]
        [realms."LAB"]
        [realms."A = B"]
        "#,
        false,
    )
    .unwrap();
    let mut realms = made.realms.clone();
    realms.sort();
    assert_eq!(realms, ["CORP", "EXAMPLE.COM", "LAB", "OLD.EXAMPLE.COM"]);
    let domains: Vec<_> = read_as(&made.sections())
        .into_iter()
        .filter(|line| line.starts_with("domain_realm"))
        .collect();
    assert_eq!(
        domains,
        [
            "domain_realm/.example.com=EXAMPLE.COM",
            "domain_realm/example.com=EXAMPLE.COM"
        ]
    );
    let [wildcard, odd] = made.notes.as_slice() else {
        panic!("{:?}", made.notes)
    };
    assert_eq!(
        wildcard,
        "realm *.EXAMPLE.COM has no stanza, as Kerberos libraries know no wildcard: name each realm that is used in the configuration"
    );
    assert_eq!(
        odd,
        "realm A = B has no stanza, as krb5.conf can't hold a name with such characters"
    );
}

#[test]
fn wildcards_alone_are_an_error() {
    let failure = made_of("[realms.\"*\"]\nproxies = [\"https://p\"]\n", false).unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("\nloopkdc: hint: Kerberos libraries know no wildcard: add each realm")
    );
}
