//! `[realms."…"]` and `[defaults]`.

use std::time::Duration;

use super::{GATEWAY, build, realm, refused};
use crate::config::gateway::KdcRealm;
use crate::config::{KdcAddr, Kdcs};
use crate::relay::upstream::kdc::Transport;
use crate::wire::ByService;

fn error(text: &str) -> String {
    super::error(&format!("{GATEWAY}{text}"))
}

refused! {
    a_realm_without_kdcs: "[realms.\"A\"]\n" => r#"
loopkdc: error: f.toml:4:9: realm A has no KDC
  |
4 | [realms."A"]
  |         ^^^
loopkdc: hint: add to it: kdcs = ["dc1.example.com"], or discover = true"#;
    a_wildcard: "[realms.\"*.A\"]\n" => r#"
loopkdc: error: f.toml:4:9: a gateway serves the realms that it names, no wildcard
  |
4 | [realms."*.A"]
  |         ^^^^^
loopkdc: hint: write a table for each realm"#;
    a_realm_twice: "[realms.\"A\"]\nkdcs = [\"k\"]\n[realms.\"a\"]\n" => r#"
loopkdc: error: f.toml:6:9: realm a is configured twice (letter case makes no difference)
  |
6 | [realms."a"]
  |         ^^^"#;
    an_alias_that_is_a_realm: "[realms.\"A\"]\nkdcs = [\"k\"]\n[realms.\"B\"]\nkdcs = [\"k\"]\naliases = [\"a\"]\n" => r#"
loopkdc: error: f.toml:8:12: realm a is configured twice (letter case makes no difference)
  |
8 | aliases = ["a"]
  |            ^^^"#;
    a_port_that_is_none: "[realms.\"A\"]\nkdcs = [\"k:99999\"]\n" => r#"
loopkdc: error: f.toml:5:9: this is no host and port
  |
5 | kdcs = ["k:99999"]
  |         ^^^^^^^^^
loopkdc: hint: write a name or an IP address, and a port if it is not 88, as in "dc1.example.com:88""#;
    a_url: "[realms.\"A\"]\nkdcs = [\"https://k\"]\n" => r#"
loopkdc: error: f.toml:5:9: this is no host and port
  |
5 | kdcs = ["https://k"]
  |         ^^^^^^^^^^^
loopkdc: hint: write a name or an IP address, and a port if it is not 88, as in "dc1.example.com:88""#;
    a_kdc_twice: "[realms.\"A\"]\nkdcs = [\"k\", { address = \"k:88\" }]\n" => r#"
loopkdc: error: f.toml:5:14: k:88 is listed twice
  |
5 | kdcs = ["k", { address = "k:88" }]
  |              ^^^^^^^^^^^^^^^^^^^^"#;
    listed_and_looked_up: "[realms.\"A\"]\nkdcs = [\"k\"]\ndiscover = true\n" => r#"
loopkdc: error: f.toml:5:8: kdcs are listed, and discover = true would look them up
  |
5 | kdcs = ["k"]
  |        ^^^^^
loopkdc: hint: take one of the two away"#;
    a_password_server_beside_dns: "[realms.\"A\"]\ndiscover = true\nkpasswd-servers = [\"k\"]\n" => r#"
loopkdc: error: f.toml:6:19: with discover = true DNS says where passwords are changed
  |
6 | kpasswd-servers = ["k"]
  |                   ^^^^^
loopkdc: hint: list kdcs too, or take kpasswd-servers away"#;
    an_unknown_service: "[defaults]\nservices = [\"kadmin\"]\n" => r#"
loopkdc: error: f.toml:5:13: a service is "kdc" or "kpasswd"
  |
5 | services = ["kadmin"]
  |             ^^^^^^^^"#;
    no_service: "[realms.\"A\"]\nkdcs = [\"k\"]\nservices = []\n" => r#"
loopkdc: error: f.toml:6:12: no service would be offered
  |
6 | services = []
  |            ^^
loopkdc: hint: services = ["kdc", "kpasswd"] offers both; a realm without a table is not served"#;
    an_unknown_transport: "[defaults]\ntransport = \"sctp\"\n" => r#"
loopkdc: error: f.toml:5:13: transport is "tcp" or "udp"
  |
5 | transport = "sctp"
  |             ^^^^^^"#;
    kdcs_for_all: "[defaults]\nkdcs = [\"k\"]\n" => r#"
loopkdc: error: f.toml:5:8: kdcs belongs to one realm: it can't stand in [defaults]
  |
5 | kdcs = ["k"]
  |        ^^^^^
loopkdc: hint: move it under the realm: [realms."EXAMPLE.COM"]"#;
    a_realm_that_dns_cannot_know: "[realms.\"A B\"]\ndiscover = true\n" => r#"
loopkdc: error: f.toml:4:9: realm A B is no DNS domain
  |
4 | [realms."A B"]
  |         ^^^^^
loopkdc: hint: list its KDCs: kdcs = ["dc1.example.com"]"#;
    no_network: "[defaults]\ndiscover-networks = [\"10.0.0.0/33\"]\n" => r#"
loopkdc: error: f.toml:5:22: this is no network and no address
  |
5 | discover-networks = ["10.0.0.0/33"]
  |                      ^^^^^^^^^^^^^
loopkdc: hint: write it like "10.0.0.0/8" or "fd00::/8""#;
    no_address_is_in_it: "[defaults]\ndiscover-networks = [\"169.254.169.254/16\"]\n" => r#"
loopkdc: error: f.toml:5:22: the network of this address is 169.254.0.0/16
  |
5 | discover-networks = ["169.254.169.254/16"]
  |                      ^^^^^^^^^^^^^^^^^^^^
loopkdc: hint: write that, or the address alone"#;
}

fn names(entry: &KdcRealm) -> (Vec<String>, Vec<String>) {
    let Kdcs::Listed(ByService { kdc, kpasswd }) = &entry.kdcs else {
        panic!("{:?}", entry.kdcs)
    };
    let names = |list: &Option<Vec<KdcAddr>>| {
        let names = list.iter().flatten().map(ToString::to_string);
        names.collect()
    };
    (names(kdc), names(kpasswd))
}

#[test]
fn addresses_may_leave_out_the_usual_port() {
    let kdcs = r#"kdcs = ["dc1", "dc2:1088", "192.0.2.1", "::1", "[::1]:89", "[fe80::1]"]"#;
    let (kdc, _) = names(&realm(kdcs));
    let shown = [
        "dc1:88",
        "dc2:1088",
        "192.0.2.1:88",
        "[::1]:88",
        "[::1]:89",
        "[fe80::1]:88",
    ];
    assert_eq!(kdc, shown);
}

#[test]
fn passwords_are_changed_at_the_kdcs_hosts_unless_said_otherwise() {
    let kdcs = r#"kdcs = ["a:1088", { address = "b", primary = true }, "a:2088"]"#;
    assert_eq!(names(&realm(kdcs)).1, ["b:464", "a:464"]);
    let both = format!("{kdcs}\nkpasswd-servers = [\"c\", \"d:1\"]");
    assert_eq!(names(&realm(&both)).1, ["c:464", "d:1"]);
}

#[test]
fn a_service_that_is_not_offered_has_no_server() {
    let (kdc, kpasswd) = names(&realm("kdcs = [\"k\"]\nservices = [\"kdc\"]"));
    assert_eq!((kdc.len(), kpasswd.len()), (1, 0));
    let (kdc, kpasswd) = names(&realm(
        "kpasswd-servers = [\"k\"]\nservices = [\"kpasswd\"]",
    ));
    assert_eq!((kdc.len(), kpasswd.len()), (0, 1));
}

#[test]
fn what_a_realm_does_not_say_the_defaults_say() {
    let defaults = "[defaults]\ndiscover = true\ndiscover-ports = [1088]\ntransport = \"udp\"\ndeadline-seconds = 3\nservices = [\"kdc\"]\nserve-other-realms = true\n";
    let text = format!(
        "{GATEWAY}{defaults}[realms.\"A\"]\n[realms.\"B\"]\nkdcs = [\"k\"]\ntransport = \"tcp\"\ndeadline-seconds = 4\nserve-other-realms = false\n"
    );
    let config = build(&text);
    let [a, b] = &config.realms[..] else {
        panic!("{config:?}")
    };
    let Kdcs::Discovered(discover) = &a.kdcs else {
        panic!("{a:?}")
    };
    assert_eq!(discover.ports, [1088]);
    assert_eq!(
        (a.transport, a.deadline),
        (Transport::UdpFirst, Duration::from_secs(3))
    );
    assert_eq!(
        (b.transport, b.deadline),
        (Transport::TcpFirst, Duration::from_secs(4))
    );
    assert_eq!(names(b).0, ["k:88"]);
    assert!(!a.services.kpasswd && !b.services.kpasswd);
    assert!(a.serves_other_realms && !b.serves_other_realms);
    assert!(!realm("kdcs = [\"k\"]").serves_other_realms);
}
