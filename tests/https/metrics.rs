//! The metrics, as Prometheus reads them over a socket.

use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

use loopkdc::daemon::bind::StreamSocket;
use loopkdc::gateway::metrics::listener::serve;
use loopkdc::gateway::tls::follow;
use tokio::net::{TcpListener, TcpStream};

use crate::clients::{Http, One, Response, ask, post};
use crate::gateway::{Gateway, Setup, files};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};
use crate::{eventually, within};

/// Where the metrics of `gateway` are read from now on.
async fn served(gateway: &Gateway) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = gateway.metrics.clone();
    serve(StreamSocket::Tcp(listener), metrics, &gateway.tasks);
    address
}

async fn connect(address: SocketAddr) -> One<TcpStream> {
    One::over(TcpStream::connect(address).await.unwrap())
}

async fn say(address: SocketAddr, line: &str) -> Response {
    let mut one = connect(address).await;
    one.send(format!("{line} HTTP/1.1\r\nHost: m\r\n\r\n"))
        .await;
    one.hear().await
}

/// The samples whose names begin so.
async fn samples(address: SocketAddr, name: &str) -> Vec<String> {
    let response = say(address, "GET /metrics").await;
    assert_eq!(response.status, 200);
    let lines = response.text().lines();
    let lines = lines.filter(|line| line.starts_with(name));
    lines.map(ToOwned::to_owned).collect()
}

fn body(kind: Kind, domain: &str) -> Vec<u8> {
    envelope(&framed(&kind.request(REALM).bytes), Some(domain))
}

#[tokio::test]
async fn a_scrape_tells_what_was_asked_and_how_it_ended() {
    let gateway = Setup::kdc_that(Act::Refuse(25)).start().await;
    let address = served(&gateway).await;
    post(&gateway, Http::One, &body(Kind::Plain, REALM)).await;
    post(&gateway, Http::Two, &body(Kind::Plain, "example.com")).await;
    ask(&gateway, Http::One, "GET", "/KdcProxy", b"").await;
    ask(&gateway, Http::One, "GET", "/healthz", b"").await;
    let mut requests = samples(address, "loopkdc_requests_total").await;
    requests.sort();
    let expected = [
        r#"loopkdc_requests_total{kind="AS-REQ",realm="EXAMPLE.COM",outcome="krb_error"} 2"#,
        r#"loopkdc_requests_total{kind="none",realm="none",outcome="bad_request"} 1"#,
    ];
    assert_eq!(requests, expected);
    let count = samples(address, "loopkdc_request_duration_seconds_count").await;
    assert!(
        count.contains(&r#"loopkdc_request_duration_seconds_count{kind="AS-REQ"} 2"#.to_owned())
    );
    assert_eq!(
        samples(address, "loopkdc_attempts").await,
        ["loopkdc_attempts_total 2"]
    );
    assert_eq!(
        samples(address, "loopkdc_refused_total").await,
        ["loopkdc_refused_total 1"]
    );
    let up = format!(
        r#"loopkdc_upstream_up{{upstream="{}"}} 1"#,
        gateway.kdc.address
    );
    assert_eq!(samples(address, "loopkdc_upstream_up").await, [up]);
}

#[tokio::test]
async fn a_thousand_realms_are_one() {
    let gateway = Gateway::new().await;
    let address = served(&gateway).await;
    let mut one = One::plain(&gateway).await;
    for number in 0..1000 {
        let body = body(Kind::Tgs, &format!("R{number}"));
        let length = body.len();
        let head =
            format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {length}\r\n\r\n");
        one.send([head.as_bytes(), &body].concat()).await;
        assert_eq!(one.hear().await.status, 404);
    }
    let other = r#"loopkdc_requests_total{kind="TGS-REQ",realm="other",outcome="not_found"} 1000"#;
    assert_eq!(samples(address, "loopkdc_requests_total").await, [other]);
}

#[tokio::test]
async fn what_is_under_way_is_told() {
    let gateway = Setup::kdc_that(Act::Silence).start().await;
    let address = served(&gateway).await;
    let body = body(Kind::Plain, REALM);
    let asked = post(&gateway, Http::One, &body);
    let look = async {
        eventually(|| gateway.kdc.asked() == 1).await;
        assert_eq!(
            samples(address, "loopkdc_in_flight").await,
            ["loopkdc_in_flight 1"]
        );
        let connections = samples(address, "loopkdc_connections").await;
        assert_eq!(connections, ["loopkdc_connections 1"]);
    };
    let (response, ()) = tokio::join!(asked, look);
    assert_eq!(response.status, 504);
    assert_eq!(
        samples(address, "loopkdc_in_flight").await,
        ["loopkdc_in_flight 0"]
    );
}

#[tokio::test]
async fn a_kdc_that_cannot_be_reached_is_down() {
    let setup = Setup {
        kdc: Some("nowhere".to_owned()),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let address = served(&gateway).await;
    let line = |up| format!(r#"loopkdc_upstream_up{{upstream="nowhere"}} {up}"#);
    assert_eq!(samples(address, "loopkdc_upstream_up").await, [line(1)]);
    let response = post(&gateway, Http::One, &body(Kind::Plain, REALM)).await;
    assert_eq!(response.status, 502);
    assert_eq!(samples(address, "loopkdc_upstream_up").await, [line(0)]);
    let requests = samples(address, "loopkdc_requests_total").await;
    assert!(
        requests[0].contains(r#"outcome="unreachable"} 1"#),
        "{requests:?}"
    );
}

#[tokio::test]
async fn the_end_of_the_certificate_in_use_is_told_where_it_is_known() {
    let gateway = Gateway::new().await;
    let address = served(&gateway).await;
    let name = "loopkdc_certificate_expiry_seconds";
    assert!(samples(address, name).await.is_empty());
    let dir = tempfile::tempdir().unwrap();
    let followed = follow(files(dir.path()), &gateway.tasks.stop, Default::default());
    let tls = followed.unwrap().borrow().clone();
    let end = tls.validity.unwrap().not_after();
    let seconds = end.duration_since(UNIX_EPOCH).unwrap().as_secs();
    gateway.certificates.send_replace(tls);
    assert_eq!(samples(address, name).await, [format!("{name} {seconds}")]);
}

#[tokio::test]
async fn nothing_else_is_served_there() {
    let gateway = Gateway::new().await;
    let address = served(&gateway).await;
    let response = say(address, "GET /metrics").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(response.header("content-type"), Some(kind));
    assert!(response.text().ends_with("# EOF\n"));
    assert!(response.closed);
    for path in ["/", "/KdcProxy", "/healthz", "/metrics/"] {
        let response = say(address, &format!("GET {path}")).await;
        assert_eq!(response.status, 404, "{path}");
        assert!(!response.text().contains("loopkdc_"), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let response = say(address, &format!("{method} /metrics")).await;
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.header("allow"), Some("GET"));
        assert!(!response.text().contains("loopkdc_"), "{method}");
    }
    let long = "x".repeat(100_000);
    assert!((400..500).contains(&say(address, &format!("GET /{long}")).await.status));
}

#[tokio::test]
async fn those_who_only_connect_keep_nobody_out() {
    let gateway = Gateway::new().await;
    let address = served(&gateway).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(connect(address).await);
    }
    assert_eq!(say(address, "GET /metrics").await.status, 200);
    for mut one in idle.drain(..12) {
        one.ended().await;
    }
    gateway.tasks.stop.cancel();
    gateway.tasks.tracker.close();
    within(gateway.tasks.tracker.wait()).await;
}
