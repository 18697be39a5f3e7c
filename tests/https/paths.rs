//! Paths, methods, and which HTTP.

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clients::{Http, One, Two, ask, assert_refused, tls, try_handshake};
use crate::gateway::{Gateway, Setup};
use crate::messages::{Kind, REALM, envelope, framed};
use crate::within;

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

#[tokio::test]
async fn the_path_is_one_in_any_case_with_or_without_a_slash_at_its_end() {
    let gateway = Gateway::new().await;
    for http in Http::ALL {
        for path in ["/KdcProxy", "/kdcproxy/", "/KDCPROXY?a=b"] {
            let response = ask(&gateway, http, "POST", path, &body()).await;
            assert_eq!(response.status, 200, "{http:?} {path}");
        }
        for path in [
            "/",
            "/KdcProxy//",
            "/KdcProxy/x",
            "/x/KdcProxy",
            "/healthz/",
        ] {
            let response = ask(&gateway, http, "POST", path, &body()).await;
            assert_refused(&response, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn only_post_is_served() {
    let gateway = Gateway::new().await;
    for http in Http::ALL {
        for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
            let response = ask(&gateway, http, method, "/KdcProxy", b"").await;
            assert_refused(&response, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(response.header("allow"), Some("POST"), "{http:?} {method}");
        }
    }
    assert_eq!(gateway.counters().refused.get(), 12);
    assert_eq!(gateway.kdc.asked(), 0);
}

#[tokio::test]
async fn without_alpn_http_1_is_spoken_whatever_the_client_begins_with() {
    let gateway = Gateway::new().await;
    let mut stream = tls(gateway.tls, &[]).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut heard = Vec::new();
    within(stream.read_to_end(&mut heard)).await.unwrap();
    assert!(
        heard.is_empty() || heard.starts_with(b"HTTP/1.1 4"),
        "{heard:?}"
    );
    let mut one = One::over(tls(gateway.tls, &[]).await);
    one.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
    assert_eq!(one.hear().await.status, 200);
}

/// What a client offers may be chosen, and HTTP/2 while there is a place for it.
#[tokio::test]
async fn as_many_clients_as_have_a_place_speak_http_2_and_the_others_http_1() {
    const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];
    let gateway = Setup::limits(|limits| limits.max_http2 = 1).start().await;
    // Who does not offer it takes no place.
    let _without = tls(gateway.tls, &[b"http/1.1"]).await;
    let first = Two::over(tls(gateway.tls, BOTH).await).await;
    let next = tls(gateway.tls, BOTH).await;
    assert_eq!(next.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(One::over(next).post("", &body()).await.status, 200);
    // Who can do nothing else is turned away.
    let only = TcpStream::connect(gateway.tls).await.unwrap();
    assert!(try_handshake(only, &[b"h2"], None).await.is_err());
    drop(first);
    let chosen = async || {
        let stream = tls(gateway.tls, BOTH).await;
        stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    };
    within(async { while chosen().await.as_deref() != Some(b"h2") {} }).await;
}

/// It has many clients, which pay for what they ask.
#[tokio::test]
async fn a_trusted_proxy_that_can_do_nothing_else_speaks_http_2() {
    let setup = Setup::limits(|limits| limits.max_http2 = 0);
    let gateway = setup.trusting("127.0.0.1/32").start().await;
    let mut two = Two::connect(&gateway).await;
    let response = two.ask(Two::request("POST", "/KdcProxy"), body()).await;
    assert_eq!(response.status, 200);
}
