//! The KDCs of a realm, as name servers tell them.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use loopkdc::relay::explain::UpstreamKind;
use loopkdc::relay::upstream::dns::{Discovery, DnsResults, LookUpError, UpstreamTarget};
use loopkdc::relay::upstream::kdc::Transport::{self, TcpFirst, UdpFirst};
use loopkdc::wire::Realm;

use crate::support::netns::{NAME_SERVER, bind_over, isolated};
use crate::within;
use crate::zone::{SRV, Say, Zone};

const NAMES: [&str; 4] = [
    "_kerberos._tcp.EXAMPLE.COM",
    "_kerberos._udp.EXAMPLE.COM",
    "_kpasswd._tcp.EXAMPLE.COM",
    "_kpasswd._udp.EXAMPLE.COM",
];

/// Nobody needs an answer about these.
const PRIMARY: [&str; 2] = [
    "_kerberos-master._tcp.EXAMPLE.COM",
    "_kerberos-master._udp.EXAMPLE.COM",
];

/// What is asked for.
fn all_names() -> Vec<(String, u16)> {
    let names = PRIMARY.iter().chain(&NAMES);
    names.map(|name| ((*name).to_owned(), SRV)).collect()
}

fn discovery(realm: &str) -> Result<Discovery, LookUpError> {
    let realm = Realm::parse(realm.as_bytes()).unwrap();
    Discovery::new(&realm, UpstreamKind::Kdc, Vec::new())
}

async fn look_up(zone: &Zone) -> Result<DnsResults, LookUpError> {
    let discovery = discovery("EXAMPLE.COM").unwrap().at(zone.address);
    within(discovery.look_up()).await
}

fn target(name: &str, transport: Transport) -> UpstreamTarget {
    UpstreamTarget::Kdc {
        name: name.to_owned(),
        transport,
    }
}

fn script<const N: usize>(says: [Say; N]) -> impl Iterator<Item = (&'static str, Say)> {
    NAMES.into_iter().zip(says)
}

#[tokio::test]
async fn targets_come_by_priority_with_their_transport_and_the_shortest_ttl() {
    let zone = Zone::start(script([
        Say::Srv(vec![
            (600, 20, 0, 88, "dc2.example.com."),
            (900, 10, 0, 88, "DC1.Example.COM."),
        ]),
        Say::Srv(vec![
            (600, 5, 0, 88, "dc1.example.com."),
            (600, 30, 0, 88, "old.example.com."),
        ]),
        Say::OverTcp(vec![(120, 0, 0, 464, "dc1.example.com.")]),
        Say::Srv(vec![(600, 0, 0, 464, ".")]),
    ]));
    let zone = zone.await;
    let found = look_up(&zone).await.unwrap();
    let kdc = [
        target("dc1.example.com:88", TcpFirst),
        target("dc2.example.com:88", TcpFirst),
        target("old.example.com:88", UdpFirst),
    ];
    assert_eq!(found.kdc, kdc);
    assert_eq!(found.kpasswd, [target("dc1.example.com:464", TcpFirst)]);
    assert_eq!(found.refused, []);
    assert_eq!(found.good_for, Duration::from_secs(120));
    assert_eq!(found.primary, []);
    assert_eq!(zone.asked(), all_names());
}

#[tokio::test]
async fn what_is_primary_is_told_by_records_of_its_own() {
    let srv = |ttl, priority, host| Say::Srv(vec![(ttl, priority, 0, 88, host)]);
    let kdcs = Say::Srv(vec![
        (600, 10, 0, 88, "replica.example.com."),
        (600, 20, 0, 88, "primary.example.com."),
    ]);
    let names =
        |found: &[UpstreamTarget]| -> Vec<_> { found.iter().map(ToString::to_string).collect() };
    let [replica, primary, hidden] =
        ["replica", "primary", "hidden"].map(|host| format!("{host}.example.com:88"));
    for (tcp, udp, expected, good_for) in [
        (
            srv(90, 0, "primary.example.com."),
            srv(600, 0, "hidden.example.com."),
            vec![&primary, &hidden],
            90,
        ),
        // That there are none shortens nothing, and that one query failed is made up for soon.
        (Say::Nothing(0), Say::Nothing(60), vec![], 600),
        (
            Say::Failure,
            srv(600, 0, "primary.example.com."),
            vec![&primary],
            30,
        ),
        (Say::Silence, Say::Silence, vec![], 30),
    ] {
        let says = [
            (NAMES[0], kdcs.clone()),
            (PRIMARY[0], tcp),
            (PRIMARY[1], udp),
        ];
        let zone = Zone::start(
            says.into_iter()
                .chain(NAMES[1..].iter().map(|name| (*name, Say::Nothing(900)))),
        )
        .await;
        let began = Instant::now();
        let found = look_up(&zone).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(4), "{expected:?}");
        assert_eq!(
            names(&found.primary),
            expected.clone().into_iter().cloned().collect::<Vec<_>>()
        );
        let hidden = expected.contains(&&hidden).then_some(&hidden);
        let all: Vec<_> = [&replica, &primary]
            .into_iter()
            .chain(hidden)
            .cloned()
            .collect();
        assert_eq!(names(&found.kdc), all);
        assert_eq!(
            found.good_for,
            Duration::from_secs(good_for),
            "{expected:?}"
        );
    }
}

#[tokio::test]
async fn other_ports_are_refused_and_told() {
    let zone = Zone::start(script([
        Say::Srv(vec![
            (60, 0, 0, 389, "dc1.example.com."),
            (60, 1, 0, 88, "a b.example.com."),
        ]),
        Say::Nothing(60),
        Say::Nothing(60),
        Say::Srv(vec![(60, 0, 0, 22, "dc1.example.com.")]),
    ]));
    let found = look_up(&zone.await).await.unwrap();
    assert_eq!((found.kdc, found.kpasswd), (vec![], vec![]));
    let refused = found.refused.iter();
    let why: Vec<_> = refused
        .map(|no| (no.name.ends_with(":88"), no.why.as_str()))
        .collect();
    let port = (false, "its port is not among discover-ports");
    assert_eq!(why, [port, (true, "it is no name of a host"), port]);
}

#[tokio::test]
async fn that_there_is_nothing_is_an_answer_and_holds_as_long_as_the_zone_says() {
    for (ttl, good_for) in [(0, 30), (45, 45), (7_200, 3_600)] {
        let zone = Zone::start(NAMES.map(|name| (name, Say::Nothing(ttl)))).await;
        let found = look_up(&zone).await.unwrap();
        assert_eq!((found.kdc, found.kpasswd), (vec![], vec![]));
        assert_eq!(found.good_for, Duration::from_secs(good_for), "{ttl}");
    }
    // No such name, and no word of how long that holds.
    let found = look_up(&Zone::start([]).await).await.unwrap();
    assert_eq!((found.kdc, found.kpasswd), (vec![], vec![]));
    assert_eq!(found.good_for, Duration::from_secs(30));
}

#[tokio::test]
async fn a_failure_of_one_query_fails_the_whole() {
    for failing in NAMES {
        let says = NAMES.map(|name| match name {
            _ if name == failing => (name, Say::Failure),
            _ => (name, Say::Srv(vec![(60, 0, 0, 88, "dc1.example.com.")])),
        });
        let zone = Zone::start(says).await;
        let error = look_up(&zone).await.unwrap_err();
        let name = format!("{failing}.");
        assert!(
            matches!(&error, LookUpError::NoAnswer(which, _) if *which == name),
            "{error}"
        );
    }
}

#[test]
fn a_realm_that_is_no_domain_is_not_looked_up() {
    for realm in [
        "C=US/O=OSF",
        "A B",
        "EXAMPLE..COM",
        ".COM",
        "COM.",
        "a\\.b",
        "NAMETYPE:rest",
    ] {
        assert_eq!(
            discovery(realm).unwrap_err(),
            LookUpError::NotADomain(realm.to_owned())
        );
    }
    for realm in ["EXAMPLE.COM", "corp", "a-b_c.example"] {
        discovery(realm).unwrap();
    }
}

/// Runs `body` where these are the resolver's settings.
fn with_resolver(settings: &str, body: impl Future<Output = ()>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{settings}\nnameserver {NAME_SERVER}\n").unwrap();
    bind_over(file.path(), Path::new("/etc/resolv.conf"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(body);
}

async fn look_up_by_the_system() -> Result<DnsResults, LookUpError> {
    within(discovery("EXAMPLE.COM").unwrap().look_up()).await
}

/// The system's name servers, and nothing from its search list.
#[test]
fn the_systems_name_servers_are_asked_for_whole_names() {
    isolated(|| {
        with_resolver("search evil.test\noptions ndots:9", async {
            let tcp = Say::Srv(vec![(60, 0, 0, 88, "dc1.example.com.")]);
            let zone = Zone::start_at(&format!("{NAME_SERVER}:53"), script([tcp])).await;
            let found = look_up_by_the_system().await.unwrap();
            assert_eq!(found.kdc, [target("dc1.example.com:88", TcpFirst)]);
            assert_eq!(zone.asked(), all_names());
        });
    });
}

#[test]
fn name_servers_that_hang_end_the_look_up_in_time() {
    isolated(|| {
        with_resolver("options timeout:30 attempts:9", async {
            let says = [Say::Nothing(60), Say::Silence];
            let _zone = Zone::start_at(&format!("{NAME_SERVER}:53"), script(says)).await;
            let began = Instant::now();
            let error = look_up_by_the_system().await.unwrap_err();
            assert_eq!(error, LookUpError::TimedOut);
            assert!(began.elapsed() < Duration::from_secs(10));
        });
    });
}

#[tokio::test]
async fn chance_changes_the_order_and_not_what_is_found() {
    let hosts = ["a.", "b.", "c.", "d.", "e.", "f.", "g.", "h.", "i.", "j."];
    let records = hosts.map(|host| (60, 0, 1, 88, host)).to_vec();
    let zone = Zone::start(script([Say::Srv(records)])).await;
    let first = look_up(&zone).await.unwrap();
    let mut orders = 0;
    for _ in 0..10 {
        let again = look_up(&zone).await.unwrap();
        assert!(again.has_same_targets(&first));
        orders += usize::from(again.kdc != first.kdc);
    }
    assert!(orders > 0, "ten times the same of 3,628,800");
    let other = Zone::start(script([Say::Srv(vec![(60, 0, 1, 88, "a.")])])).await;
    assert!(!look_up(&other).await.unwrap().has_same_targets(&first));
}
