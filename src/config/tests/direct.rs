//! `direct`, and the KDCs that it is about.

use super::{REALM, build, error, refused, warnings};
use crate::config::{Direct, Kdcs, Order};

refused! {
    another_word: "[defaults]\ndirect = \"always\"\n" => r#"
loopkdc: error: f.toml:2:10: direct is "never" or "prefer" or "fallback"
  |
2 | direct = "always"
  |          ^^^^^^^^
"#;
    direct_without_kdcs: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndirect = \"prefer\"\n" => r#"
loopkdc: error: f.toml:1:9: realm A has no KDC
  |
1 | [realms."A"]
  |         ^^^
loopkdc: hint: add to it: kdcs = ["dc1.example.com"], or discover = true
"#;
    kdcs_that_nobody_asks: "[realms.\"A\"]\nproxies = [\"https://p\"]\nkdcs = [\"k\"]\n" => r#"
loopkdc: error: f.toml:3:8: kdcs is of no use: KDCs are asked themselves only if direct says so
  |
3 | kdcs = ["k"]
  |        ^^^^^
loopkdc: hint: add direct = "fallback", or "prefer" to ask them before the proxies
"#;
    a_look_up_that_nobody_needs: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndiscover = true\n" => r#"
loopkdc: error: f.toml:3:12: discover is of no use: KDCs are asked themselves only if direct says so
  |
3 | discover = true
  |            ^^^^
loopkdc: hint: add direct = "fallback", or "prefer" to ask them before the proxies
"#;
    kdcs_of_a_wildcard: "[realms.\"*.A\"]\nproxies = [\"https://p\"]\ndirect = \"prefer\"\nkdcs = [\"k\"]\n" => r#"
loopkdc: error: f.toml:4:8: kdcs belongs to one realm, not to a wildcard
  |
4 | kdcs = ["k"]
  |        ^^^^^
"#;
    direct_of_a_wildcard: "[realms.\"*\"]\nproxies = [\"https://p\"]\ndirect = \"prefer\"\n" => r#"
loopkdc: error: f.toml:3:10: direct belongs to one realm, not to a wildcard
  |
3 | direct = "prefer"
  |          ^^^^^^^^
"#;
    kdcs_of_all_realms: "[defaults]\nkdcs = [\"k\"]\n" => r#"
loopkdc: error: f.toml:2:8: kdcs belongs to one realm: it can't stand in [defaults]
  |
2 | kdcs = ["k"]
  |        ^^^^^
loopkdc: hint: move it under the realm: [realms."EXAMPLE.COM"]
"#;
    kdcs_that_are_none_though_nobody_asks_them: "[realms.\"A\"]\nproxies = [\"https://p\"]\ndirect = \"never\"\nkdcs = [\"k:0\"]\n" => r#"
loopkdc: error: f.toml:4:9: this is no host and port
  |
4 | kdcs = ["k:0"]
  |         ^^^^^
loopkdc: hint: write a name or an IP address, and a port if it is not 88, as in "dc1.example.com:88"
"#;
    a_realm_that_dns_does_not_know: "[defaults]\ndirect = \"prefer\"\ndiscover = true\n[realms.\"C=US/O=OSF\"]\nproxies = [\"https://p\"]\n" => r#"
loopkdc: error: f.toml:4:9: realm C=US/O=OSF is no DNS domain
  |
4 | [realms."C=US/O=OSF"]
  |         ^^^^^^^^^^^^
loopkdc: hint: list its KDCs: kdcs = ["dc1.example.com"]
"#;
}

fn direct(text: &str) -> Option<Direct> {
    let config = build(text);
    assert_eq!(warnings(&config), [""; 0]);
    config.realms[0].direct.clone()
}

fn listed(direct: &Direct) -> [Vec<String>; 2] {
    let Kdcs::Listed(listed) = &direct.kdcs else {
        panic!("{direct:?}")
    };
    [&listed.kdc, &listed.kpasswd].map(|list| {
        let list = list.iter().flatten();
        list.map(ToString::to_string).collect()
    })
}

#[test]
fn kdcs_are_asked_in_the_order_that_is_said() {
    let text = format!("{REALM}direct = \"prefer\"\nkdcs = [\"a\", \"b:1088\"]\n");
    let read = direct(&text).unwrap();
    assert_eq!(read.order, Order::Prefer);
    assert_eq!(listed(&read), [["a:88", "b:1088"], ["a:464", "b:464"]]);
    let text = format!(
        "[defaults]\ndirect = \"fallback\"\n{REALM}kdcs = [\"a\"]\nkpasswd-servers = [\"c\"]\n"
    );
    let read = direct(&text).unwrap();
    assert_eq!(read.order, Order::Fallback);
    assert_eq!(listed(&read), [["a:88"], ["c:464"]]);
}

#[test]
fn what_holds_for_all_realms_leaves_wildcards_and_those_who_say_otherwise_alone() {
    let defaults = "[defaults]\nproxies = [\"https://p\"]\ndirect = \"prefer\"\ndiscover = true\n";
    let config = build(&format!(
        "{defaults}[realms.\"A\"]\n[realms.\"*\"]\n[realms.\"B\"]\ndirect = \"never\"\n[realms.\"C\"]\nkdcs = [\"k\"]\n"
    ));
    let of = |at: usize| config.realms[at].direct.as_ref();
    let looked_up = |direct: &Direct| matches!(direct.kdcs, Kdcs::Discovered(_));
    assert!(of(0).is_some_and(looked_up));
    assert!(of(1).is_none(), "no realm to look up");
    assert!(of(2).is_none());
    assert!(of(3).is_some_and(|direct| !looked_up(direct)));
}
