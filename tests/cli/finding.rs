//! What `loopkdc check` says of KDCs that are asked themselves, and of what DNS is to name.

use crate::Home;

/// What `check` says of the realms.
fn realms(config: &str) -> String {
    let ended = Home::new(config).loopkdc(&["check", "--config", "config.toml"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let (_, realms) = ended.stdout.split_once("\nrealm").unwrap();
    format!("realm{realms}")
}

#[test]
fn check_shows_which_kdcs_are_asked_and_when() {
    let shown = realms(
        r#"
        [defaults]
        proxies = ["https://p"]
        [realms."A.TEST"]
        direct = "prefer"
        kdcs = ["dc1.a.test", "dc2.a.test:1088"]
        kpasswd-servers = ["dc1.a.test"]
        [realms."B.TEST"]
        direct = "fallback"
        discover = true
        discover-networks = ["127.0.0.0/8"]
        [realms."C.TEST"]
        direct = "never"
        kdcs = ["dc1.c.test"]
        "#,
    );
    let expected = "\
realm A.TEST
  1. https://p/KdcProxy
  direct prefer: where these can be reached, they are asked and no proxy
  kdc 1. dc1.a.test:88
  kdc 2. dc2.a.test:1088
  kpasswd 1. dc1.a.test:464
  deadline 9 s, on-failure unreachable
realm B.TEST
  1. https://p/KdcProxy
  direct fallback: where no proxy can be reached, these are asked
  kdc: SRV records of _kerberos._tcp.B.TEST and _kerberos._udp.B.TEST, and of _kerberos-master for primary ones
  kpasswd: SRV records of _kpasswd._tcp.B.TEST and _kpasswd._udp.B.TEST
  ports allowed in them: 88, 464
  also allowed: 127.0.0.0/8
  deadline 9 s, on-failure unreachable
realm C.TEST
  1. https://p/KdcProxy
  deadline 9 s, on-failure unreachable
any other realm: no proxy, on-failure unreachable
";
    assert_eq!(shown, expected);
}

#[test]
fn check_shows_which_records_lead_to_the_proxies() {
    let shown = realms(
        r#"
        [realms."A.TEST"]
        proxies = "discover"
        discover-networks = ["10.0.0.0/8"]
        "#,
    );
    let expected = "\
realm A.TEST
  proxies: URI records of _kerberos.A.TEST and _kpasswd.A.TEST, else SRV records of _kerberos._https.A.TEST
  also allowed: 10.0.0.0/8
  deadline 9 s, on-failure unreachable
any other realm: no proxy, on-failure unreachable
";
    assert_eq!(shown, expected);
}
