//! `[gateway]`.

use std::path::Path;

use super::{GATEWAY, REALM, build, error, refused, serving, warnings};
use crate::config::gateway::{AccessLogSettings, AccessLogTarget};
use crate::config::keys;
use crate::config::tests::names;

refused! {
    https_without_a_certificate: "[gateway]\n" => r#"
loopkdc: error: f.toml: HTTPS needs a certificate and its key
loopkdc: hint: add to [gateway]: certificate = "gateway.pem" and key = "gateway-key.pem"
loopkdc: hint: to serve a reverse proxy on this machine instead: listen = [] and plain-listen = ["127.0.0.1:8080"]"#;
    a_certificate_without_a_key: "[gateway]\ncertificate = \"c\"\n" => r#"
loopkdc: error: f.toml:2:15: HTTPS needs a certificate and its key
  |
2 | certificate = "c"
  |               ^^^
loopkdc: hint: add to [gateway]: certificate = "gateway.pem" and key = "gateway-key.pem"
loopkdc: hint: to serve a reverse proxy on this machine instead: listen = [] and plain-listen = ["127.0.0.1:8080"]"#;
    a_key_without_a_certificate: "[gateway]\nkey = \"k\"\n" => r#"
loopkdc: error: f.toml:2:7: HTTPS needs a certificate and its key
  |
2 | key = "k"
  |       ^^^
loopkdc: hint: add to [gateway]: certificate = "gateway.pem" and key = "gateway-key.pem"
loopkdc: hint: to serve a reverse proxy on this machine instead: listen = [] and plain-listen = ["127.0.0.1:8080"]"#;
    a_client_certificate_from_nobody: "[gateway]\ncertificate = \"c\"\nkey = \"k\"\nrequire-client-cert = true\n" => r#"
loopkdc: error: f.toml:4:23: require-client-cert needs to know who signs them
  |
4 | require-client-cert = true
  |                       ^^^^
loopkdc: hint: add: client-ca-file = "clients-ca.pem""#;
    plain_http_for_others: "[gateway]\nlisten = []\nplain-listen = [\"[::1]:1\", \"192.0.2.1:8080\"]\n" => r#"
loopkdc: error: f.toml:3:28: 192.0.2.1:8080 is not a loopback address, and plain HTTP is served to this machine alone
  |
3 | plain-listen = ["[::1]:1", "192.0.2.1:8080"]
  |                            ^^^^^^^^^^^^^^^^
loopkdc: hint: to serve other machines, move it to listen"#;
    https_over_a_unix_socket: "[gateway]\nlisten = [\"unix:/run/s\"]\n" => r#"
loopkdc: error: f.toml:2:11: HTTPS is served over TCP
  |
2 | listen = ["unix:/run/s"]
  |           ^^^^^^^^^^^^^
loopkdc: hint: a Unix socket for a reverse proxy belongs into plain-listen"#;
    an_address_in_both_lists: "[gateway]\nlisten = [\"127.0.0.1:1\"]\nplain-listen = [\"127.0.0.1:1\"]\n" => r#"
loopkdc: error: f.toml:3:17: 127.0.0.1:1 is listed twice
  |
3 | plain-listen = ["127.0.0.1:1"]
  |                 ^^^^^^^^^^^^^"#;
    a_balancer_that_nobody_trusts: "[gateway]\nlisten = [{ address = \"127.0.0.1:1\", proxy-protocol = true }]\n" => r#"
loopkdc: error: f.toml:2:11: proxy-protocol without trusted-proxies: every connection would be refused
  |
2 | listen = [{ address = "127.0.0.1:1", proxy-protocol = true }]
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: add to [gateway] where the balancer connects from: trusted-proxies = ["192.0.2.10"]"#;
    a_listener_without_an_address: "[gateway]\nlisten = [{ proxy-protocol = true }]\n" => r#"
loopkdc: error: f.toml:2:11: address is missing
  |
2 | listen = [{ proxy-protocol = true }]
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like { address = "0.0.0.0:8443", proxy-protocol = true }"#;
    a_listener_with_another_key: "[gateway]\nplain-listen = [{ address = \"127.0.0.1:1\", proxy-protokol = true }]\n" => r#"
loopkdc: error: f.toml:2:44: unknown key `proxy-protokol`
  |
2 | plain-listen = [{ ******* = "*********:*", ************** = **** }]
  |                                            ^^^^^^^^^^^^^^
loopkdc: hint: did you mean proxy-protocol?"#;
    an_address_in_both_forms: "[gateway]\nlisten = [\"127.0.0.1:1\"]\nplain-listen = [{ address = \"127.0.0.1:1\" }]\n" => r#"
loopkdc: error: f.toml:3:17: 127.0.0.1:1 is listed twice
  |
3 | plain-listen = [{ address = "127.0.0.1:1" }]
  |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^"#;
    nothing_to_serve: "[gateway]\nlisten = []\nplain-listen = []\n" => r#"
loopkdc: error: f.toml:3:16: listen and plain-listen are both empty: nothing would be served
  |
3 | plain-listen = []
  |                ^^"#;
    a_path_with_a_query: "[gateway]\ncertificate = \"c\"\nkey = \"k\"\npath = \"/KdcProxy?x\"\n" => r#"
loopkdc: error: f.toml:4:8: a path begins with / and holds no space, %, ? or #
  |
4 | path = "/KdcProxy?x"
  |        ^^^^^^^^^^^^^
loopkdc: hint: the usual one is /KdcProxy"#;
    the_path_of_load_balancers: "[gateway]\ncertificate = \"c\"\nkey = \"k\"\npath = \"/Healthz/\"\n" => r#"
loopkdc: error: f.toml:4:8: /healthz is where load balancers ask
  |
4 | path = "/Healthz/"
  |        ^^^^^^^^^^^
loopkdc: hint: the usual one is /KdcProxy"#;
    metrics_over_unix: "[gateway]\ncertificate = \"c\"\nkey = \"k\"\nmetrics-listen = \"unix:/m\"\n" => r#"
loopkdc: error: f.toml:4:18: metrics are served over TCP
  |
4 | metrics-listen = "unix:/m"
  |                  ^^^^^^^^^
loopkdc: hint: write "127.0.0.1:9464""#;
    a_log_without_a_name: "[gateway]\ncertificate = \"c\"\nkey = \"k\"\naccess-log = \"\"\n" => r#"
loopkdc: error: f.toml:4:14: the access log has no name
  |
4 | access-log = ""
  |              ^^
loopkdc: hint: write "stderr", "off" or a file"#;
    a_key_of_run: "[gateway]\ncertificate = \"c\"\nkey = \"k\"\nudp-reply-max-bytes = 1\n" => format!(r#"
loopkdc: error: f.toml:4:1: unknown key `udp-reply-max-bytes`
  |
4 | udp-reply-max-bytes = 1
  | ^^^^^^^^^^^^^^^^^^^
loopkdc: hint: the keys known here are {}"#, names(keys::GATEWAY.service));
}

#[test]
fn files_are_relative_to_the_configuration() {
    let tls = serving("client-ca-file = \"sub/ca\"").tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/nowhere/c"));
    assert_eq!(tls.key, Path::new("/nowhere/k"));
    assert_eq!(tls.client_ca.unwrap(), Path::new("/nowhere/sub/ca"));
    assert!(!tls.require_client_cert);
    let log = serving("access-log = \"a.log\"").access_log.unwrap();
    assert_eq!(log.target, AccessLogTarget::File("/nowhere/a.log".into()));
}

#[test]
fn the_access_log_is_on_and_names_nobody_unless_told_otherwise() {
    let usual = AccessLogSettings {
        target: AccessLogTarget::Stderr,
        lines_per_second: 100,
        principals: false,
    };
    assert_eq!(serving("").access_log, Some(usual.clone()));
    assert_eq!(serving("access-log = \"off\"").access_log, None);
    let told = AccessLogSettings {
        lines_per_second: 7,
        principals: true,
        ..usual
    };
    let lines = "access-log-lines-per-second = 7\nlog-principals = true";
    assert_eq!(serving(lines).access_log, Some(told));
}

#[test]
fn messages_must_be_valid_unless_told_otherwise() {
    assert!(serving("").is_strict);
    assert!(serving("validate = \"strict\"").is_strict);
    assert!(!serving("validate = \"outline\"").is_strict);
    let outline = build(&format!("{GATEWAY}validate = \"outline\"\n{REALM}"));
    let told = "validate = \"outline\": KDCs get messages that are broken inside";
    assert_eq!(warnings(&outline), [told]);
}

#[test]
fn metrics_for_other_machines_are_told_of() {
    let warned = |addr: &str| {
        warnings(&build(&format!(
            "{GATEWAY}metrics-listen = \"{addr}\"\n{REALM}"
        )))
    };
    assert_eq!(warned("[::1]:9464"), [""; 0]);
    let told = "metrics-listen = \"0.0.0.0:9464\": whoever reaches it is told which realms are used, and how much";
    assert_eq!(warned("0.0.0.0:9464"), [told]);
}

#[test]
fn behind_a_reverse_proxy_no_certificate_is_needed() {
    let config =
        build("[gateway]\nlisten = []\nplain-listen = [\"unix:/run/s\", \"127.0.0.1:1\"]\n");
    assert!(config.serving.tls.is_none());
    assert_eq!(config.serving.plain.len(), 2);
    assert_eq!(
        warnings(&config),
        [
            "no realm is configured: every request will be refused; add [realms.\"EXAMPLE.COM\"] with kdcs",
            "plain-listen without trusted-proxies: all clients behind the reverse proxy count as one; set trusted-proxies"
        ]
    );
}

#[test]
fn each_listener_says_whether_balancers_of_layer_4_connect_there() {
    let serving = serving(
        "listen = [\"127.0.0.1:1\", { address = \"[::]:2\", proxy-protocol = true }]\n\
         plain-listen = [{ address = \"unix:/run/s\", proxy-protocol = true }, { address = \"127.0.0.1:3\" }]\n\
         trusted-proxies = [\"unix\"]",
    );
    let told = [&serving.https, &serving.plain].map(|list| {
        let told = list.iter();
        told.map(|endpoint| (endpoint.to_string(), endpoint.proxy_protocol))
            .collect::<Vec<_>>()
    });
    let expected = [
        [("127.0.0.1:1", false), ("[::]:2", true)],
        [("unix:/run/s", true), ("127.0.0.1:3", false)],
    ];
    assert_eq!(
        told,
        expected.map(|list| list.map(|(addr, told)| (addr.to_owned(), told)).to_vec())
    );
    assert!(serving.https.iter().all(|endpoint| !endpoint.optional));
}

#[test]
fn threads_are_as_many_as_is_said() {
    assert_eq!(serving("").threads, None);
    assert_eq!(serving("threads = 8").threads, Some(8));
}

#[test]
fn a_bound_can_be_taken_away_where_it_says_so() {
    let quotas = serving(
        "client-requests-per-second = 0\nclient-max-in-flight = 0\nfailed-logins-per-minute = 0",
    )
    .quotas;
    assert_eq!(
        [
            quotas.requests_per_second,
            quotas.in_flight,
            quotas.failures_per_minute
        ],
        [0; 3]
    );
    for line in [
        "client-burst = 0",
        "max-in-flight = 0",
        "threads = 0",
        "max-in-flight-per-kdc = 0",
    ] {
        let text = format!("[gateway]\ncertificate = \"c\"\nkey = \"k\"\n{line}\n");
        assert!(error(&text).contains(" goes from 1 to "), "{line}");
    }
}
