//! Connections that make room, a daemon that stops, certificates that are replaced, bodies that are begun.

use std::time::Duration;

use hyper::StatusCode;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::clients::{Http, One, Two, ask, assert_refused, post, tls};
use crate::gateway::{Gateway, Setup, certificate};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};
use crate::{eventually, within};

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

#[tokio::test]
async fn the_connection_that_was_silent_for_longest_makes_room() {
    let gateway = Setup::limits(|limits| limits.max_connections = 2)
        .start()
        .await;
    let mut first = One::plain(&gateway).await;
    first.send("GET /healthz HTTP/1.1\r\n\r\n").await;
    first.hear().await;
    let mut second = One::plain(&gateway).await;
    second.send("GET /healthz HTTP/1.1\r\n\r\n").await;
    second.hear().await;
    let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
    assert_eq!(response.status, 200);
    first.ended().await;
    assert_eq!(gateway.counters().evicted.get(), 1);
}

#[tokio::test]
async fn a_connection_whose_request_is_under_way_makes_no_room() {
    let mut setup = Setup::kdc_that(Act::Silence);
    setup.limits.max_connections = 1;
    let gateway = setup.start().await;
    let request = body();
    let asked = post(&gateway, Http::One, &request);
    let crowd = async {
        eventually(|| gateway.kdc.asked() == 1).await;
        let turned_away = TcpStream::connect(gateway.plain).await.unwrap();
        One::over(turned_away).ended().await;
    };
    let (response, ()) = tokio::join!(asked, crowd);
    assert_refused(&response, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(gateway.counters().evicted.get(), 0);
}

#[tokio::test]
async fn what_is_under_way_when_the_daemon_stops_is_answered() {
    for http in [Http::One, Http::Two] {
        let gateway = Setup::kdc_that(Act::Silence).start().await;
        let idle = Two::connect(&gateway).await;
        let mut fresh = One::connect(&gateway).await;
        let request = body();
        let asked = post(&gateway, http, &request);
        let stop = async {
            eventually(|| gateway.kdc.asked() == 1).await;
            gateway.stop.cancel();
        };
        let (response, ()) = tokio::join!(asked, stop);
        assert_refused(&response, StatusCode::GATEWAY_TIMEOUT);
        fresh.ended().await;
        within(idle.connection)
            .await
            .unwrap()
            .expect("a graceful end");
        gateway.tasks.close();
        within(gateway.tasks.wait()).await;
    }
}

#[tokio::test]
async fn each_connection_gets_the_certificate_of_its_time() {
    let gateway = Gateway::new().await;
    let leaf = |stream: &tokio_rustls::client::TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    };
    let old = tls(gateway.tls, &[b"http/1.1"]).await;
    let first = leaf(&old);
    gateway.certificates.send_replace(certificate());
    let new = tls(gateway.tls, &[b"http/1.1"]).await;
    assert_ne!(leaf(&new), first);
    for stream in [old, new] {
        let mut one = One::over(stream);
        one.send("GET /healthz HTTP/1.1\r\n\r\n").await;
        assert_eq!(one.hear().await.status, 200);
    }
}

/// Many who send nothing but the first octets of a long body: what is kept of each is bounded, and others are served.
#[tokio::test]
async fn one_connection_cannot_begin_long_bodies_without_end() {
    let gateway = Gateway::new().await;
    let mut two = Two::connect(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut request = Two::request("POST", "/KdcProxy");
        request
            .headers_mut()
            .insert("content-length", "131072".parse().unwrap());
        let ready = within(two.requests.clone().ready()).await.unwrap();
        two.requests = ready;
        let (response, mut stream) = two.requests.send_request(request, false).unwrap();
        stream.send_data(vec![0; 1000].into(), false).unwrap();
        held.push((response, stream));
    }
    // The same connection has no place for another body; another connection has.
    let crowded = two.ask(Two::request("POST", "/KdcProxy"), body());
    assert!(timeout(Duration::from_millis(200), crowded).await.is_err());
    assert_eq!(post(&gateway, Http::Two, &body()).await.status, 200);
}
