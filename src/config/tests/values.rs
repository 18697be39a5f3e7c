//! What valid text means.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{REALM, build, build_with, certificate, given, warnings};
use crate::config::endpoint::EndpointAddr;
use crate::config::keys::{self, ValueKind};
use crate::config::{
    Config, Listen, OnFailure, Proxies, ProxyUrl, RealmEntry, Sources, StatusSocket,
};
use crate::wire::Service;

fn addrs(listen: &Listen) -> (Vec<String>, Vec<String>) {
    let shown = |endpoints: &[crate::config::endpoint::Endpoint]| {
        endpoints.iter().map(ToString::to_string).collect()
    };
    (shown(&listen.kdc), shown(&listen.kpasswd))
}

fn urls(entry: &RealmEntry) -> Vec<&str> {
    entry
        .proxies
        .listed()
        .into_iter()
        .map(|proxy| proxy.as_url().as_str())
        .collect()
}

#[test]
fn nothing_at_all_is_the_defaults() {
    let config = build("");
    assert_eq!(
        addrs(&config.listen),
        (
            vec!["127.0.0.1:88".into(), "[::1]:88".into()],
            vec!["127.0.0.1:464".into(), "[::1]:464".into()]
        )
    );
    let optional: Vec<_> = config
        .listen
        .kdc
        .iter()
        .chain(&config.listen.kpasswd)
        .map(|endpoint| endpoint.optional)
        .collect();
    assert_eq!(optional, [false, true, false, true]);
    assert_eq!(config.listen.udp_reply_max_bytes, 4096);
    assert_eq!(config.listen.max_connections, 1024);
    assert_eq!(config.listen.idle_timeout, Duration::from_secs(30));
    assert_eq!(config.listen.max_in_flight, 512);
    assert_eq!(config.listen.unix_mode, 0o666);
    assert_eq!(config.listen.status_mode, 0o666);
    assert_eq!(config.listen.status_socket, StatusSocket::Usual);
    assert_eq!(config.default_on_failure, OnFailure::Unreachable);
    assert!(config.realms.is_empty());
}

#[test]
fn a_configured_ipv6_address_is_not_optional() {
    let config = build("[listen]\nkdc = [\"[::1]:88\"]\n");
    assert!(!config.listen.kdc[0].optional);
}

#[test]
fn an_empty_list_offers_no_such_service() {
    let config = build("[listen]\nkpasswd = []\n");
    assert_eq!(
        (config.listen.kdc.len(), config.listen.kpasswd.len()),
        (2, 0)
    );
}

#[test]
fn addresses_are_sorted_by_who_reaches_them() {
    let config = build(
        "[listen]\nallow-remote-clients = true\nunix-mode = \"0660\"\n\
         kdc = [\"127.9.9.9:88\", \"[::ffff:127.0.0.1]:88\", \"192.0.2.1:88\", \"unix:/run/k\", \"127.0.0.1:0\", \"127.0.0.1:0\"]\n",
    );
    let kinds = config
        .listen
        .kdc
        .iter()
        .map(|endpoint| match &endpoint.addr {
            EndpointAddr::Loopback(addr) => format!("loopback {}", addr.get()),
            EndpointAddr::Remote(addr) => format!("remote {addr}"),
            EndpointAddr::Unix(path) => format!("unix {}", path.display()),
        });
    let kinds: Vec<_> = kinds.collect();
    let expected = [
        "loopback 127.9.9.9:88",
        "loopback 127.0.0.1:88",
        "remote 192.0.2.1:88",
        "unix /run/k",
        "loopback 127.0.0.1:0",
        "loopback 127.0.0.1:0",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(config.listen.unix_mode, 0o660);
}

#[test]
fn the_status_is_read_where_it_is_said() {
    for (written, expected) in [
        ("off", StatusSocket::Off),
        ("/run/s.sock", StatusSocket::At("/run/s.sock".into())),
        ("unix:/run/s.sock", StatusSocket::At("/run/s.sock".into())),
    ] {
        let config = build(&format!(
            "[listen]\nstatus-socket = {written:?}\nstatus-mode = \"0600\"\n"
        ));
        assert_eq!(config.listen.status_socket, expected);
        assert_eq!(config.listen.status_mode, 0o600);
    }
}

#[test]
fn a_realm_says_more_than_the_defaults() {
    let config = build(
        r#"
        [defaults]
        proxies = ["https://d"]
        deadline-seconds = 20
        on-failure = "explain"
        dclocator-hint = 0x10
        [realms."B"]
        [realms."A"]
        proxies = ["https://one/", "https://two/KdcProxy/", "https://three?x=1", "https://four/jet/KdcProxy/token"]
        deadline-seconds = 5
        on-failure = "unreachable"
        aliases = ["CORP", "corp.a"]
        target-domain = "a.B"
        dclocator-hint = 0
        "#,
    );
    let [b, a] = &config.realms[..] else {
        panic!("{:?}", config.realms)
    };
    assert_eq!(
        (b.pattern.to_string().as_str(), urls(b)),
        ("B", vec!["https://d/KdcProxy"])
    );
    assert_eq!(
        (b.deadline, b.on_failure, b.dclocator_hint),
        (Duration::from_secs(20), OnFailure::Explain, Some(16))
    );
    assert_eq!((b.target_domain.as_deref(), b.aliases.len()), (None, 0));
    let proxies = [
        "https://one/KdcProxy",
        "https://two/KdcProxy/",
        "https://three/KdcProxy?x=1",
        "https://four/jet/KdcProxy/token",
    ];
    assert_eq!(urls(a), proxies);
    assert_eq!(
        (a.deadline, a.on_failure, a.dclocator_hint),
        (Duration::from_secs(5), OnFailure::Unreachable, Some(0))
    );
    let aliases: Vec<_> = a.aliases.iter().map(|alias| alias.as_str()).collect();
    assert_eq!(
        (a.target_domain.as_deref(), aliases),
        (Some("a.B"), vec!["CORP", "corp.a"])
    );
    assert_eq!(config.default_on_failure, OnFailure::Explain);
}

#[test]
fn a_hint_is_names_or_a_number_signed_or_not() {
    let hint = |written: &str| {
        let text = format!("{REALM}dclocator-hint = {written}\n");
        build(&text).realms[0].dclocator_hint
    };
    for (written, flags) in [
        ("[]", 0),
        ("[\"pdc\"]", 0x80),
        ("[\"writable\"]", 0x1000),
        ("[\"writable\", \"pdc\"]", 0x1080),
        ("[\"next-closest-site\"]", 0x4_0000),
        ("4294967295", u32::MAX),
        ("-1", u32::MAX),
        ("-2147483648", 0x8000_0000),
        ("0x80000000", 0x8000_0000),
    ] {
        assert_eq!(hint(written), Some(flags), "{written}");
    }
    let ValueKind::Flags(names) = keys::DCLOCATOR_HINT.kind else {
        panic!("{:?}", keys::DCLOCATOR_HINT)
    };
    let is_flag = |name: &&str| hint(&format!("[{name:?}]")).is_some_and(|flags| flags != 0);
    assert!(names.iter().all(is_flag), "{names:?}");
}

/// The proxies of a service, those with a `*` that lead to the primary KDC.
fn order(config: &Config, service: Service) -> Vec<String> {
    let Proxies::Listed(listed) = &config.realms[0].proxies else {
        panic!("{:?}", config.realms)
    };
    let shown = |(proxy, primary): &(ProxyUrl, bool)| {
        let host = proxy.as_url().host_str().unwrap();
        format!("{host}{}", if *primary { "*" } else { "" })
    };
    listed.get(service).iter().map(shown).collect()
}

#[test]
fn what_only_some_proxies_serve_goes_to_those() {
    let [a, b, c] = ["a", "b", "c"].map(|name| format!("\"https://{name}\""));
    for (written, kdc, kpasswd) in [
        (format!("proxies = [{a}, {b}]"), "a b", "a b"),
        // Last for logins, as libkrb5 has it, and first for password changes.
        (
            format!("proxies = {a}\nprimary-proxies = [{b}, {c}]"),
            "a b* c*",
            "b* c* a",
        ),
        (
            format!("proxies = [{a}, {b}, {c}]\nprimary-proxies = [{b}]"),
            "a b* c",
            "b* a c",
        ),
        (format!("primary-proxies = [{a}, {b}]"), "a* b*", "a* b*"),
        (
            format!("proxies = [{a}]\nkpasswd-proxies = [{b}]"),
            "a",
            "b",
        ),
        (
            format!("proxies = [{a}]\nprimary-proxies = [{b}]\nkpasswd-proxies = [{c}, {b}]"),
            "a b*",
            "c b*",
        ),
    ] {
        let config = build(&format!("[realms.\"A\"]\n{written}\n"));
        assert_eq!(order(&config, Service::Kdc).join(" "), kdc, "{written}");
        let for_kpasswd = order(&config, Service::Kpasswd).join(" ");
        assert_eq!(for_kpasswd, kpasswd, "{written}");
    }
    // Under a wildcard, beside those of all realms, and where the command line says which proxies there are.
    let special = format!("primary-proxies = [{b}]\nkpasswd-proxies = [{c}]\n");
    let text = format!("[defaults]\nproxies = [{a}]\n[realms.\"*.A\"]\n{special}");
    let inherited = build(&text);
    assert_eq!(order(&inherited, Service::Kdc), ["a", "b*"]);
    assert_eq!(order(&inherited, Service::Kpasswd), ["c"]);
    let given = Sources {
        realms: vec!["*.A=https://d".to_owned()],
        ..Sources::default()
    };
    let given = build_with(&text, &given);
    for service in [Service::Kdc, Service::Kpasswd] {
        assert_eq!(order(&given, service), ["d"]);
    }
}

#[test]
fn plain_text_can_be_allowed_and_is_warned_about() {
    let config = build("[realms.\"A\"]\nproxies = [\"http://p\"]\nallow-plaintext = true\n");
    assert_eq!(
        warnings(&config),
        ["realm A goes to http://p/KdcProxy in plain text"]
    );
    let config =
        build("[defaults]\nallow-plaintext = true\n[realms.\"A\"]\nproxies = [\"http://p\"]\n");
    assert!(config.realms[0].proxies.listed()[0].is_plaintext());
}

#[test]
fn what_is_valid_can_still_deserve_a_warning() {
    assert_eq!(warnings(&build(REALM)), [""; 0]);
    assert_eq!(
        warnings(&build("")),
        ["no realm is configured: to every client it will look as if no KDC could be reached"]
    );
    let text = "[listen]\nallow-remote-clients = true\nkdc = [\"0.0.0.0:88\"]\n\
                [realms.\"*\"]\nproxies = [\"https://p\"]\n\
                [realms.\"b\"]\nproxies = [\"https://p\"]\n\
                [realms.\"c\"]\nproxies = [\"https://p\"]\ntarget-domain = \"C\"\n";
    assert_eq!(
        warnings(&build(text)),
        [
            "0.0.0.0:88 is not a loopback address: other machines can use this tunnel",
            "realm * lets any local user choose the realm that the proxy is asked about",
            "realm b is sent to the proxy in this spelling, and most realms are upper case",
        ]
    );
}

#[test]
fn the_command_line_replaces_the_proxies_and_nothing_else() {
    let text = "[defaults]\ndeadline-seconds = 3\n[realms.\"A\"]\nproxies = [\"https://old\"]\non-failure = \"explain\"\n";
    let config = build_with(
        text,
        &given(&[
            "*.B=https://b1",
            "a=https://new1",
            "*.b=https://b2",
            "A=https://new2/x",
        ]),
    );
    let [a, b] = &config.realms[..] else {
        panic!("{:?}", config.realms)
    };
    assert_eq!(
        (a.pattern.to_string().as_str(), a.on_failure),
        ("A", OnFailure::Explain)
    );
    assert_eq!(urls(a), ["https://new1/KdcProxy", "https://new2/x"]);
    assert_eq!(
        (b.pattern.to_string().as_str(), b.deadline),
        ("*.B", Duration::from_secs(3))
    );
    assert_eq!(urls(b), ["https://b1/KdcProxy", "https://b2/KdcProxy"]);
}

#[test]
fn the_command_line_replaces_the_lists_of_addresses() {
    let text = "[listen]\nkdc = [\"127.0.0.1:88\"]\nkpasswd = [\"127.0.0.1:464\"]\n";
    let sources = Sources {
        listen_kdc: vec!["127.0.0.1:1088".into(), "unix:/run/k".into()],
        ..Sources::default()
    };
    let config = build_with(text, &sources);
    assert_eq!(
        addrs(&config.listen),
        (
            vec!["127.0.0.1:1088".into(), "unix:/run/k".into()],
            vec!["127.0.0.1:464".into()]
        )
    );
}

#[test]
fn certificates_are_relative_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("two.pem"), certificate() + &certificate()).unwrap();
    let other = dir.path().join("other.pem");
    fs::write(&other, certificate()).unwrap();
    let file = dir.path().join("config.toml");
    let text = "[defaults]\nproxies = [\"https://p\"]\nca-file = \"two.pem\"\n[realms.\"A\"]\n[realms.\"B\"]\n[realms.\"C\"]\n";
    fs::write(&file, text).unwrap();
    let sources = Sources {
        file: Some(file.clone()),
        ca_file: Some(other.clone()),
        ..given(&["C=https://c"])
    };
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.source, Some(file));
    let cas: Vec<_> = config
        .realms
        .iter()
        .map(|entry| entry.ca.clone().unwrap())
        .collect();
    let [a, b, c] = &cas[..] else {
        panic!("{cas:?}")
    };
    assert_eq!(
        (a.path.clone(), a.certs.len()),
        (dir.path().join("two.pem"), 2)
    );
    assert_eq!(a, b);
    assert_eq!((&c.path, c.certs.len()), (&other, 1));
}

#[test]
fn realms_on_the_command_line_need_no_file() {
    let config = Config::load(&given(&["A=https://p"])).unwrap();
    assert_eq!((config.source, config.realms.len()), (None::<PathBuf>, 1));
}
