use std::hash::{DefaultHasher, Hasher};

use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::rdata::NULL;
use ipnet::IpNet;

use super::*;
use crate::wire::Realm;
use Transport::{TcpFirst, UdpFirst};

const LINK_LOCAL: &str = "its address is link-local";
const ADDRESS: &str = "its address is loopback";

fn realm() -> Realm {
    Realm::parse(b"EXAMPLE.COM").unwrap()
}

fn kdcs() -> Discovery {
    Discovery::new(&realm(), UpstreamKind::Kdc, Vec::new()).unwrap()
}

fn proxies(plaintext: bool, networks: Vec<IpNet>) -> Discovery {
    let discovery = Discovery::new(&realm(), UpstreamKind::Proxy, networks);
    let mut discovery = discovery.unwrap();
    discovery.plaintext = plaintext;
    discovery
}

fn other_hosts() -> Discovery {
    proxies(false, Vec::new())
}

/// Chance that a test decides.
struct Seed(u64);

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

fn record(data: RData) -> Record {
    Record::from_rdata(Name::root(), 60, data)
}

fn srv(priority: u16, weight: u16, (host, port): (&str, u16)) -> Record {
    let mut labels: Vec<_> = host.split('.').map(str::as_bytes).collect();
    labels.retain(|label| !label.is_empty());
    let target = Name::from_labels(labels).unwrap();
    record(RData::SRV(SRV::new(priority, weight, port, target)))
}

/// A KDC at the usual port.
fn kdc(priority: u16, weight: u16, host: &str) -> Record {
    srv(priority, weight, (host, 88))
}

fn uri_of(data: &[u8]) -> Record {
    record(RData::Unknown {
        code: URI,
        rdata: NULL::with(data.to_vec()),
    })
}

fn uri(priority: u16, weight: u16, target: &str) -> Record {
    let numbers = [priority, weight].map(u16::to_be_bytes).concat();
    uri_of(&[&numbers, target.as_bytes()].concat())
}

fn uris<'a>(records: impl IntoIterator<Item = (u16, u16, &'a str)>) -> Vec<Record> {
    let records = records.into_iter();
    let records = records.map(|(priority, weight, target)| uri(priority, weight, target));
    records.collect()
}

fn names(records: &Records) -> Vec<&str> {
    let names = records.candidates.iter().map(|one| one.target.name());
    names.map(|name| name.trim_end_matches(":88")).collect()
}

fn ordered(records: &[Record], seed: u64) -> Vec<String> {
    let best = kdcs().judge(records, TcpFirst).best_by(&Seed(seed));
    assert_eq!(best.refused, []);
    names(&best).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_lowest_priority_comes_first_whatever_the_weights() {
    let records = [kdc(20, 0, "c"), kdc(0, 1, "a"), kdc(10, 65_535, "b")];
    for seed in 0..100 {
        assert_eq!(ordered(&records, seed), ["a", "b", "c"]);
    }
}

/// How often of a thousand times `host` comes first.
fn first(records: &[Record], host: &str) -> usize {
    let first = (0..1_000).filter(|seed| ordered(records, *seed)[0] == host);
    first.count()
}

#[test]
fn chance_is_in_proportion_to_the_weights() {
    let records = [kdc(0, 10, "b"), kdc(0, 60, "d"), kdc(0, 30, "c")];
    for (host, share) in [("b", 100), ("c", 300), ("d", 600)] {
        let first = first(&records, host);
        assert!((share - 50..share + 50).contains(&first), "{host}: {first}");
    }
    let weightless = [kdc(0, 0, "none"), kdc(0, 1, "light")];
    let first = first(&weightless, "none");
    assert!((1..50).contains(&first), "a very small chance: {first}");
}

#[test]
fn without_weights_each_is_named_once_and_as_often_first() {
    let records = ["a", "b", "c", "d"].map(|host| kdc(0, 0, host));
    let mut order = ordered(&records, 0);
    order.sort();
    assert_eq!(order, ["a", "b", "c", "d"]);
    let first = first(&records, "a");
    assert!((200..300).contains(&first), "{first}");
    assert_eq!(ordered(&[], 0), [""; 0]);
}

#[test]
fn what_is_found_over_both_is_asked_over_tcp_and_named_once() {
    let udp = [kdc(0, 0, "both"), kdc(2, 0, "only"), kdc(3, 0, "only")];
    let udp = kdcs().judge(&udp, UdpFirst);
    let tcp = kdcs().judge(&[kdc(1, 0, "both")], TcpFirst);
    let target = |name: &str, transport| UpstreamTarget::Kdc {
        name: name.to_owned(),
        transport,
    };
    assert_eq!(
        udp.and(tcp).best().targets(),
        [target("both:88", TcpFirst), target("only:88", UdpFirst)]
    );
}

#[test]
fn primary_kdcs_keep_their_place_or_come_last_and_are_kept() {
    let primary = |records: &[Record], transport| kdcs().judge(records, transport).of_primary();
    let shown = |records: Records| {
        let best = records.best();
        let shown = best.candidates.iter().map(|one| {
            let mark = if one.primary { "*" } else { "" };
            format!("{}{mark}", one.target.name().trim_end_matches(":88"))
        });
        shown.collect::<Vec<_>>()
    };
    let some = [kdc(10, 0, "a"), kdc(0, 0, "b")];
    let named = primary(&[kdc(0, 0, "a")], UdpFirst);
    let udp = kdcs().judge(&some, UdpFirst);
    assert_eq!(shown(udp.and(named)), ["b", "a*"]);
    let hidden = primary(&[kdc(0, 0, "h"), kdc(0, 0, "a")], TcpFirst);
    let udp = kdcs().judge(&some, UdpFirst);
    assert_eq!(shown(udp.and(hidden)), ["b", "a*", "h*"]);
    let many: Vec<_> = (0..40).map(|i| kdc(i, 0, &format!("h{i}"))).collect();
    let last = primary(&[kdc(0, 0, "h39"), kdc(0, 0, "h")], TcpFirst);
    let kept = shown(kdcs().judge(&many, TcpFirst).and(last));
    assert_eq!((kept.len(), kept[0].as_str()), (MOST, "h0"));
    assert_eq!(kept[13..], ["h13", "h39*", "h*"]);
}

#[test]
fn the_root_means_that_there_is_none() {
    assert_eq!(ordered(&[kdc(0, 0, "")], 0), [""; 0]);
    assert_eq!(ordered(&[kdc(0, 0, ""), kdc(1, 0, "a")], 0), ["a"]);
}

#[test]
fn ports_and_names_that_are_not_allowed_are_refused_and_told() {
    let long = ["a"; 127].join(".");
    let records = [
        kdc(0, 0, "a"),
        srv(0, 0, ("b", 389)),
        kdc(0, 0, "c d"),
        kdc(0, 0, "e!f"),
    ];
    let best = kdcs().judge(&records, TcpFirst).best();
    assert_eq!(names(&best), ["a"]);
    let refused = best.refused.iter();
    let refused: Vec<_> = refused.map(|no| (&*no.name, &*no.why)).collect();
    let expected = [
        ("b:389", BAD_PORT),
        ("c\\040d:88", BAD_NAME),
        ("e\\!f:88", BAD_NAME),
    ];
    assert_eq!(refused, expected);
    assert!(is_host(&long) && !is_host(&format!("{long}.a")));
}

#[test]
fn the_best_sixteen_are_kept_and_are_the_same_each_time() {
    let mut records: Vec<_> = (0..40)
        .map(|i: u16| kdc(i % 4, i % 5, &format!("h{i}")))
        .collect();
    let kept = |records: &[Record], seed| {
        let best = kdcs().judge(records, TcpFirst).best_by(&Seed(seed));
        let mut targets = best.targets();
        targets.sort();
        assert_eq!((targets.len(), best.refused.len()), (MOST, MAX_REFUSED));
        assert!(best.refused.iter().all(|no| no.why == TOO_MANY));
        targets
    };
    let first = kept(&records, 0);
    assert!(first.iter().any(|target| target.name() == "h0:88"));
    assert!(!first.iter().any(|target| target.name() == "h3:88"));
    records.reverse();
    assert_eq!(kept(&records, 1), first);
}

/// What is taken, and what is not and why.
fn chosen(discovery: &Discovery, records: &[Record]) -> (Vec<String>, Vec<(String, String)>) {
    let best = discovery.judge(records, TcpFirst).best();
    let chosen = best.candidates.into_iter().map(|candidate| {
        let url = candidate.target.name();
        let is_primary = if candidate.primary { " primary" } else { "" };
        format!("{url}{is_primary}")
    });
    let refused = best.refused.into_iter().map(|no| (no.name, no.why));
    (chosen.collect(), refused.collect())
}

/// The records of MIT krb5's own test of such a zone, and of its documentation.
#[test]
fn records_are_read_as_mit_reads_them() {
    let records = [
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
    ];
    let (chosen, refused) = chosen(&other_hosts(), &uris(records));
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

/// An answer may hold records of other names and types, and a KDC proxy among the KDCs is nobody's upstream.
#[test]
fn among_kdcs_a_uri_record_says_nothing() {
    let records = [kdc(0, 0, "dc1"), uri(0, 0, "krb5srv::kkdcp:https://proxy")];
    let (chosen, refused) = chosen(&kdcs(), &records);
    assert_eq!(chosen, ["dc1:88"]);
    assert_eq!(refused, []);
}

#[test]
fn what_leads_to_no_proxy_is_refused_and_told() {
    let long = format!("krb5srv::kkdcp:{}", "x".repeat(1_000));
    let long: &'static str = Box::leak(long.into_boxed_str());
    for (target, why) in [
        ("krb5srv::kkdcp:http://p.test/KdcProxy", PLAINTEXT),
        ("krb5srv:m:kkdcp:bogus", NO_PROXY),
        ("krb5srv:m:bogusnotrans", NO_PROXY),
        ("krb5srv::kkdcp:", NO_PROXY),
        ("krb5srv::kkdcp:ldaps://p.test", NO_PROXY),
        ("krb5srv::kkdcp:https://user:secret@p.test", NO_PROXY),
        ("krb5srv::kkdcp:https://p.test/#x", NO_PROXY),
        ("krb5srv::kkdcp:https://p.test:99999", NO_PROXY),
        ("krb5srv::kkdcp:https://p.test:0", NO_PROXY),
        ("krb5srv::kkdcp:https://127.0.0.1", ADDRESS),
        ("krb5srv::kkdcp:https://2130706433/", ADDRESS),
        ("krb5srv::kkdcp:https://[::1]:631", ADDRESS),
        ("krb5srv::kkdcp:https://LocalHost.", ADDRESS),
        ("krb5srv::kkdcp:https://a.localhost", ADDRESS),
        ("krb5srv::kkdcp:https://169.254.169.254", LINK_LOCAL),
        ("krb5srv::kkdcp:https://[fe80::1]", LINK_LOCAL),
        ("krb5srv::kkdcp:https://a!b.test", BAD_NAME),
        ("https://p.test/KdcProxy", NO_PROXY),
        ("", NO_PROXY),
        ("\u{fffd}\0garbage", NO_PROXY),
        (long, NO_PROXY),
    ] {
        let (chosen, refused) = chosen(&other_hosts(), &uris([(0, 0, target)]));
        assert_eq!(chosen, [""; 0], "{target}");
        let [(name, told)] = &refused[..] else {
            panic!("{target}: {refused:?}")
        };
        assert_eq!(*told, why, "{target}");
        assert!(name.chars().count() <= MAX_TOLD, "{target}");
    }
    // Too short for its numbers.
    let short = other_hosts().judge(&[uri_of(&[0, 0, 0])], TcpFirst);
    assert!(short.candidates.is_empty() && short.refused.is_empty());
}

#[test]
fn what_is_allowed_is_taken() {
    let networks = vec!["127.0.0.2/32".parse().unwrap()];
    let allowed = proxies(true, networks);
    let records = [
        (0, 0, "krb5srv::kkdcp:http://p.test"),
        (1, 0, "krb5srv::kkdcp:https://127.0.0.2:8443/x"),
        (2, 0, "krb5srv::kkdcp:https://127.0.0.1"),
    ];
    let (chosen, refused) = chosen(&allowed, &uris(records));
    assert_eq!(
        chosen,
        ["http://p.test/KdcProxy", "https://127.0.0.2:8443/x"]
    );
    assert_eq!(refused.len(), 1);
}

#[test]
fn service_records_get_the_usual_path() {
    let records = [
        srv(10, 0, ("b.test", 8443)),
        srv(0, 0, ("a.test", 443)),
        srv(0, 0, ("", 0)),
        srv(20, 0, ("127.0.0.1", 443)),
        srv(21, 0, ("a b.test", 443)),
        srv(22, 0, ("a.test/x?", 443)),
        srv(23, 0, ("c.test", 0)),
    ];
    let (chosen, refused) = chosen(&other_hosts(), &records);
    let expected = ["https://a.test/KdcProxy", "https://b.test:8443/KdcProxy"];
    assert_eq!(chosen, expected);
    let refused: Vec<_> = refused.into_iter().map(|(_, why)| why).collect();
    assert_eq!(refused, [ADDRESS, BAD_NAME, BAD_NAME, NO_PROXY]);
}

#[test]
fn one_url_is_asked_once_and_at_its_best_place() {
    let records = [
        (9, 9, "krb5srv::kkdcp:https://A.test:443"),
        (5, 0, "krb5srv::kkdcp:https://b.test"),
        (1, 1, "krb5srv:m:kkdcp:https://a.test/KdcProxy"),
    ];
    let (chosen, _) = chosen(&other_hosts(), &uris(records));
    let expected = ["https://a.test/KdcProxy primary", "https://b.test/KdcProxy"];
    assert_eq!(chosen, expected);
}

#[test]
fn of_ten_thousand_records_the_best_sixteen_are_asked() {
    let records = |target: &dyn Fn(u16) -> String| -> Vec<_> {
        (0..10_000).rev().map(|n| uri(n, 0, &target(n))).collect()
    };
    let named = records(&|n| format!("krb5srv::kkdcp:https://p{n}.test"));
    let (taken, refused) = chosen(&other_hosts(), &named);
    assert_eq!(taken.len(), 16);
    assert_eq!(taken[0], "https://p0.test/KdcProxy");
    assert_eq!(taken[15], "https://p15.test/KdcProxy");
    assert_eq!(refused.len(), MAX_REFUSED);
    let (taken, refused) = chosen(&other_hosts(), &records(&|_| "garbage".to_owned()));
    assert_eq!((taken.len(), refused.len()), (0, MAX_REFUSED));
}
