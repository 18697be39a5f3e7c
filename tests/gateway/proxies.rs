//! The KDC proxies of a realm, as name servers tell them.

use std::time::{Duration, Instant};

use loopkdc::relay::explain::UpstreamKind;
use loopkdc::relay::upstream::dns::{Discovery, DnsResults, LookUpError, UpstreamTarget};
use loopkdc::wire::Realm;

use crate::within;
use crate::zone::{SRV, Say, URI, Zone};

const KDC: &str = "_kerberos.EXAMPLE.COM";
const KPASSWD: &str = "_kpasswd.EXAMPLE.COM";
const HTTPS: &str = "_kerberos._https.EXAMPLE.COM";

fn discovery(realm: &str) -> Result<Discovery, LookUpError> {
    let realm = Realm::parse(realm.as_bytes()).unwrap();
    Discovery::new(&realm, UpstreamKind::Proxy, Vec::new())
}

async fn look_up(zone: &Zone) -> Result<DnsResults, LookUpError> {
    let discovery = discovery("EXAMPLE.COM").unwrap().at(zone.address);
    within(discovery.look_up()).await
}

fn uri(ttl: u32, target: &'static str) -> Say {
    Say::Uri(vec![(ttl, 0, 0, target)])
}

fn srv(ttl: u32) -> Say {
    Say::Srv(vec![(ttl, 0, 0, 443, "srv.test.")])
}

/// The hosts of logins and of passwords.
fn hosts(found: &DnsResults) -> [Vec<&str>; 2] {
    [&found.kdc, &found.kpasswd].map(|urls| {
        let urls = urls.iter().filter_map(UpstreamTarget::proxy);
        let hosts = urls.filter_map(|url| url.as_url().host_str());
        hosts.collect()
    })
}

#[tokio::test]
async fn uri_records_are_asked_for_and_those_of_passwords_are_their_own() {
    let zone = Zone::start([
        (
            KDC,
            Say::Uri(vec![
                (900, 20, 0, "krb5srv:m:kkdcp:https://second.test/x"),
                (600, 10, 0, "krb5srv::kkdcp:https://first.test"),
                (600, 1, 0, "krb5srv::tcp:dc1.test"),
            ]),
        ),
        (KPASSWD, uri(120, "krb5srv:m:kkdcp:https://passwords.test")),
        (HTTPS, srv(40)),
    ]);
    let zone = zone.await;
    let found = look_up(&zone).await.unwrap();
    let expected = [vec!["first.test", "second.test"], vec!["passwords.test"]];
    assert_eq!(hosts(&found), expected);
    assert_eq!(
        found.kdc[1].proxy().unwrap().to_string(),
        "https://second.test/x"
    );
    assert_eq!(found.refused, []);
    // What the records say that are not needed is of no interest.
    assert_eq!(found.good_for, Duration::from_secs(120));
    let mut asked = [(KDC, URI), (HTTPS, SRV), (KPASSWD, URI)].map(|(n, k)| (n.to_owned(), k));
    asked.sort();
    assert_eq!(zone.asked(), asked);
}

#[tokio::test]
async fn without_records_of_their_own_passwords_go_where_writes_are_taken() {
    let zone = Zone::start([(
        KDC,
        Say::Uri(vec![
            (60, 10, 0, "krb5srv::kkdcp:https://replica.test"),
            (60, 20, 0, "krb5srv:m:kkdcp:https://primary.test"),
        ]),
    )]);
    let found = look_up(&zone.await).await.unwrap();
    let expected = [
        vec!["replica.test", "primary.test"],
        vec!["primary.test", "replica.test"],
    ];
    assert_eq!(hosts(&found), expected);
    assert_eq!(found.primary, found.kpasswd[..1]);
}

#[tokio::test]
async fn service_records_are_for_where_no_uri_record_leads_to_a_proxy() {
    for kdc in [
        Say::Nothing(60),
        uri(60, "krb5srv::tcp:dc1.test"),
        uri(60, "krb5srv::kkdcp:http://plain.test"),
        Say::Failure,
        Say::Silence,
    ] {
        let refuses = format!("{kdc:?}").contains("http:");
        let zone = Zone::start([(KDC, kdc.clone()), (HTTPS, srv(600))]).await;
        let began = Instant::now();
        let found = look_up(&zone).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(4), "{kdc:?}");
        let expected = [vec!["srv.test"], vec!["srv.test"]];
        assert_eq!(hosts(&found), expected, "{kdc:?}");
        assert_eq!(!found.refused.is_empty(), refuses, "{kdc:?}");
    }
}

#[tokio::test]
async fn nothing_is_an_answer_and_a_failure_is_none() {
    let zone = Zone::start([KDC, KPASSWD, HTTPS].map(|name| (name, Say::Nothing(45))));
    let found = look_up(&zone.await).await.unwrap();
    assert_eq!(hosts(&found), [vec![""; 0], vec![]]);
    assert_eq!(found.good_for, Duration::from_secs(45));
    for failing in [KDC, KPASSWD, HTTPS] {
        let zone = Zone::start([(failing, Say::Failure)]).await;
        let error = look_up(&zone).await.unwrap_err();
        let name = format!("{failing}.");
        assert!(
            matches!(&error, LookUpError::NoAnswer(which, _) if *which == name),
            "{failing}: {error}"
        );
    }
}

/// Else passwords would go to another proxy than the zone says, for want of one answer.
#[tokio::test]
async fn where_passwords_go_is_known_or_the_whole_is_not() {
    let proxy = || uri(60, "krb5srv::kkdcp:https://p.test");
    let zone = Zone::start([(KDC, proxy()), (KPASSWD, Say::Failure)]).await;
    look_up(&zone).await.unwrap_err();
}

#[tokio::test]
async fn as_many_records_as_an_answer_holds_are_read() {
    let names = (0..1_200_u16).rev();
    let target = |n: u16| &*format!("krb5srv::kkdcp:https://p{n}.test").leak();
    let records = names.map(|n| (60, n, 0, target(n))).collect();
    let zone = Zone::start([(KDC, Say::Uri(records))]).await;
    let found = look_up(&zone).await.unwrap();
    let [kdc, _] = hosts(&found);
    assert_eq!((kdc.len(), kdc[0], kdc[15]), (16, "p0.test", "p15.test"));
    assert!(
        found
            .refused
            .iter()
            .all(|no| no.why == "there are too many")
    );
}

#[test]
fn a_realm_that_is_no_domain_has_no_proxies_in_dns() {
    for realm in ["C=US/O=OSF", "A B", ".COM", "COM."] {
        let error = discovery(realm).unwrap_err();
        assert_eq!(error, LookUpError::NotADomain(realm.to_owned()));
    }
}
