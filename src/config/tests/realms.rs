//! What is refused under `[realms]` and `[defaults]`.

use super::{error, refused};

refused! {
    a_realm_without_proxies: "[realms.\"EXAMPLE.COM\"]\ndeadline-seconds = 5\n" => r#"
loopkdc: error: f.toml:1:9: realm EXAMPLE.COM has no proxies
  |
1 | [realms."EXAMPLE.COM"]
  |         ^^^^^^^^^^^^^
loopkdc: hint: add to it: proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    an_empty_list_of_proxies: "[defaults]\nproxies = [\"https://p\"]\n[realms.\"A\"]\nproxies = []\n" => r#"
loopkdc: error: f.toml:4:11: realm A has no proxies
  |
4 | proxies = []
  |           ^^
loopkdc: hint: add to it: proxies = ["https://kdcproxy.example.com/KdcProxy"]
"#;
    a_realm_without_a_name: "[realms.\"\"]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:1:9: the realm is empty
  |
1 | [realms.""]
  |         ^^
"#;
    a_star_in_the_middle: "[realms.\"EX*.COM\"]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:1:9: * stands alone or before a dot
  |
1 | [realms."EX*.COM"]
  |         ^^^^^^^^^
loopkdc: hint: write "*.EXAMPLE.COM" or "*"
"#;
    a_realm_in_two_spellings: "[realms.\"a.b\"]\nproxies = [\"https://p\"]\n[realms.\"A.B\"]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:3:9: realm A.B is configured twice (letter case makes no difference)
  |
3 | [realms."A.B"]
  |         ^^^^^
"#;
    a_wildcard_in_two_spellings: "[realms.\"*.A\"]\nproxies = [\"https://p\"]\n[realms.\"*.a\"]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:3:9: realm *.a is configured twice (letter case makes no difference)
  |
3 | [realms."*.a"]
  |         ^^^^^
"#;
    an_alias_that_is_a_realm: "[realms.\"Z\"]\nproxies = [\"https://p\"]\n[realms.\"A\"]\nproxies = [\"https://p\"]\naliases = [\"CORP\", \"z\"]\n" => r#"
loopkdc: error: f.toml:5:20: realm z is configured twice (letter case makes no difference)
  |
5 | aliases = ["CORP", "z"]
  |                    ^^^
"#;
    a_realm_that_is_an_alias: "[realms.\"Z\"]\nproxies = [\"https://p\"]\naliases = [\"A\"]\n[realms.\"A\"]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:4:9: realm A is configured twice (letter case makes no difference)
  |
4 | [realms."A"]
  |         ^^^
"#;
    an_alias_that_is_a_wildcard: "[realms.\"A\"]\nproxies = [\"https://p\"]\naliases = [\"*\"]\n" => r#"
loopkdc: error: f.toml:3:12: aliases and wildcards don't go together
  |
3 | aliases = ["*"]
  |            ^^^
"#;
    an_alias_of_a_wildcard: "[realms.\"*\"]\nproxies = [\"https://p\"]\naliases = [\"B\"]\n" => r#"
loopkdc: error: f.toml:3:12: aliases and wildcards don't go together
  |
3 | aliases = ["B"]
  |            ^^^
"#;
    an_alias_of_all_realms: "[defaults]\naliases = [\"B\"]\n" => r#"
loopkdc: error: f.toml:2:11: aliases belongs to one realm: it can't stand in [defaults]
  |
2 | aliases = ["B"]
  |           ^^^^^
loopkdc: hint: move it under the realm: [realms."EXAMPLE.COM"]
"#;
    a_target_domain_of_all_realms: "[defaults]\ntarget-domain = \"B\"\n" => r#"
loopkdc: error: f.toml:2:17: target-domain belongs to one realm: it can't stand in [defaults]
  |
2 | target-domain = "B"
  |                 ^^^
loopkdc: hint: move it under the realm: [realms."EXAMPLE.COM"]
"#;
    a_target_domain_that_no_realm_can_have: "[realms.\"A\"]\nproxies = [\"https://p\"]\ntarget-domain = \"\\u202e\"\n" => r#"
loopkdc: error: f.toml:3:17: the realm holds a character that cannot be shown
  |
3 | target-domain = "\u202e"
  |                 ^^^^^^^^
"#;
    a_deadline_of_hours: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndeadline-seconds = 121\n" => r#"
loopkdc: error: f.toml:3:20: deadline-seconds goes from 1 to 120, 121 is outside
  |
3 | deadline-seconds = 121
  |                    ^^^
"#;
    a_bad_default_that_no_realm_uses: "[defaults]\ndeadline-seconds = 0\n" => r#"
loopkdc: error: f.toml:2:20: deadline-seconds goes from 1 to 120, 0 is outside
  |
2 | deadline-seconds = 0
  |                    ^
"#;
    a_failure_of_another_kind: "[defaults]\non-failure = \"retry\"\n" => r#"
loopkdc: error: f.toml:2:14: on-failure is "unreachable" or "explain"
  |
2 | on-failure = "retry"
  |              ^^^^^^^
"#;
    a_hint_of_33_bits: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndclocator-hint = 4294967296\n" => r#"
loopkdc: error: f.toml:3:18: dclocator-hint goes from -2147483648 to 4294967295, 4294967296 is outside
  |
3 | dclocator-hint = 4294967296
  |                  ^^^^^^^^^^
"#;
    a_hint_of_another_name: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndclocator-hint = [\"pdc\", \"gc\"]\n" => r#"
loopkdc: error: f.toml:3:26: dclocator-hint is "writable" or "pdc" or "next-closest-site"
  |
3 | dclocator-hint = ["pdc", "gc"]
  |                          ^^^^
"#;
    a_hint_that_is_a_word: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndclocator-hint = \"pdc\"\n" => r#"
loopkdc: error: f.toml:3:18: dclocator-hint can't be of type string
  |
3 | dclocator-hint = "pdc"
  |                  ^^^^^
loopkdc: hint: write it like dclocator-hint = ["writable"]
"#;
}

#[test]
fn a_wildcard_too_long_to_be_a_realm() {
    let shown = error(&format!(
        "[realms.\"*.{}\"]\nproxies = [\"https://p\"]\n",
        "X".repeat(255)
    ));
    assert!(
        shown.starts_with("loopkdc: error: f.toml:1:9: the realm is longer than 255 octets\n"),
        "{shown}"
    );
}
