//! Who is let in.

use std::time::{Duration, SystemTime};

use super::{GATEWAY, build, refused, serving, try_build};
use crate::config::error::ConfigError;
use crate::config::gateway::{Tokens, TokensFile};

const CA: &str = "client-ca-file = \"ca.pem\"\n";

fn error(text: &str) -> String {
    super::error(&format!("{GATEWAY}{text}"))
}

refused! {
    clients_of_nobody: "clients = [{ san = \"a\", realms = [\"A\"] }]\n" => r#"
loopkdc: error: f.toml:4:11: clients needs to know who signs their certificates
  |
4 | clients = [{ san = "a", realms = ["A"] }]
  |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: add: client-ca-file = "clients-ca.pem""#;
    no_clients: "clients = []\n" => r#"
loopkdc: error: f.toml:4:11: no certificate would be let in
  |
4 | clients = []
  |           ^^
loopkdc: hint: name some, or take the key away: then all are let in"#;
    clients_without_realms: "clients = [{ san = \"a\" }]\n" => r#"
loopkdc: error: f.toml:4:12: realms is missing
  |
4 | clients = [{ san = "a" }]
  |            ^^^^^^^^^^^^^
loopkdc: hint: write it like { san = "*.laptops.example.com", realms = ["EXAMPLE.COM"] }"#;
    a_name_that_is_none: "clients = [{ san = \"a@b\", realms = [\"A\"] }]\n" => r#"
loopkdc: error: f.toml:4:12: a san is a DNS name, in which * stands for anything
  |
4 | clients = [{ san = "a@b", realms = ["A"] }]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write it like "*.laptops.example.com""#;
    clients_of_no_realm: "clients = [{ san = \"a\", realms = [] }]\n" => r#"
loopkdc: error: f.toml:4:12: no realm could be asked for
  |
4 | clients = [{ san = "a", realms = [] }]
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^"#;
    lists_of_nobody: "client-crl-file = \"c\"\n" => r#"
loopkdc: error: f.toml:4:19: client-crl-file needs to know whose lists it holds
  |
4 | client-crl-file = "c"
  |                   ^^^
loopkdc: hint: add: client-ca-file = "clients-ca.pem""#;
}

#[test]
fn everybody_is_let_in_unless_said_otherwise() {
    let nothing = serving("");
    assert!(nothing.clients.is_empty() && nothing.tokens.is_none());
    let said = serving(&format!(
        "{CA}clients = [{{ san = \"*.a\", realms = [\"A\", \"b\"] }}]\ntokens-file = \"t\""
    ));
    let [client] = &said.clients[..] else {
        panic!("{said:?}")
    };
    assert!(client.san.matches("X.A") && client.realms.len() == 2);
    assert_ne!(said, nothing);
}

#[test]
fn a_token_that_everybody_may_read_about_is_warned_of() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "{GATEWAY}tokens-file = {:?}\n[realms.\"A\"]\nkdcs = [\"k\"]\n",
        file.path()
    );
    assert_eq!(super::warnings(&build(&text)), Vec::<String>::new());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), mode).unwrap();
    let warnings = super::warnings(&try_build(&text).unwrap());
    assert!(
        warnings[0].contains("any local user may read"),
        "{warnings:?}"
    );
}

#[test]
fn a_realm_that_clients_may_ask_for_and_nobody_serves_is_warned_of() {
    let clients = "clients = [{ san = \"a\", realms = [\"a\", \"ALIAS\", \"TYPO\"] }]";
    let text = |more: &str| {
        format!(
            "{GATEWAY}{CA}{clients}\n[realms.\"A\"]\nkdcs = [\"k\"]\naliases = [\"ALIAS\"]\n{more}"
        )
    };
    let warnings = super::warnings(&build(&text("")));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("realm TYPO"), "{warnings:?}");
    let warnings = super::warnings(&build(&text("serve-other-realms = true\n")));
    assert!(warnings.is_empty(), "{warnings:?}");
}

fn tokens(text: &str) -> Result<Tokens, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.txt");
    std::fs::write(&path, text).unwrap();
    TokensFile(path)
        .read()
        .and_then(|file| Tokens::parse(&file))
}

/// SHA-256 of "token".
const HASH: &str = "3C469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0";

#[test]
fn a_token_is_found_by_its_hash_until_its_last_day_is_over() {
    let tokens = tokens(&format!("# ours\n\n laptop7\t{HASH} 2027-06-30 A B\r\n")).unwrap();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    // 2027-06-30T23:59:59Z
    let last = at(1_814_399_999);
    let found = tokens.find(b"token", last).unwrap();
    assert_eq!((&*found.name, found.realms.len()), ("laptop7", 2));
    assert!(
        tokens
            .find(b"token", last + Duration::from_secs(1))
            .is_none()
    );
    assert!(tokens.find(b"tokem", last).is_none());
    assert_eq!(tokens.count(), 1);
}

#[test]
fn what_is_no_line_of_tokens_is_told_and_not_repeated() {
    let other = HASH.replace("3C", "4C");
    let long = "x".repeat(65);
    for (line, rule) in [
        ("laptop7 secret never A".to_owned(), "no SHA-256"),
        ("laptop7".to_owned(), "no SHA-256"),
        (format!("laptop7 {HASH}00 never A"), "no SHA-256"),
        (format!("laptop7 +{} never A", &HASH[1..]), "no SHA-256"),
        (format!("laptop7 {HASH} tomorrow A"), "no day"),
        (format!("laptop7 {HASH} 2027-02-30 A"), "no day"),
        (format!("laptop7 {HASH} never"), "the realms"),
        (format!("{long} {HASH} never A"), "a name"),
        (format!("b {HASH} never A"), "earlier line"),
    ] {
        let first = if rule == "earlier line" { HASH } else { &other };
        let text = format!("a {first} never A\n{line}\n");
        let told = tokens(&text).unwrap_err().into_failure(None);
        let message = told.message();
        assert!(
            message.contains("line 2") && message.contains(rule),
            "{message}"
        );
        assert!(!message.contains("secret"), "{message}");
    }
    assert_eq!(tokens("").unwrap().count(), 0);
}
