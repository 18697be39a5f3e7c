use super::*;

fn uri(priority: u16, weight: u16, target: &str) -> Option<Named> {
    let numbers = [priority, weight].map(u16::to_be_bytes).concat();
    Named::of_uri(&[&numbers, target.as_bytes()].concat())
}

fn named(records: impl IntoIterator<Item = (u16, u16, &'static str)>) -> Vec<Named> {
    let records = records.into_iter();
    let records = records.filter_map(|(priority, weight, target)| uri(priority, weight, target));
    records.collect()
}

fn other_hosts() -> Allowed {
    Allowed {
        plaintext: false,
        permitted: Permitted::OtherHosts(Vec::new()),
    }
}

/// What is taken, and what is not and why; the first of equals by weight.
fn chosen(records: Vec<Named>, allowed: &Allowed) -> (Vec<String>, Vec<(String, Refusal)>) {
    let (chosen, refused) = choose(records, allowed, &mut |_| 0);
    let chosen = chosen.into_iter().map(|(url, primary)| match primary {
        true => format!("{url} primary"),
        false => url.to_string(),
    });
    let refused = refused.into_iter().map(|no| (no.name, no.why));
    (chosen.collect(), refused.collect())
}

/// The records of MIT krb5's own test of such a zone, and of its documentation.
#[test]
fn records_are_read_as_mit_reads_them() {
    let records = named([
        (1, 1, "krb5srv::kkdcp:https://kdc1"),
        (3, 1, "krb5srv::kkdcp:https://kdc3:300/path"),
        (2, 1, "krb5srv:m:kkdcp:https://kdc2/path"),
        (4, 1, "KRB5SRV:xMz:UDP:KDC4"),
        (6, 1, "krb5srv:xyz:tcp:192.168.1.6"),
        (5, 1, "krb5srv::tcp:kdc5:500"),
        (7, 1, "krb5srv::tcp:[dead:beef:cafe:7]:700"),
        (8, 1, "KRB5SRV:xMz:KKDCP:https://kdc8?front=2"),
        (30, 1, "krb5srv::kkdcp:https://proxy:89/auth"),
        (10, 1, "krb5srv:m:bogustrans:https://bogus"),
    ]);
    let (chosen, refused) = chosen(records, &other_hosts());
    let expected = [
        "https://kdc1/KdcProxy",
        "https://kdc2/path primary",
        "https://kdc3:300/path",
        "https://kdc8/KdcProxy?front=2 primary",
        "https://proxy:89/auth",
    ];
    assert_eq!(chosen, expected);
    assert_eq!(refused, [], "other transports are no fault");
}

#[test]
fn what_leads_to_no_proxy_is_refused_and_told() {
    use Refusal::{Address, Name, NoProxy, Plaintext, Port};
    let long = format!("krb5srv::kkdcp:{}", "x".repeat(1_000));
    let long: &'static str = Box::leak(long.into_boxed_str());
    for (target, why) in [
        ("krb5srv::kkdcp:http://p.test/KdcProxy", Plaintext),
        ("krb5srv:m:kkdcp:bogus", NoProxy),
        ("krb5srv:m:bogusnotrans", NoProxy),
        ("krb5srv::kkdcp:", NoProxy),
        ("krb5srv::kkdcp:ldaps://p.test", NoProxy),
        ("krb5srv::kkdcp:https://user:secret@p.test", NoProxy),
        ("krb5srv::kkdcp:https://p.test/#x", NoProxy),
        ("krb5srv::kkdcp:https://p.test:99999", NoProxy),
        ("krb5srv::kkdcp:https://p.test:0", Port),
        ("krb5srv::kkdcp:https://127.0.0.1", Address("loopback")),
        ("krb5srv::kkdcp:https://2130706433/", Address("loopback")),
        ("krb5srv::kkdcp:https://[::1]:631", Address("loopback")),
        ("krb5srv::kkdcp:https://LocalHost.", Address("loopback")),
        ("krb5srv::kkdcp:https://a.localhost", Address("loopback")),
        (
            "krb5srv::kkdcp:https://169.254.169.254",
            Address("link-local"),
        ),
        ("krb5srv::kkdcp:https://[fe80::1]", Address("link-local")),
        ("krb5srv::kkdcp:https://a!b.test", Name),
        ("https://p.test/KdcProxy", NoProxy),
        ("", NoProxy),
        ("\u{fffd}\0garbage", NoProxy),
        (long, NoProxy),
    ] {
        let (chosen, refused) = chosen(named([(0, 0, target)]), &other_hosts());
        assert_eq!(chosen, [""; 0], "{target}");
        let [(name, told)] = &refused[..] else {
            panic!("{target}: {refused:?}")
        };
        assert_eq!(*told, why, "{target}");
        assert!(name.chars().count() <= MAX_TOLD, "{target}");
    }
    // Too short for its numbers.
    assert_eq!(Named::of_uri(&[0, 0, 0]), None);
}

#[test]
fn what_is_allowed_is_taken() {
    let networks = vec!["127.0.0.2/32".parse().unwrap()];
    let allowed = Allowed {
        plaintext: true,
        permitted: Permitted::OtherHosts(networks),
    };
    let records = named([
        (0, 0, "krb5srv::kkdcp:http://p.test"),
        (1, 0, "krb5srv::kkdcp:https://127.0.0.2:8443/x"),
        (2, 0, "krb5srv::kkdcp:https://127.0.0.1"),
    ]);
    let (chosen, refused) = chosen(records, &allowed);
    assert_eq!(
        chosen,
        ["http://p.test/KdcProxy", "https://127.0.0.2:8443/x"]
    );
    assert_eq!(refused.len(), 1);
}

#[test]
fn service_records_get_the_usual_path() {
    let records = [
        Named::of_srv(10, 0, "b.test", 8443),
        Named::of_srv(0, 0, "a.test", 443),
        Named::of_srv(0, 0, "", 0),
        Named::of_srv(20, 0, "127.0.0.1", 443),
        Named::of_srv(21, 0, "a b.test", 443),
        Named::of_srv(22, 0, "a.test/x?", 443),
        Named::of_srv(23, 0, "c.test", 0),
    ];
    let (chosen, refused) = chosen(records.into_iter().flatten().collect(), &other_hosts());
    let expected = ["https://a.test/KdcProxy", "https://b.test:8443/KdcProxy"];
    assert_eq!(chosen, expected);
    let refused: Vec<_> = refused.into_iter().map(|(_, why)| why).collect();
    use Refusal::{Address, Name, Port};
    assert_eq!(refused, [Address("loopback"), Name, Name, Port]);
}

#[test]
fn one_url_is_asked_once_and_at_its_best_place() {
    let records = named([
        (9, 9, "krb5srv::kkdcp:https://A.test:443"),
        (5, 0, "krb5srv::kkdcp:https://b.test"),
        (1, 1, "krb5srv:m:kkdcp:https://a.test/KdcProxy"),
    ]);
    let (chosen, _) = chosen(records, &other_hosts());
    let expected = ["https://a.test/KdcProxy primary", "https://b.test/KdcProxy"];
    assert_eq!(chosen, expected);
}

#[test]
fn of_ten_thousand_records_the_best_sixteen_are_asked() {
    let target = |number| format!("krb5srv::kkdcp:https://p{number}.test");
    let good = (0..10_000_u16).rev().filter_map(|n| uri(n, 0, &target(n)));
    let (taken, refused) = chosen(good.collect(), &other_hosts());
    assert_eq!(taken.len(), 16);
    assert_eq!(taken[0], "https://p0.test/KdcProxy");
    assert_eq!(taken[15], "https://p15.test/KdcProxy");
    assert_eq!(refused.len(), MAX_REFUSED);
    let bad = (0..10_000).filter_map(|n| uri(n, 0, "garbage"));
    let (taken, refused) = chosen(bad.collect(), &other_hosts());
    assert_eq!((taken.len(), refused.len()), (0, MAX_REFUSED));
}
