//! What is refused of proxies, of the certificates that vouch for them, and of the command line.

use std::fs;
use std::process::Command;

use super::{REALM, build, build_with, certificate, error, error_with, given, refused, warnings};
use crate::config::{Config, Proxies, Sources};
use crate::relay::upstream::dns::Discovery;
use crate::relay::upstream::kdc::Permitted;

refused! {
    a_proxy_without_a_scheme: "[defaults]\nproxies = [\"https://p\", \"kdcproxy.example.com\"]\n" => r#"
loopkdc: error: f.toml:2:25: not a URL: relative URL without a base
  |
2 | proxies = ["https://p", "kdcproxy.example.com"]
  |                         ^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write "https://kdcproxy.example.com"
"#;
    a_proxy_with_a_port_and_no_scheme: "[defaults]\nproxies = [\"kdcproxy.example.com:443/KdcProxy\"]\n" => r#"
loopkdc: error: f.toml:2:12: a proxy is an https:// URL
  |
2 | proxies = ["********************:************"]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write "https://kdcproxy.example.com:443/KdcProxy"
"#;
    a_proxy_of_another_scheme: "[defaults]\nproxies = [\"ldap://kdc\"]\n" => r#"
loopkdc: error: f.toml:2:12: a proxy is an https:// URL
  |
2 | proxies = ["ldap://kdc"]
  |            ^^^^^^^^^^^^
loopkdc: hint: write it like "https://kdcproxy.example.com/KdcProxy"
"#;
    a_proxy_as_apple_writes_it: "[defaults]\nproxies = [\"kkdcp://kps.example.com/KdcProxy\"]\n" => r#"
loopkdc: error: f.toml:2:12: a proxy is an https:// URL
  |
2 | proxies = ["kkdcp://kps.example.com/KdcProxy"]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write "https://kps.example.com/KdcProxy"
"#;
    a_proxy_as_windows_writes_it: "[defaults]\nproxies = [\"kps.example.com:443:KdcProxy\"]\n" => r#"
loopkdc: error: f.toml:2:12: a proxy is an https:// URL
  |
2 | proxies = ["kps.example.com:443:KdcProxy"]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write "https://kps.example.com:443/KdcProxy"
"#;
    a_proxy_without_a_host: "[defaults]\nproxies = [\"https://:443/KdcProxy\"]\n" => r#"
loopkdc: error: f.toml:2:12: not a URL: empty host
  |
2 | proxies = ["https://:443/KdcProxy"]
  |            ^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "https://kdcproxy.example.com/KdcProxy"
"#;
    a_proxy_that_is_empty: "[defaults]\nproxies = [\"\"]\n" => r#"
loopkdc: error: f.toml:2:12: not a URL: relative URL without a base
  |
2 | proxies = [""]
  |            ^^
loopkdc: hint: write it like "https://kdcproxy.example.com/KdcProxy"
"#;
    a_proxy_with_a_password: "[defaults]\nproxies = [\"https://u:s@p/KdcProxy\"]\n" => r#"
loopkdc: error: f.toml:2:12: a proxy's URL has no user name, password or fragment: none would be sent
  |
2 | proxies = ["https://***@p/KdcProxy"]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "https://kdcproxy.example.com/KdcProxy"
"#;
    a_proxy_with_a_password_and_no_brackets: "[defaults]\nproxies = \"https://u:it's a/b@p/KdcProxy\"\n" => r#"
loopkdc: error: f.toml:2:11: not a URL: invalid port number
  |
2 | proxies = "https://**********@p/KdcProxy"
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "https://kdcproxy.example.com/KdcProxy"
"#;
    a_proxy_with_a_fragment: "[defaults]\nproxies = [\"https://p/KdcProxy#x\"]\n" => r#"
loopkdc: error: f.toml:2:12: a proxy's URL has no user name, password or fragment: none would be sent
  |
2 | proxies = ["https://p/KdcProxy#*"]
  |            ^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "https://kdcproxy.example.com/KdcProxy"
"#;
    a_proxy_listed_twice: "[realms.\"A\"]\nproxies = [\"https://p\", \"https://P:443/KdcProxy\"]\n" => r#"
loopkdc: error: f.toml:2:25: https://p/KdcProxy is listed twice
  |
2 | proxies = ["https://p", "https://P:443/KdcProxy"]
  |                         ^^^^^^^^^^^^^^^^^^^^^^^^
"#;
    plain_text: "[realms.\"A\"]\nproxies = [\"http://p\"]\n" => r#"
loopkdc: error: f.toml:2:12: http:// would send what realm A is asked across the network in plain text
  |
2 | proxies = ["http://p"]
  |            ^^^^^^^^^^
loopkdc: hint: write https://, or set allow-plaintext = true for the realm in the file
"#;
    plain_text_that_one_realm_forbids: "[defaults]\nproxies = [\"http://p\"]\nallow-plaintext = true\n[realms.\"A\"]\nallow-plaintext = false\n" => r#"
loopkdc: error: f.toml:2:12: http:// would send what realm A is asked across the network in plain text
  |
2 | proxies = ["http://p"]
  |            ^^^^^^^^^^
loopkdc: hint: write https://, or set allow-plaintext = true for the realm in the file
"#;
    another_word: "[realms.\"A\"]\nproxies = \"dns\"\n" => r#"
loopkdc: error: f.toml:2:11: not a URL: relative URL without a base
  |
2 | proxies = "dns"
  |           ^^^^^
loopkdc: hint: write "https://dns"
"#;
    a_look_up_for_a_wildcard: "[realms.\"*.A\"]\nproxies = \"discover\"\n" => r#"
loopkdc: error: f.toml:2:11: proxies are looked up for one realm, not for a wildcard
  |
2 | proxies = "discover"
  |           ^^^^^^^^^^
loopkdc: hint: list its proxies: proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    a_look_up_for_all_realms_and_a_wildcard: "[defaults]\nproxies = \"discover\"\n[realms.\"*\"]\n" => r#"
loopkdc: error: f.toml:3:9: proxies are looked up for one realm, not for a wildcard
  |
3 | [realms."*"]
  |         ^^^
loopkdc: hint: list its proxies: proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    a_look_up_for_a_realm_that_is_no_domain: "[realms.\"C=US\"]\nproxies = \"discover\"\n" => r#"
loopkdc: error: f.toml:2:11: realm C=US is no DNS domain
  |
2 | proxies = "discover"
  |           ^^^^^^^^^^
loopkdc: hint: list its proxies: proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    the_word_of_a_look_up_beside_others: "[realms.\"A\"]\nproxies = [\"https://p\", \"discover\"]\n" => r#"
loopkdc: error: f.toml:2:25: "discover" stands alone, in proxies
  |
2 | proxies = ["https://p", "discover"]
  |                         ^^^^^^^^^^
loopkdc: hint: list URLs, or have DNS name them: proxies = "discover"
"#;
    primary_proxies_beside_a_look_up: "[realms.\"A\"]\nproxies = \"discover\"\nprimary-proxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:3:19: with proxies = "discover" DNS says what each proxy is for
  |
3 | primary-proxies = ["https://p"]
  |                   ^^^^^^^^^^^^^
loopkdc: hint: list proxies too, or take primary-proxies away
"#;
    kpasswd_proxies_beside_a_look_up_for_all: "[defaults]\nproxies = \"discover\"\n[realms.\"A\"]\nkpasswd-proxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:4:19: with proxies = "discover" DNS says what each proxy is for
  |
4 | kpasswd-proxies = ["https://p"]
  |                   ^^^^^^^^^^^^^
loopkdc: hint: list proxies too, or take kpasswd-proxies away
"#;
    kpasswd_proxies_alone: "[realms.\"A\"]\nkpasswd-proxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:1:9: realm A has no proxies
  |
1 | [realms."A"]
  |         ^^^
loopkdc: hint: add to it: proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    no_primary_proxies: "[realms.\"A\"]\nproxies = [\"https://p\"]\nprimary-proxies = []\n" => r#"
loopkdc: error: f.toml:3:19: primary-proxies is empty
  |
3 | primary-proxies = []
  |                   ^^
loopkdc: hint: take the line away
"#;
    primary_proxies_of_all_realms: "[defaults]\nprimary-proxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:2:19: primary-proxies belongs to one realm: it can't stand in [defaults]
  |
2 | primary-proxies = ["https://p"]
  |                   ^^^^^^^^^^^^^
loopkdc: hint: move it under the realm: [realms."EXAMPLE.COM"]
"#;
    a_primary_proxy_in_plain_text: "[realms.\"A\"]\nproxies = [\"https://p\"]\nprimary-proxies = [\"http://q\"]\n" => r#"
loopkdc: error: f.toml:3:20: http:// would send what realm A is asked across the network in plain text
  |
3 | primary-proxies = ["http://q"]
  |                    ^^^^^^^^^^
loopkdc: hint: write https://, or set allow-plaintext = true for the realm in the file
"#;
    a_kpasswd_proxy_listed_twice: "[realms.\"A\"]\nproxies = [\"https://p\"]\nkpasswd-proxies = [\"https://q/token\", \"https://q/token\"]\n" => r#"
loopkdc: error: f.toml:3:39: https://q/***** is listed twice
  |
3 | kpasswd-proxies = ["https://q/*****", "https://q/*****"]
  |                                       ^^^^^^^^^^^^^^^^^
"#;
    a_ca_file_that_is_not_there: "[realms.\"A\"]\nproxies = [\"https://p\"]\nca-file = \"ca.pem\"\n" => r#"
loopkdc: error: f.toml:3:11: ca-file /nowhere/ca.pem does not exist
  |
3 | ca-file = "ca.pem"
  |           ^^^^^^^^
"#;
}

/// What is taken of what DNS says of the proxies, if it is asked.
fn allowed(config: &Config) -> Option<(bool, Permitted)> {
    let allowed = |discovery: &Discovery| (discovery.plaintext, discovery.permitted());
    match &config.realms[0].proxies {
        Proxies::Listed(_) => None,
        Proxies::Discovered(discovery) => Some(allowed(discovery)),
    }
}

#[test]
fn the_url_that_is_meant_is_told() {
    for (written, meant) in [
        (
            "<https kps.example.com::KdcProxy />",
            "https://kps.example.com/KdcProxy",
        ),
        (
            "https://kps.example.com:443:KdcProxy",
            "https://kps.example.com:443/KdcProxy",
        ),
        ("KKDCP://kps.example.com", "https://kps.example.com"),
        (
            "//kps.example.com/KdcProxy",
            "https://kps.example.com/KdcProxy",
        ),
        (
            "[2001:db8::1]:443:KdcProxy",
            "https://[2001:db8::1]:443/KdcProxy",
        ),
        (
            "kps.example.com:443:jet/t0ken",
            "https://kps.example.com:443/***/*****",
        ),
        (
            "https//kps.example.com/KdcProxy",
            "https://kps.example.com/KdcProxy",
        ),
        ("htps://kps.example.com", "https://kps.example.com"),
        (
            r"\\kps.example.com\KdcProxy",
            "https://kps.example.com/KdcProxy",
        ),
        // None is.
        (
            "kps.example.com:https:KdcProxy",
            "https://kdcproxy.example.com/KdcProxy",
        ),
        ("<https  />", "https://kdcproxy.example.com/KdcProxy"),
    ] {
        let error = error(&format!("[defaults]\nproxies = [{written:?}]\n"));
        assert!(error.ends_with(&format!("{meant:?}")), "{written}: {error}");
    }
}

#[test]
fn proxies_are_looked_up_where_that_is_said() {
    let discover = "proxies = \"discover\"\n";
    let strict = (false, Permitted::OtherHosts(Vec::new()));
    for text in [
        format!("[realms.\"A\"]\n{discover}"),
        format!("[defaults]\n{discover}[realms.\"A\"]\n"),
        "[realms.\"A\"]\nproxies = [\"discover\"]\n".to_owned(),
    ] {
        let config = build(&text);
        assert_eq!(allowed(&config), Some(strict.clone()));
        assert_eq!(warnings(&config), [""; 0]);
    }
    let given = build_with("", &given(&["A=discover"]));
    assert_eq!(allowed(&given), Some(strict));
    let listed = build(&format!("[defaults]\n{discover}{REALM}"));
    assert_eq!(allowed(&listed), None);
    let lax = build(&format!(
        "[defaults]\ndiscover-networks = [\"10.0.0.1\"]\n[realms.\"A\"]\n{discover}allow-plaintext = true\n"
    ));
    let network = "10.0.0.1/32".parse().unwrap();
    let expected = (true, Permitted::OtherHosts(vec![network]));
    assert_eq!(allowed(&lax), Some(expected));
    let warning = "realm A may go in plain text to any proxy that DNS names";
    assert_eq!(warnings(&lax), [warning]);
}

#[test]
fn the_command_line_keeps_the_rules_of_the_file() {
    let example =
        "loopkdc: hint: write it like --realm EXAMPLE.COM=https://kdcproxy.example.com/KdcProxy";
    assert_eq!(
        error_with("", &given(&["A"])),
        format!("loopkdc: error: --realm A: no = between the realm and its proxy\n{example}")
    );
    let plain = error_with("", &given(&["A=https://p", "A=http://p"]));
    assert!(
        plain.starts_with(
            "loopkdc: error: --realm A=http://p: http:// would send what realm A is asked"
        ),
        "{plain}"
    );
    let twice = error_with("", &given(&["A=https://p", "a=https://p"]));
    assert_eq!(
        twice,
        "loopkdc: error: --realm a=https://p: https://p/KdcProxy is listed twice"
    );
    let alias = error_with(
        &format!("{REALM}aliases = [\"B\"]\n"),
        &given(&["B=https://p"]),
    );
    assert_eq!(
        alias,
        "loopkdc: error: --realm B=https://p: realm B is configured twice (letter case makes no difference)"
    );
    let wide = Sources {
        listen_kdc: vec!["192.0.2.1:88".to_owned()],
        ..Sources::default()
    };
    assert!(error_with("", &wide).starts_with(
        "loopkdc: error: --listen-kdc 192.0.2.1:88: 192.0.2.1:88 is not a loopback address\n"
    ));
    let ca = Sources {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..given(&["A=https://p"])
    };
    assert_eq!(
        error_with("", &ca),
        "loopkdc: error: --ca: ca-file /nowhere/ca.pem does not exist"
    );
}

#[test]
fn one_proxy_needs_no_brackets() {
    let one = build("[realms.\"A\"]\nproxies = \"https://p\"\n");
    assert_eq!(
        one.realms[0].proxies.listed(),
        build(REALM).realms[0].proxies.listed()
    );
}

/// Loads a configuration that names `ca.pem` beside it, and returns what the user reads.
fn with_ca(pem: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    fs::write(dir.path().join("ca.pem"), pem).unwrap();
    fs::write(&file, format!("{REALM}ca-file = \"ca.pem\"\n")).unwrap();
    let failure = Config::load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap_err();
    failure
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_ca_file_without_certificates() {
    assert_eq!(
        with_ca("0: Certificate\n"),
        "loopkdc: error: config.toml:3:11: ca-file ca.pem holds no certificate in PEM
  |
3 | ca-file = \"ca.pem\"
  |           ^^^^^^^^
loopkdc: hint: see what it holds, and name a file in which a line begins with -----BEGIN: cat ca.pem"
    );
}

/// Two certificates by openssl in another form, what is said of that, and that it is well once the command of the hint was typed.
#[test]
fn a_ca_file_in_another_form_is_named_with_the_command_that_converts_it() {
    let forms = [
        (
            "(printf '\\357\\273\\277'; cat a b) >ca.pem",
            "begins with a byte order mark",
        ),
        ("iconv -f utf-8 -t utf-16 two >ca.pem", "is in UTF-16"),
        ("iconv -f utf-8 -t utf-16le two >ca.pem", "is in UTF-16"),
        ("iconv -f utf-8 -t utf-16be two >ca.pem", "is in UTF-16"),
        (
            "openssl pkcs12 -export -nokeys -in two -out ca.pem -passout pass:pw",
            "is PKCS #12",
        ),
        (
            "for n in a b; do openssl x509 -in $n -trustout -addtrust serverAuth; done >ca.pem",
            "holds certificates in OpenSSL's own form",
        ),
        (
            "sed 's/CERTIFICATE/X509 CERTIFICATE/' two >ca.pem",
            "holds certificates in OpenSSL's own form",
        ),
        (
            "openssl crl2pkcs7 -nocrl -certfile two -out ca.pem",
            "holds PKCS #7",
        ),
        (
            "openssl crl2pkcs7 -nocrl -certfile two -outform der -out ca.pem",
            "is PKCS #7 in DER",
        ),
    ];
    let one = ("openssl x509 -in a -outform der -out ca.pem", "is in DER");
    for ((script, form), count) in forms.map(|form| (form, 2)).into_iter().chain([(one, 1)]) {
        let dir = tempfile::tempdir().unwrap();
        let run = |script: &str| {
            let mut sh = Command::new("sh");
            let output = sh.args(["-e", "-c", script]).current_dir(&dir).output();
            let output = output.unwrap();
            let cried = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{script}: {cried}");
        };
        let file = dir.path().join("config.toml");
        let load = |name: &str| {
            fs::write(&file, format!("{REALM}ca-file = \"{name}\"\n")).unwrap();
            Config::load(&Sources {
                file: Some(file.clone()),
                ..Sources::default()
            })
        };
        run("for n in a b; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out $n -subj /CN=$n
            done; cat a b >two");
        run(script);
        let shown = load("ca.pem").unwrap_err().to_string();
        let shown = shown.replace(&format!("{}/", dir.path().display()), "");
        let (error, hint) = shown.split_once("\nloopkdc: hint: ").unwrap();
        assert!(
            error.contains(&format!("ca-file ca.pem {form}\n")),
            "{shown}"
        );
        let command = hint.strip_prefix("convert it, and name ca.pem.pem instead: ");
        // It would ask for the passphrase.
        let command = command.unwrap().replace("pkcs12", "pkcs12 -passin pass:pw");
        run(&command);
        let config = load("ca.pem.pem").unwrap();
        let ca = config.realms[0].ca.as_ref().unwrap();
        assert_eq!(ca.certs.len(), count, "{script}");
    }
}

#[test]
fn a_ca_file_cut_short() {
    let whole = certificate();
    let shown = with_ca(&whole[..whole.len() - 10]);
    assert!(
        shown.starts_with("loopkdc: error: config.toml:3:11: ca-file ca.pem is not PEM: the line -----END CERTIFICATE----- is missing\n"),
        "{shown}"
    );
}

#[test]
fn a_ca_file_whose_second_certificate_is_none() {
    let shown = with_ca(&format!(
        "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        certificate()
    ));
    assert!(
        shown.starts_with(
            "loopkdc: error: config.toml:3:11: ca-file ca.pem: certificate 2 is of no use: it breaks the rules of X.509 (RFC 5280)\n"
        ),
        "{shown}"
    );
}
