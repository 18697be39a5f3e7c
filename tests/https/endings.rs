//! Connections that make room, a daemon that stops, certificates that are replaced, bodies that are begun.

use std::future::poll_fn;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use hyper::StatusCode;
use tokio::net::TcpStream;

use crate::clients::{Http, One, Response, Two, ask, assert_refused, post, tls};
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
    first.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
    first.hear().await;
    let mut second = One::plain(&gateway).await;
    second
        .send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n")
        .await;
    second.hear().await;
    let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
    assert_eq!(response.status, 200);
    first.ended().await;
    assert_eq!(gateway.counters().evicted.get(), 1);
}

/// Who has a connection of its own knows how long it is kept; what comes by a reverse proxy has one of that proxy's, of which nothing is
/// said. The test is of what a client can go by: a password over a connection that may be closed is lost.
#[tokio::test]
async fn clients_are_told_how_long_their_connection_is_kept() {
    let told = |response: &Response| {
        let header = |name| response.header(name).map(str::to_owned);
        (header("keep-alive"), header("loopkdc-keep-alive"))
    };
    let some = || Some("timeout=30".to_owned());
    let gateway = Gateway::new().await;
    let one = post(&gateway, Http::One, &body()).await;
    assert_eq!(told(&one), (some(), None));
    let two = post(&gateway, Http::Two, &body()).await;
    assert_eq!(told(&two), (None, some()));
    let behind = Setup::limits(|_| ()).trusting("127.0.0.1/32").start().await;
    for http in [Http::One, Http::Two] {
        let response = post(&behind, http, &body()).await;
        assert_eq!(told(&response), (None, None), "{http:?}");
    }
}

/// Its first request is likely to be on its way, and others may be many.
#[tokio::test]
async fn a_connection_after_its_handshake_makes_no_room_while_others_have_shown_nothing() {
    let setup = Setup::limits(|limits| limits.max_connections = 8);
    let gateway = setup.trusting("127.0.0.1/32").start().await;
    let mut known = One::connect(&gateway).await;
    let strangers = (0..20).map(|_| TcpStream::connect(gateway.tls));
    let strangers = futures_util::future::join_all(strangers).await;
    eventually(|| gateway.counters().evicted.get() == 13).await;
    known.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
    assert_eq!(known.hear().await.status, 200);
    drop(strangers);
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
            gateway.tasks.stop.cancel();
        };
        let (response, ()) = tokio::join!(asked, stop);
        assert_refused(&response, StatusCode::GATEWAY_TIMEOUT);
        fresh.ended().await;
        within(idle.connection)
            .await
            .unwrap()
            .expect("a graceful end");
        gateway.tasks.tracker.close();
        within(gateway.tasks.tracker.wait()).await;
    }
}

#[tokio::test]
async fn who_connects_until_all_has_ended_is_answered() {
    let gateway = Gateway::new().await;
    gateway.tasks.stop.cancel();
    for http in Http::ALL {
        assert_eq!(post(&gateway, http, &body()).await.status, 200);
    }
    gateway.tasks.close.cancel();
    gateway.tasks.late.close();
    within(gateway.tasks.late.wait()).await;
    TcpStream::connect(gateway.tls).await.unwrap_err();
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
        one.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
        assert_eq!(one.hear().await.status, 200);
    }
}

/// Begins a body of 128 KiB of which so many octets come, and waits until they have left.
async fn begin_long_body(two: &mut Two, octets: usize) -> (ResponseFuture, SendStream<Bytes>) {
    let mut request = Two::request("POST", "/KdcProxy");
    let length = "131072".parse().unwrap();
    request.headers_mut().insert("content-length", length);
    let ready = within(two.requests.clone().ready()).await.unwrap();
    two.requests = ready;
    let (response, mut stream) = two.requests.send_request(request, false).unwrap();
    stream.reserve_capacity(octets);
    while stream.capacity() < octets {
        within(poll_fn(|context| stream.poll_capacity(context))).await;
    }
    stream.send_data(vec![0; octets].into(), false).unwrap();
    (response, stream)
}

#[tokio::test]
async fn who_declares_long_bodies_and_does_not_send_them_keeps_nobody_out() {
    let gateway = Setup::limits(|limits| limits.waiting = 64 * 1024)
        .start()
        .await;
    let mut two = Two::connect(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..30 {
        held.push(begin_long_body(&mut two, 1000).await);
    }
    let response = two.ask(Two::request("POST", "/KdcProxy"), body()).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn one_client_cannot_begin_long_bodies_without_end() {
    // Four fifths of it are 5 of them.
    let gateway = Setup::limits(|limits| limits.waiting = 320 * 1024)
        .start()
        .await;
    let mut two = Two::connect(&gateway).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(begin_long_body(&mut two, 50_000).await);
    }
    let refused = within(&mut held[0].0).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "2");
    assert_eq!(gateway.counters().overloaded.get(), 1);
    assert_eq!(post(&gateway, Http::Two, &body()).await.status, 200);
}

#[tokio::test]
async fn bodies_of_all_connections_are_bounded_and_leave_room_for_others() {
    let gateway = Setup::limits(|limits| limits.waiting = 256 * 1024)
        .start()
        .await;
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let mut one = One::plain(&gateway).await;
        one.send(
            "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n7530\r\n",
        )
        .await;
        one.send(vec![0; 30_000]).await;
        crowd.push(one);
    }
    // One client has 6 of them at most.
    eventually(|| gateway.counters().overloaded.get() == 4).await;
    for http in Http::ALL {
        assert_eq!(post(&gateway, http, &body()).await.status, 200);
    }
    drop(crowd);
    // What they held is free again: of the same length, another one is read to its end.
    let long = vec![0; 120_000];
    eventually(|| gateway.exchange.counters().refused.get() >= 6).await;
    assert_eq!(post(&gateway, Http::Two, &long).await.status, 400);
}
