//! What requests say of their length, and what they had better not.

use std::io::{Read, Write};

use hyper::StatusCode;
use rustls::ClientConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::{Http, One, Two, assert_refused, config};
use crate::gateway::Gateway;
use crate::messages::{Kind, REALM, envelope, framed};
use loopkdc::wire::MAX_REQUEST;

const MAX: usize = MAX_REQUEST + 1024;

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

/// The answer to a head, and octets after it.
async fn said(gateway: &Gateway, head: &str, rest: &[u8]) -> crate::clients::Response {
    let mut one = One::plain(gateway).await;
    one.send([head.as_bytes(), b"\r\n", rest].concat()).await;
    one.hear().await
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let chunks = body.chunks(1000);
    let mut octets: Vec<u8> = chunks
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .collect();
    octets.extend(b"0\r\n\r\n");
    octets
}

#[tokio::test]
async fn a_declared_oversize_is_refused_before_a_single_octet() {
    let gateway = Gateway::new().await;
    for version in ["1.0", "1.1"] {
        for length in [(MAX + 1).to_string(), "4294967296".to_owned()] {
            let head =
                format!("POST /KdcProxy HTTP/{version}\r\nHost: g\r\nContent-Length: {length}\r\n");
            let response = said(&gateway, &head, b"").await;
            assert_refused(&response, StatusCode::PAYLOAD_TOO_LARGE);
            assert!(response.closed);
        }
    }
    let mut two = Two::connect(&gateway).await;
    let mut request = Two::request("POST", "/KdcProxy");
    let length = (MAX + 1).to_string().parse().unwrap();
    request.headers_mut().insert("content-length", length);
    let (response, _stream) = two.requests.send_request(request, false).unwrap();
    assert_eq!(crate::within(response).await.unwrap().status(), 413);
    assert_eq!(gateway.counters().too_long.get(), 5);
}

#[tokio::test]
async fn an_expectation_of_too_much_is_answered_with_the_refusal() {
    let gateway = Gateway::new().await;
    let length = MAX + 1;
    let head = format!(
        "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n"
    );
    assert_refused(
        &said(&gateway, &head, b"").await,
        StatusCode::PAYLOAD_TOO_LARGE,
    );
}

#[tokio::test]
async fn the_longest_body_is_read_and_one_octet_more_is_not() {
    let gateway = Gateway::new().await;
    for (length, status) in [
        (MAX, StatusCode::BAD_REQUEST),
        (MAX + 1, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let octets = vec![b'x'; length];
        let head = "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n";
        let response = said(&gateway, head, &chunked(&octets)).await;
        assert_refused(&response, status);
        let mut two = Two::connect(&gateway).await;
        let response = two
            .ask(Two::request("POST", "/KdcProxy"), octets.clone())
            .await;
        assert_refused(&response, status);
    }
    let head = format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {MAX}\r\n");
    let response = said(&gateway, &head, &vec![b'x'; MAX]).await;
    assert_refused(&response, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_client_that_is_refused_may_send_to_its_end() {
    let gateway = Gateway::new().await;
    let mut one = One::plain(&gateway).await;
    let length = MAX + 1;
    one.send(format!(
        "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {length}\r\n\r\n"
    ))
    .await;
    one.refused_while_it_sends().await;
    // A reset would show in one of these.
    for _ in 0..length / 1024 {
        one.send([b'x'; 1024]).await;
        tokio::task::yield_now().await;
    }
    assert!(one.ended().await, "a reset");
}

#[tokio::test]
async fn chunks_are_taken() {
    let gateway = Gateway::new().await;
    let head = "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(said(&gateway, head, &chunked(&body())).await.status, 200);
}

/// Where its body ends is hyper's to say: nothing behind it is taken for a request.
#[tokio::test]
async fn a_request_in_chunks_is_the_last_of_its_connection() {
    let gateway = Gateway::new().await;
    let head = "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n";
    let one = [head.as_bytes(), &chunked(&body())].concat();
    for twice in [false, true] {
        let mut client = One::plain(&gateway).await;
        client.send(one.repeat(1 + usize::from(twice))).await;
        let response = client.hear().await;
        assert_eq!(response.status, 200);
        assert!(response.closed);
    }
    assert_eq!(gateway.kdc.asked(), 1, "a copy is answered again");
}

#[tokio::test]
async fn a_body_of_no_told_length_is_asked_for_it() {
    let gateway = Gateway::new().await;
    for version in ["1.0", "1.1"] {
        let head = format!("POST /KdcProxy HTTP/{version}\r\nHost: g\r\n");
        let response = said(&gateway, &head, b"").await;
        assert_refused(&response, StatusCode::LENGTH_REQUIRED);
        assert!(response.closed);
    }
}

#[tokio::test]
async fn no_request_says_two_lengths() {
    let gateway = Gateway::new().await;
    let body = chunked(&body());
    for lines in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\ncontent-length:3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: 3, 4",
        "Content-Length: +3",
        "Content-Length : 3",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: xchunked",
    ] {
        let mut one = One::plain(&gateway).await;
        let head = format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\n{lines}\r\n\r\n");
        one.send([head.as_bytes(), &body].concat()).await;
        let response = one.hear().await;
        assert_eq!(response.status, 400, "{lines}");
        assert!(response.closed, "{lines}");
    }
    let head = "POST /KdcProxy HTTP/1.0\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(said(&gateway, head, &body).await.status, 400);
    assert_eq!(gateway.kdc.asked(), 0);
}

/// RFC 9112 6.1: such a body is in chunks, and what is in them is not what it says.
#[tokio::test]
async fn a_coding_that_is_not_known_is_not_implemented() {
    let gateway = Gateway::new().await;
    for lines in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let head = format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\n{lines}\r\n");
        let response = said(&gateway, &head, &chunked(&body())).await;
        assert_refused(&response, StatusCode::NOT_IMPLEMENTED);
        assert!(response.closed, "{lines}");
    }
    assert_eq!(gateway.counters().refused.get(), 4);
    assert_eq!(gateway.kdc.asked(), 0);
    let head = "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: Chunked\r\n";
    assert_eq!(said(&gateway, head, &chunked(&body())).await.status, 200);
}

/// RFC 9112 3.2.
#[tokio::test]
async fn a_request_names_one_host() {
    let gateway = Gateway::new().await;
    for (version, lines, status) in [
        ("1.1", "", 400),
        ("1.1", "Host: g\r\nHost: g\r\n", 400),
        ("1.1", "Host: g h\r\n", 400),
        ("1.1", "Host: g/h\r\n", 400),
        ("1.1", "Host: user@g\r\n", 400),
        ("1.0", "Host: g\r\nHost: g\r\n", 400),
        ("1.0", "", 200),
        ("1.0", "Host: g\r\n", 200),
        ("1.1", "Host:\r\n", 200),
        ("1.1", "Host: [::1]:8443\r\n", 200),
        ("1.1", "Host: gateway_1.example.com:443\r\n", 200),
    ] {
        let head = format!("GET /healthz HTTP/{version}\r\n{lines}");
        let response = said(&gateway, &head, b"").await;
        assert_eq!(response.status, status, "{version} {lines:?}");
        assert_eq!(response.closed, status == 400 || version == "1.0");
    }
    assert_eq!(gateway.counters().refused.get(), 6);
}

/// RFC 9113 8.3.1.
#[tokio::test]
async fn over_http2_too_by_either_of_two_names() {
    let gateway = Gateway::new().await;
    let mut two = Two::connect(&gateway).await;
    let request = |uri: &str, hosts: &[&str]| {
        let mut request = hyper::Request::builder().uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        request.body(()).unwrap()
    };
    let whole = "https://g/healthz";
    for (request, status) in [
        (request("/healthz", &[]), 400),
        (request(whole, &["g", "g"]), 400),
        (request(whole, &["g h"]), 400),
        (request("/healthz", &["g"]), 200),
        (request(whole, &[]), 200),
        (request(whole, &["g"]), 200),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(two.ask(request, Vec::new()).await.status, status, "{shown}");
    }
}

#[tokio::test]
async fn two_lengths_are_seen_behind_another_request_too() {
    let gateway = Gateway::new().await;
    let (first, second) = (body(), chunked(&body()));
    let head = format!(
        "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n",
        first.len()
    );
    let other = "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n";
    let mut one = One::plain(&gateway).await;
    one.send([head.as_bytes(), &first, other.as_bytes(), &second].concat())
        .await;
    assert_eq!(one.hear().await.status, 200);
    assert_refused(&one.hear().await, StatusCode::BAD_REQUEST);
    assert_eq!(gateway.kdc.asked(), 1);
}

#[tokio::test]
async fn headers_are_bounded() {
    let gateway = Gateway::new().await;
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: g\r\nX: {}\r\n",
        "x".repeat(17 * 1024)
    );
    assert_eq!(said(&gateway, &head, b"").await.status, 431);
    let mut two = Two::connect(&gateway).await;
    let mut request = Two::request("GET", "/healthz");
    let long = "x".repeat(17 * 1024).parse().unwrap();
    request.headers_mut().insert("x", long);
    let (response, _) = two.requests.send_request(request, true).unwrap();
    match crate::within(response).await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(error.is_reset() || error.is_go_away(), "{error}"),
    }
    assert_eq!(post_ok(&gateway).await, 200);
}

async fn post_ok(gateway: &Gateway) -> u16 {
    crate::clients::post(gateway, Http::One, &body())
        .await
        .status
}

/// Sends what `tls` has to say, in one go.
async fn send(tls: &mut ClientConnection, stream: &mut TcpStream) {
    let mut octets = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut octets).unwrap();
    }
    stream.write_all(&octets).await.unwrap();
}

/// Reads what has come for `tls`.
async fn read(tls: &mut ClientConnection, stream: &mut TcpStream) {
    let mut octets = Vec::new();
    assert!(crate::within(stream.read_buf(&mut octets)).await.unwrap() > 0);
    let mut octets = &octets[..];
    while !octets.is_empty() {
        tls.read_tls(&mut octets).unwrap();
        tls.process_new_packets().unwrap();
    }
}

#[tokio::test]
async fn a_long_body_may_come_with_the_end_of_the_handshake() {
    let gateway = Gateway::new().await;
    let mut stream = TcpStream::connect(gateway.tls).await.unwrap();
    let name = "127.0.0.1".try_into().unwrap();
    let mut tls = ClientConnection::new(config(&[b"http/1.1"], None), name).unwrap();
    tls.set_buffer_limit(None);
    while tls.is_handshaking() {
        send(&mut tls, &mut stream).await;
        read(&mut tls, &mut stream).await;
    }
    let head = format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {MAX}\r\n\r\n");
    let request = [head.as_bytes(), &[0; MAX]].concat();
    tls.writer().write_all(&request).unwrap();
    send(&mut tls, &mut stream).await;
    let mut answer = [0; 12];
    while tls.reader().read(&mut answer).is_err() {
        read(&mut tls, &mut stream).await;
    }
    assert_eq!(&answer, b"HTTP/1.1 400");
}
