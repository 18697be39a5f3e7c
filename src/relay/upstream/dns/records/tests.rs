use RecordRefusal::{Address, Name, NoProxy, Plaintext, Port};
use Transport::{TcpFirst, UdpFirst};

use super::*;

fn record(
    transport: Transport,
    priority: u16,
    weight: u16,
    (host, port): (&str, u16),
) -> Option<JudgedRecord> {
    let rank = Rank::new(priority, weight);
    Candidate::kdc(rank, host, port, transport, &[88, 464])
}

fn tcp(priority: u16, weight: u16, host: &str) -> Option<JudgedRecord> {
    record(TcpFirst, priority, weight, (host, 88))
}

fn choose_kdcs(
    records: Vec<Option<JudgedRecord>>,
    random: &mut impl FnMut(u32) -> u32,
) -> (Vec<DnsTarget>, Vec<RefusedRecord>) {
    let (chosen, refused) = choose(records.into_iter().flatten(), random);
    let targets = chosen.into_iter().map(|candidate| candidate.target);
    (targets.collect(), refused)
}

fn names(targets: &[DnsTarget]) -> Vec<&str> {
    let name = |target: &'_ DnsTarget| target.name().trim_end_matches(":88").len();
    targets
        .iter()
        .map(|target| &target.name()[..name(target)])
        .collect()
}

fn ordered(records: Vec<Option<JudgedRecord>>, mut random: impl FnMut(u32) -> u32) -> Vec<String> {
    let (targets, refused) = choose_kdcs(records, &mut random);
    assert_eq!(refused, []);
    names(&targets).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_lowest_priority_comes_first_whatever_the_weights() {
    let records = vec![tcp(20, 0, "c"), tcp(0, 1, "a"), tcp(10, 65_535, "b")];
    for drawn in [0, u32::MAX] {
        assert_eq!(ordered(records.clone(), |n| drawn.min(n)), ["a", "b", "c"]);
    }
}

/// The running sums are 0, 10, 40, 100.
#[test]
fn within_a_priority_the_number_drawn_picks_by_running_sum() {
    let records = vec![
        tcp(0, 60, "d"),
        tcp(0, 10, "b"),
        tcp(0, 0, "a"),
        tcp(0, 30, "c"),
    ];
    // After the zero the order is by weight: 60, 30, 10.
    for (drawn, first) in [
        (0, "a"),
        (1, "d"),
        (60, "d"),
        (61, "c"),
        (90, "c"),
        (91, "b"),
        (100, "b"),
    ] {
        let mut draws = 0;
        let order = ordered(records.clone(), |n| {
            draws += 1;
            match draws {
                1 => {
                    assert_eq!(n, 100);
                    drawn
                }
                _ => 0,
            }
        });
        assert_eq!(order[0], first, "{drawn}");
        assert_eq!((order.len(), draws), (4, 4));
    }
}

#[test]
fn chance_is_in_proportion_to_the_weights() {
    let records = [tcp(0, 1, "light"), tcp(0, 3, "heavy")];
    let mut seed = 1_u32;
    let mut random = |n: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % (n + 1)
    };
    let first = (0..1_000).filter(|_| ordered(records.to_vec(), &mut random)[0] == "heavy");
    // Of the numbers 0 to 4, heavy's are 0 to 3: it stands first.
    let first = first.count();
    assert!((750..850).contains(&first), "{first}");
}

#[test]
fn without_weights_each_is_named_once() {
    let records = vec![tcp(0, 0, "a"), tcp(0, 0, "b"), tcp(0, 0, "c")];
    assert_eq!(ordered(records, |_| 0), ["a", "b", "c"]);
    assert_eq!(ordered(Vec::new(), |_| 0), [""; 0]);
}

#[test]
fn what_is_found_over_both_is_asked_over_tcp_and_named_once() {
    let udp = |priority, host| record(UdpFirst, priority, 0, (host, 88));
    let records = vec![
        udp(0, "both"),
        tcp(1, 0, "both"),
        udp(2, "only"),
        udp(3, "only"),
    ];
    let (targets, _) = choose_kdcs(records, &mut |_| 0);
    let target = |name: &str, transport| DnsTarget::Kdc {
        name: name.to_owned(),
        transport,
    };
    assert_eq!(
        targets,
        [target("both:88", TcpFirst), target("only:88", UdpFirst)]
    );
}

#[test]
fn the_root_means_that_there_is_none() {
    assert_eq!(ordered(vec![tcp(0, 0, "")], |_| 0), [""; 0]);
    assert_eq!(ordered(vec![tcp(0, 0, ""), tcp(1, 0, "a")], |_| 0), ["a"]);
}

#[test]
fn ports_and_names_that_are_not_allowed_are_refused_and_told() {
    let long = ["a"; 128].join(".");
    let records = vec![
        tcp(0, 0, "a"),
        record(TcpFirst, 0, 0, ("b", 389)),
        tcp(0, 0, "c d"),
        tcp(0, 0, &long),
    ];
    let (targets, refused) = choose_kdcs(records, &mut |_| 0);
    assert_eq!(names(&targets), ["a"]);
    let refused: Vec<_> = refused
        .iter()
        .map(|no| (no.name.as_str(), no.why))
        .collect();
    let long = format!("{long}:88");
    let expected = [("b:389", Port), ("c d:88", Name), (&long, Name)];
    assert_eq!(refused, expected);
}

#[test]
fn the_best_sixteen_are_kept_and_are_the_same_each_time() {
    let mut records: Vec<_> = (0..40)
        .map(|i: u16| tcp(i % 4, i % 5, &format!("h{i}")))
        .collect();
    let kept = |records: &[Option<JudgedRecord>], random: &mut dyn FnMut(u32) -> u32| {
        let (mut targets, refused) = choose_kdcs(records.to_vec(), &mut |n| random(n));
        targets.sort();
        assert_eq!((targets.len(), refused.len()), (MOST, MAX_REFUSED));
        assert!(refused.iter().all(|no| no.why == RecordRefusal::TooMany));
        targets
    };
    let first = kept(&records, &mut |_| 0);
    assert!(first.iter().any(|target| target.name() == "h0:88"));
    assert!(!first.iter().any(|target| target.name() == "h3:88"));
    records.reverse();
    assert_eq!(kept(&records, &mut |n| n), first);
}

/// The data of a URI record.
fn uri(priority: u16, weight: u16, target: &str) -> Vec<u8> {
    let numbers = [priority, weight].map(u16::to_be_bytes).concat();
    [&numbers, target.as_bytes()].concat()
}

fn named(
    records: impl IntoIterator<Item = (u16, u16, &'static str)>,
    allowed: &Allowed,
) -> Vec<JudgedRecord> {
    let records = records.into_iter();
    let records = records.filter_map(|(priority, weight, target)| {
        Candidate::proxy_by_uri(&uri(priority, weight, target), allowed)
    });
    records.collect()
}

fn other_hosts() -> Allowed {
    Allowed {
        plaintext: false,
        permitted: Permitted::OtherHosts(Vec::new()),
    }
}

/// What is taken, and what is not and why; the first of equals by weight.
fn chosen(records: Vec<JudgedRecord>) -> (Vec<String>, Vec<(String, RecordRefusal)>) {
    let (chosen, refused) = choose(records, &mut |_| 0);
    let chosen = chosen.into_iter().map(|candidate| {
        let url = candidate.target.name();
        let is_primary = if candidate.primary { " primary" } else { "" };
        format!("{url}{is_primary}")
    });
    let refused = refused.into_iter().map(|no| (no.name, no.why));
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
    let (chosen, refused) = chosen(named(records, &other_hosts()));
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
        let (chosen, refused) = chosen(named([(0, 0, target)], &other_hosts()));
        assert_eq!(chosen, [""; 0], "{target}");
        let [(name, told)] = &refused[..] else {
            panic!("{target}: {refused:?}")
        };
        assert_eq!(*told, why, "{target}");
        assert!(name.chars().count() <= MAX_TOLD, "{target}");
    }
    // Too short for its numbers.
    assert_eq!(Candidate::proxy_by_uri(&[0, 0, 0], &other_hosts()), None);
}

#[test]
fn what_is_allowed_is_taken() {
    let networks = vec!["127.0.0.2/32".parse().unwrap()];
    let allowed = Allowed {
        plaintext: true,
        permitted: Permitted::OtherHosts(networks),
    };
    let records = [
        (0, 0, "krb5srv::kkdcp:http://p.test"),
        (1, 0, "krb5srv::kkdcp:https://127.0.0.2:8443/x"),
        (2, 0, "krb5srv::kkdcp:https://127.0.0.1"),
    ];
    let (chosen, refused) = chosen(named(records, &allowed));
    assert_eq!(
        chosen,
        ["http://p.test/KdcProxy", "https://127.0.0.2:8443/x"]
    );
    assert_eq!(refused.len(), 1);
}

#[test]
fn service_records_get_the_usual_path() {
    let srv = |priority, host, port| {
        Candidate::proxy_by_srv(Rank::new(priority, 0), host, port, &other_hosts())
    };
    let records = [
        srv(10, "b.test", 8443),
        srv(0, "a.test", 443),
        srv(0, "", 0),
        srv(20, "127.0.0.1", 443),
        srv(21, "a b.test", 443),
        srv(22, "a.test/x?", 443),
        srv(23, "c.test", 0),
    ];
    let (chosen, refused) = chosen(records.into_iter().flatten().collect());
    let expected = ["https://a.test/KdcProxy", "https://b.test:8443/KdcProxy"];
    assert_eq!(chosen, expected);
    let refused: Vec<_> = refused.into_iter().map(|(_, why)| why).collect();
    assert_eq!(refused, [Address("loopback"), Name, Name, Port]);
}

#[test]
fn one_url_is_asked_once_and_at_its_best_place() {
    let records = [
        (9, 9, "krb5srv::kkdcp:https://A.test:443"),
        (5, 0, "krb5srv::kkdcp:https://b.test"),
        (1, 1, "krb5srv:m:kkdcp:https://a.test/KdcProxy"),
    ];
    let (chosen, _) = chosen(named(records, &other_hosts()));
    let expected = ["https://a.test/KdcProxy primary", "https://b.test/KdcProxy"];
    assert_eq!(chosen, expected);
}

#[test]
fn of_ten_thousand_records_the_best_sixteen_are_asked() {
    let allowed = other_hosts();
    let records = |target: &dyn Fn(u16) -> String| {
        let records = (0..10_000).rev().map(|n| uri(n, 0, &target(n)));
        let records = records.filter_map(|data| Candidate::proxy_by_uri(&data, &allowed));
        records.collect()
    };
    let (taken, refused) = chosen(records(&|n| format!("krb5srv::kkdcp:https://p{n}.test")));
    assert_eq!(taken.len(), 16);
    assert_eq!(taken[0], "https://p0.test/KdcProxy");
    assert_eq!(taken[15], "https://p15.test/KdcProxy");
    assert_eq!(refused.len(), MAX_REFUSED);
    let (taken, refused) = chosen(records(&|_| "garbage".to_owned()));
    assert_eq!((taken.len(), refused.len()), (0, MAX_REFUSED));
}
