//! What may be asked of a realm.

use super::{GATEWAY, REALM, build, realm, refused, warnings};
use crate::config::gateway::{AllowedPreauth, NamePattern, RealmPolicy};

fn error(text: &str) -> String {
    super::error(&format!("{GATEWAY}{text}"))
}

refused! {
    another_preauthentication: "[defaults]\npreauth = \"pkinit\"\n" => r#"
loopkdc: error: f.toml:5:11: preauth is "any" or "armored" or "no-timestamp"
  |
5 | preauth = "pkinit"
  |           ^^^^^^^^"#;
    a_name_with_a_realm: "[defaults]\ndeny-principals = [\"x\", \"root@A\"]\n" => r#"
loopkdc: error: f.toml:5:25: names stand here without their realm
  |
5 | deny-principals = ["x", "root@A"]
  |                         ^^^^^^^^
loopkdc: hint: write it like "administrator", "*/admin" or "HTTP/*""#;
    another_wildcard: "[defaults]\nallow-services = [\"host/www?\"]\n" => r#"
loopkdc: error: f.toml:5:19: * is the only wildcard
  |
5 | allow-services = ["host/www?"]
  |                   ^^^^^^^^^^^
loopkdc: hint: write it like "administrator", "*/admin" or "HTTP/*""#;
    an_empty_name: "[defaults]\ndeny-principals = [\" \"]\n" => r#"
loopkdc: error: f.toml:5:20: this is no name
  |
5 | deny-principals = [" "]
  |                    ^^^
loopkdc: hint: write it like "administrator", "*/admin" or "HTTP/*""#;
    no_service_at_all: "[defaults]\nallow-services = []\n" => r#"
loopkdc: error: f.toml:5:18: no ticket could be asked for
  |
5 | allow-services = []
  |                  ^^
loopkdc: hint: name the services, or take the key away: then there are tickets for all"#;
}

#[test]
fn everything_is_allowed_unless_said_otherwise() {
    assert_eq!(realm("kdcs = [\"k\"]").policy, RealmPolicy::default());
    let none = realm("kdcs = [\"k\"]\npreauth = \"any\"\ndeny-principals = []").policy;
    assert_eq!(none, RealmPolicy::default());
    assert!(!none.denies_principal("root") && none.allows_service("HTTP/a"));
}

#[test]
fn a_realm_says_more_than_the_defaults() {
    let text = format!(
        "{GATEWAY}[defaults]\npreauth = \"armored\"\ndeny-principals = [\"root\"]\n{REALM}preauth = \"no-timestamp\"\n"
    );
    let policy = &build(&text).realms[0].policy;
    assert_eq!(policy.preauth, AllowedPreauth::NoTimestamp);
    assert!(policy.denies_principal("root"));
}

#[test]
fn an_asterisk_stands_for_anything_and_case_for_nothing() {
    let matches = |pattern: &str, name: &str| NamePattern::parse(pattern).unwrap().matches(name);
    for (pattern, name) in [
        ("root", "Root"),
        ("Jürgen", "JÜRGEN"),
        ("root", " root "),
        ("*", ""),
        ("*/admin", "alice/admin"),
        ("*/admin", "a/b/admin"),
        ("http/*.example.com", "HTTP/www.example.com"),
        ("a*b*c", "aXbYbZc"),
        ("a**b", "ab"),
    ] {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("root", "root/admin"),
        ("*/admin", "admin"),
        ("aba*aba", "aba"),
        ("a*b*c", "acb"),
        ("http/*.example.com", "http/example.com"),
    ] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
}

/// RFC 6806 5. A service is what it is, or a list of what is allowed would allow more.
#[test]
fn of_an_enterprise_name_the_user_is_denied() {
    let lines = "kdcs = [\"k\"]\ndeny-principals = [\"root\"]\nallow-services = [\"host/a\"]";
    let policy = realm(lines).policy;
    for denied in ["root", "root@A", "ROOT@b", "root@"] {
        assert!(policy.denies_principal(denied), "{denied}");
    }
    assert!(!policy.denies_principal("a@root"));
    assert!(policy.allows_service("HOST/a"));
    assert!(!policy.allows_service("host/a@A"));
}

#[test]
fn services_that_logins_and_changes_need_are_missed() {
    let warned = |lines: &str| warnings(&build(&format!("{GATEWAY}{REALM}{lines}\n")));
    let kpasswd = "realm A: allow-services has no kadmin/changepw: nobody can change a password; add \"kadmin/changepw\"";
    assert_eq!(
        warned("allow-services = [\"HTTP/*\"]"),
        [
            "realm A: allow-services has no krbtgt/A: nobody can log in; add \"krbtgt/A\"",
            kpasswd
        ]
    );
    assert_eq!(warned("allow-services = [\"krbtgt/*\"]"), [kpasswd]);
    let none: [&str; 0] = [];
    assert_eq!(
        warned("allow-services = [\"krbtgt/a\"]\nservices = [\"kdc\"]"),
        none
    );
    assert_eq!(warned("allow-services = [\"k*\"]"), none);
}

#[test]
fn names_of_nobody_are_told_unless_a_realm_hides_them() {
    assert!(!realm("kdcs = [\"k\"]").policy.hides_unknown);
    let text = format!("{GATEWAY}[defaults]\nhide-unknown-principals = true\n{REALM}");
    assert!(build(&text).realms[0].policy.hides_unknown);
}
