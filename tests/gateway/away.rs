//! A KDC that is there on some networks only: a moment for it, and nothing sent to nobody.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use loopkdc::relay::upstream::kdc::{Kdc, KdcOptions, LOCAL_KDC_TIMEOUT, Reach, Transport};
use loopkdc::relay::upstream::{ConnReuse, Fault, Unsent};
use tokio::time::timeout;

use crate::addresses::{deaf, granting, renamed, terms};
use crate::messages::{Kind, as_rep};
use crate::scripted::{Act, Script, terms_of};
use crate::support::nameserver::SilentNameServer;
use crate::support::netns::isolated;
use crate::{ask, ask_over};

const TIMED_OUT: Fault = Fault::NotSent(Unsent::ConnectTimeout);
/// As soon as a loaded machine does what takes [`LOCAL_KDC_TIMEOUT`]; less than what a KDC gets that should be there.
const SOON: Duration = Duration::from_millis(1_500);

fn away(terms: KdcOptions) -> Kdc {
    Kdc::new(KdcOptions {
        reach: Reach::OnSomeNetworks,
        ..terms
    })
}

fn at(address: SocketAddr) -> Kdc {
    away(terms_of(address.to_string(), Transport::TcpFirst))
}

#[tokio::test]
async fn who_is_silent_gets_a_moment_however_many_ask() {
    let (listener, _waiting) = deaf(([127, 0, 0, 1], 0).into());
    let kdc = at(listener.local_addr().unwrap());
    let began = Instant::now();
    let faults = join_all((0..20).map(|_| ask(&kdc, Kind::Preauth))).await;
    let took = began.elapsed();
    let faults: Vec<_> = faults.into_iter().map(Result::unwrap_err).collect();
    // That others are before one says nothing about the KDC; but somebody was first.
    let busy = Fault::NotSent(Unsent::Busy);
    let unsent = |fault: &Fault| [&TIMED_OUT, &busy].contains(&fault);
    assert!(faults.iter().all(unsent), "{faults:?}");
    assert!(faults.contains(&TIMED_OUT), "{faults:?}");
    assert!((LOCAL_KDC_TIMEOUT..SOON).contains(&took), "{took:?}");
}

#[tokio::test]
async fn who_refuses_tcp_gets_no_datagram() {
    let scripted = Script::refusing().udp(|_| vec![as_rep()]).start().await;
    let kdc = at(scripted.address);
    for kind in [Kind::Plain, Kind::Preauth, Kind::Change] {
        let fault = ask(&kdc, kind).await.unwrap_err();
        assert!(
            matches!(fault, Fault::NotSent(Unsent::Connect(_))),
            "{fault:?}"
        );
    }
    assert_eq!(scripted.seen().asked(), (0, 0));
}

/// However its records call it.
#[tokio::test]
async fn it_is_asked_over_tcp() {
    let scripted = granting().start().await;
    let kdc = away(terms_of(scripted.address.to_string(), Transport::UdpFirst));
    ask(&kdc, Kind::Preauth).await.unwrap();
    assert_eq!(scripted.seen().asked(), (1, 0));
}

/// Where it is, it may think as long as any other.
#[tokio::test]
async fn who_took_the_connection_has_time() {
    let script = Script::default().tcp(|_| Act::Silence);
    let scripted = script.start().await;
    let kdc = at(scripted.address);
    let still_waits = timeout(2 * LOCAL_KDC_TIMEOUT, ask(&kdc, Kind::Preauth)).await;
    still_waits.unwrap_err();
    assert_eq!(scripted.seen().asked(), (1, 0));
}

#[test]
fn a_silent_address_leaves_time_for_the_next() {
    isolated(|| {
        renamed(&["127.0.0.2", "127.0.0.3"], async |_| {
            let scripted = granting().start_at("127.0.0.3:0").await;
            let silent: SocketAddr = ([127, 0, 0, 2], scripted.address.port()).into();
            let _deaf = deaf(silent);
            let kdc = away(terms(scripted.address, Transport::TcpFirst));
            ask(&kdc, Kind::Preauth).await.unwrap();
        });
    });
}

#[test]
fn a_name_server_that_hangs_costs_a_moment_and_nothing_who_knows_an_address() {
    isolated(|| {
        renamed(&["127.0.0.2"], async |names| {
            let _name_server = SilentNameServer::start();
            let scripted = granting().start_at("127.0.0.2:0").await;
            let known = away(terms(scripted.address, Transport::TcpFirst));
            let fresh = ConnReuse::Never;
            ask_over(&known, Kind::Preauth, fresh).await.unwrap();
            let address = scripted.stop().await;
            ask_over(&known, Kind::Preauth, fresh).await.unwrap_err();
            names.are(&[]);
            let _scripted = granting().start_at(&address).await;
            ask_over(&known, Kind::Preauth, fresh).await.unwrap();

            let unknown = away(terms_of("kdc.test:88".to_owned(), Transport::TcpFirst));
            let began = Instant::now();
            let fault = ask(&unknown, Kind::Preauth).await.unwrap_err();
            assert_eq!(fault, TIMED_OUT);
            assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        });
    });
}

#[test]
fn another_network_has_other_addresses_and_connections() {
    isolated(|| {
        renamed(&["127.0.0.2"], async |names| {
            let office = granting().start_at("127.0.0.2:0").await;
            let kdc = away(terms(office.address, Transport::TcpFirst));
            ask(&kdc, Kind::Plain).await.unwrap();
            names.are(&["127.0.0.3"]);
            ask(&kdc, Kind::Plain).await.unwrap();
            assert_eq!(office.seen().connections, 1, "it is kept");
            kdc.forget();
            office.until(|seen| seen.closed == 1).await;
            let port = office.address.port();
            let elsewhere = format!("127.0.0.3:{port}");
            let elsewhere = granting().start_at(&elsewhere).await;
            ask(&kdc, Kind::Plain).await.unwrap();
            assert_eq!(elsewhere.seen().connections, 1);
            assert_eq!(office.seen().connections, 1);
        });
    });
}
