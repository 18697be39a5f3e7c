//! KDCs that are gone, and connections that are.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use socket2::{Domain, Socket, Type};

use crate::clients::{Http, assert_refused, post};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, REALM};
use crate::scripted::Script;
use crate::{granting, posted};

/// A port whose SYNs are dropped, as nobody accepts there and as many wait as may.
fn black_hole() -> (SocketAddr, Vec<Socket>) {
    let tcp = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = tcp();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = vec![listener];
    loop {
        let waiting = tcp();
        let taken = waiting.connect_timeout(&address, Duration::from_millis(300));
        held.push(waiting);
        if taken.is_err() {
            return (address.as_socket().unwrap(), held);
        }
    }
}

/// kdcproxy's issue 3: a KDC that is a black hole held its clients up until they gave up, the other KDCs unasked; and
/// issue 37: whatever went wrong, all that a client saw was an opaque error of its own.
///
/// Here connecting takes 2 s at most, the next KDC is asked, and a verdict has its status and a line of text.
#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_is_passed_by_and_told() {
    let (hole, _held) = black_hole();
    let kdc = granting().start().await;
    let alone = "ALONE.TEST";
    let patient = realm(alone, &[hole]).replace("deadline-seconds = 2", "deadline-seconds = 20");
    let second = realm(REALM, &[hole, kdc.address]).replace("= 2\n", "= 20\n");
    let gateway = Gateway::start(&[patient, second].concat());
    for kind in Kind::ALL {
        let began = Instant::now();
        let response = post(&gateway, Http::One, &posted(kind)).await;
        assert_eq!(response.status, 200, "{kind:?}");
        assert!(began.elapsed() < Duration::from_secs(4), "{kind:?}");
    }
    let began = Instant::now();
    let request = crate::messages::envelope(
        &crate::messages::framed(&Kind::Change.request(alone).bytes),
        Some(alone),
    );
    let response = post(&gateway, Http::One, &request).await;
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_refused(&response, StatusCode::BAD_GATEWAY);
    assert!(response.text().contains(alone), "{}", response.text());
}

/// A KDC that is not there is told at once, and that it is back is seen at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_kdc_that_is_gone_is_told_at_once_and_its_return_is_seen() {
    let gone = Script::refusing().start().await;
    let address = gone.address;
    let gateway = Gateway::start(&realm(REALM, &[address]));
    for kind in Kind::ALL {
        let began = Instant::now();
        let response = post(&gateway, Http::Two, &posted(kind)).await;
        assert_refused(&response, StatusCode::BAD_GATEWAY);
        assert!(began.elapsed() < Duration::from_secs(1), "{kind:?}");
    }
    gone.stop().await;
    let kdc = granting().start_at(&address.to_string()).await;
    for kind in Kind::ALL {
        let response = post(&gateway, Http::Two, &posted(kind)).await;
        assert_eq!(response.status, 200, "{kind:?}");
    }
    assert_eq!(kdc.seen().tcp.len(), Kind::ALL.len());
}

/// Stale pooled connections (cloudflared's issue 458, sspi-rs's PR 647): after a pause, the first requests failed, each
/// over one of the connections that had died meanwhile.
///
/// Here a kept connection never costs a request (`upstream::kdc::idle_conns`), even where the process could not see it end.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_in_a_pause_cost_nothing() {
    let kdc = granting().start().await;
    let address = kdc.address;
    let gateway = Gateway::start(&realm(REALM, &[address]));
    for _ in 0..2 {
        for kind in Kind::ALL {
            assert_eq!(post(&gateway, Http::Two, &posted(kind)).await.status, 200);
        }
    }
    assert!(kdc.seen().connections < 8, "connections are kept");
    gateway.process.signal("STOP");
    kdc.stop().await;
    let kdc = granting().start_at(&address.to_string()).await;
    // The first, which may not be sent twice, waits in its socket when it wakes up.
    for kind in Kind::ALL.into_iter().rev() {
        let wake_up = async { gateway.process.signal("CONT") };
        let body = posted(kind);
        let (response, ()) = tokio::join!(post(&gateway, Http::Zero, &body), wake_up);
        assert_eq!(response.status, 200, "{kind:?}");
    }
    assert_eq!(kdc.seen().tcp.len(), Kind::ALL.len());
}
