//! Clients that take their time.

use std::time::Duration;

use h2::Reason;
use hyper::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clients::{One, Two, assert_refused};
use crate::gateway::{Gateway, Setup};
use crate::within;

const SHORT: Duration = Duration::from_millis(100);

/// Sends an octet at a time, each as soon as the other end may have looked at the last, until it is hung up on.
async fn trickle(stream: &mut TcpStream, octets: &[u8]) {
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    for octet in octets.iter().cycle() {
        pause.tick().await;
        if stream.write_all(&[*octet]).await.is_err() {
            return;
        }
    }
}

async fn impatient() -> Gateway {
    Setup::limits(|limits| limits.first_request = SHORT)
        .start()
        .await
}

#[tokio::test]
async fn a_connection_that_says_nothing_ends() {
    let gateway = impatient().await;
    One::plain(&gateway).await.ended().await;
    let silent_in_tls = TcpStream::connect(gateway.tls).await.unwrap();
    One::over(silent_in_tls).ended().await;
    One::connect(&gateway).await.ended().await;
    let two = Two::connect(&gateway).await;
    let _ = within(two.connection).await.unwrap();
}

#[tokio::test]
async fn headers_that_trickle_end_in_time() {
    let gateway = impatient().await;
    let mut stream = TcpStream::connect(gateway.plain).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: g\r\n")
        .await
        .unwrap();
    within(trickle(&mut stream, b"X: y\r\n")).await;
    let mut stream = TcpStream::connect(gateway.tls).await.unwrap();
    stream
        .write_all(&[0x16, 0x03, 0x01, 0x3f, 0xff, 0x01, 0x00, 0x3f, 0xfb])
        .await
        .unwrap();
    within(trickle(&mut stream, &[3])).await;
}

#[tokio::test]
async fn a_body_that_trickles_is_given_up() {
    let gateway = Setup::limits(|limits| limits.body = SHORT).start().await;
    let mut one = One::plain(&gateway).await;
    one.send("POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: 1000\r\n\r\n")
        .await;
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    let response = loop {
        tokio::select! {
            biased;
            response = one.hear() => break response,
            _ = pause.tick() => {}
        }
        let _ = one.stream.write_all(b"x").await;
    };
    assert_refused(&response, StatusCode::REQUEST_TIMEOUT);
    assert!(response.closed);

    let mut two = Two::connect(&gateway).await;
    let request = Two::request("POST", "/KdcProxy");
    let (response, mut stream) = two.requests.send_request(request, false).unwrap();
    stream.send_data("x".into(), false).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 408);
    let reset = within(std::future::poll_fn(|context| stream.poll_reset(context))).await;
    assert_eq!(reset.unwrap(), Reason::NO_ERROR);
    assert_eq!(gateway.counters().refused.get(), 2);
}

#[tokio::test]
async fn a_kept_connection_ends_when_nothing_more_is_asked() {
    let gateway = Setup::limits(|limits| limits.idle_timeout = SHORT)
        .start()
        .await;
    let mut one = One::plain(&gateway).await;
    one.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
    assert_eq!(one.hear().await.status, 200);
    one.ended().await;
    let mut two = Two::connect(&gateway).await;
    let response = two.ask(Two::request("GET", "/healthz"), Vec::new()).await;
    assert_eq!(response.status, 200);
    let _ = within(two.connection).await.unwrap();
}
