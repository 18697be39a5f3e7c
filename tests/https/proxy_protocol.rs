//! The PROXY protocol: what a balancer of layer 4 says before its client's octets.

use std::time::Duration;

use hyper::StatusCode;
use loopkdc::config::gateway::Quotas;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use crate::clients::{One, Two, assert_refused, handshake};
use crate::gateway::{Gateway, Setup};
use crate::messages::{Kind, REALM, envelope, framed};
use crate::{eventually, within};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
/// LOCAL, without addresses.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// Two requests at once, and then as little as can be told.
const FEW: Quotas = Quotas {
    requests_per_second: 1,
    burst: 2,
    in_flight: 0,
    failures_per_minute: 0,
    failure_burst: 0,
    failures_per_principal: 0,
    patience: Duration::ZERO,
};

fn setup() -> Setup {
    Setup {
        proxy_protocol: true,
        ..Setup::quotas(FEW).trusting("127.0.0.0/8")
    }
}

fn version_1(client: u8) -> Vec<u8> {
    format!("PROXY TCP4 192.0.2.{client} 192.0.2.10 40000 443\r\n").into_bytes()
}

/// With these octets behind the addresses.
fn version_2(client: u8, rest: &[u8]) -> Vec<u8> {
    let length = (12 + rest.len() as u16).to_be_bytes();
    let addresses = [192, 0, 2, client, 192, 0, 2, 10, 0x9c, 0x40, 1, 0xbb];
    [SIGNATURE, b"\x21\x11", &length, &addresses, rest].concat()
}

/// IPv6.
fn version_2_long(client: u8) -> Vec<u8> {
    let mut addresses = [0; 36];
    addresses[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
    // Its network is what is counted.
    addresses[7] = client;
    [SIGNATURE, b"\x21\x21\0\x24", &addresses].concat()
}

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

async fn over_tls(
    gateway: &Gateway,
    header: &[u8],
) -> One<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(gateway.tls).await.unwrap();
    stream.write_all(header).await.unwrap();
    One::over(handshake(stream, &[b"http/1.1"], None).await)
}

async fn plain(gateway: &Gateway, header: &[u8]) -> One<TcpStream> {
    let mut one = One::plain(gateway).await;
    one.send(header).await;
    one
}

/// Fails unless this client, who has not asked before, gets what its burst allows, and then is told to wait.
async fn has_a_burst_of_its_own(gateway: &Gateway, header: &[u8]) {
    let mut one = plain(gateway, header).await;
    let mut statuses = Vec::new();
    // A slow machine may see one more.
    while statuses.last() != Some(&429) && statuses.len() < 4 {
        statuses.push(one.post("", &body()).await.status);
    }
    assert_eq!(&statuses[..2], [200; 2]);
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[tokio::test]
async fn each_client_counts_by_the_address_that_the_balancer_says() {
    let gateway = setup().start().await;
    for header in [
        version_1(1),
        version_1(2),
        version_2(3, b""),
        // What else stands in it is passed over: NOOP (2.2.4).
        version_2(4, &[4, 0, 3, 0, 0, 0]),
        version_2_long(5),
        version_2_long(6),
        b"PROXY TCP6 2001:db8:0:7::1 2001:db8::1 40000 443\r\n".to_vec(),
    ] {
        has_a_burst_of_its_own(&gateway, &header).await;
    }
    // The same client in other words.
    for header in [
        version_1(3),
        b"PROXY TCP6 ::ffff:192.0.2.3 ::1 1 1\r\n".to_vec(),
    ] {
        assert_eq!(
            plain(&gateway, &header)
                .await
                .post("", &body())
                .await
                .status,
            429
        );
    }
}

#[tokio::test]
async fn a_client_pays_for_its_connections_before_the_handshake() {
    let gateway = setup().start().await;
    let (mut shaken, header) = (0, version_2(1, b""));
    for _ in 0..20 {
        let mut stream = TcpStream::connect(gateway.tls).await.unwrap();
        stream.write_all(&header).await.unwrap();
        let tried = crate::clients::try_handshake(stream, &[], None).await;
        shaken += usize::from(tried.is_ok());
    }
    assert!((2..10).contains(&shaken), "{shaken}");
    let mut other = over_tls(&gateway, &version_2(2, b"")).await;
    assert_eq!(other.post("", &body()).await.status, 200);
}

#[tokio::test]
async fn the_client_cannot_say_that_it_is_another() {
    let gateway = setup().start().await;
    let mut one = plain(&gateway, &version_1(1)).await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) && statuses.len() < 5 {
        let lines = format!("X-Forwarded-For: 203.0.113.{}\r\n", statuses.len());
        statuses.push(one.post(&lines, &body()).await.status);
    }
    assert_eq!(statuses.last(), Some(&429));
    // But a reverse proxy that is trusted can, behind the balancer too.
    let of_proxy = b"PROXY TCP4 127.0.0.9 127.0.0.1 1 1\r\n";
    let mut proxy = plain(&gateway, of_proxy).await;
    for client in 0..5 {
        let lines = format!("X-Forwarded-For: 203.0.113.{client}\r\n");
        assert_eq!(proxy.post(&lines, &body()).await.status, 200);
    }
}

#[tokio::test]
async fn what_the_balancer_asks_itself_is_its_health_and_nothing_else() {
    let gateway = Setup {
        quotas: Quotas::default(),
        ..setup()
    }
    .start()
    .await;
    for header in [&b""[..], UNKNOWN, b"PROXY UNKNOWN ffff::1 x 0 0\r\n", LOCAL] {
        let mut one = over_tls(&gateway, header).await;
        one.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
        assert_eq!(one.hear().await.text(), "loopkdc: ok\n");
        let claim = "X-Forwarded-For: 192.0.2.1\r\n";
        assert_refused(&one.post(claim, &body()).await, StatusCode::FORBIDDEN);
    }
    let mut stream = TcpStream::connect(gateway.tls).await.unwrap();
    stream.write_all(LOCAL).await.unwrap();
    let mut two = Two::over(handshake(stream, &[b"h2"], None).await).await;
    let health = two.ask(Two::request("GET", "/healthz"), Vec::new()).await;
    assert_eq!(health.status, 200);
    assert_eq!(gateway.kdc.asked(), 0);
    // One that looks no further than the connection.
    drop(TcpStream::connect(gateway.tls).await.unwrap());
    assert_eq!(gateway.counters().refused.get(), 4);
}

#[tokio::test]
async fn nothing_is_lost_behind_a_header_that_comes_in_parts() {
    let setup = Setup {
        quotas: Quotas::default(),
        ..setup()
    };
    let gateway = setup.start().await;
    let ask = b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n";
    for header in [
        version_1(1),
        version_2(1, b""),
        UNKNOWN.to_vec(),
        LOCAL.to_vec(),
    ] {
        let whole = [&header[..], ask].concat();
        for at in 0..whole.len() {
            let mut one = One::plain(&gateway).await;
            one.stream.set_nodelay(true).unwrap();
            one.send(&whole[..at]).await;
            tokio::task::yield_now().await;
            one.send(&whole[at..]).await;
            assert_eq!(one.hear().await.status, 200, "{header:?} {at}");
        }
        let mut one = One::plain(&gateway).await;
        one.stream.set_nodelay(true).unwrap();
        for octet in &whole {
            one.send([*octet]).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(one.hear().await.status, 200);
    }
}

#[tokio::test]
async fn what_is_no_header_ends_the_connection() {
    let gateway = setup().start().await;
    let without_end = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    let too_long = [SIGNATURE, b"\x21\x11\x20\x00", &[0; 8192]].concat();
    let udp = [SIGNATURE, b"\x21\x12\0\x0c", &[0; 12]].concat();
    let wrong: [&[u8]; 9] = [
        b"POST /KdcProxy HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",
        b"PROXY TCP4 192.0.2.1 192.0.2.10 40000 65536\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.10 40000 443\r\r",
        b"PROXY TCP5 192.0.2.1 192.0.2.10 40000 443\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 40000 443\r\n",
        &without_end,
        &too_long,
        &udp,
        // Version 3.
        b"\r\n\r\n\0\r\nQUIT\n\x31\x00\x00\x00",
    ];
    for (count, octets) in (1..).zip(wrong) {
        let mut one = One::plain(&gateway).await;
        // It may be hung up on before it has said all.
        drop(one.stream.write_all(octets).await);
        one.ended().await;
        let counted = || gateway.counters().refused.get() == count;
        eventually(counted).await;
    }
    // Cut short.
    let mut one = plain(&gateway, &version_2(1, b"")[..20]).await;
    one.stream.shutdown().await.unwrap();
    one.ended().await;
}

#[tokio::test]
async fn a_header_has_the_time_of_a_first_request() {
    let mut setup = setup();
    setup.limits.first_request = Duration::from_millis(100);
    let gateway = setup.start().await;
    for begun in [&b""[..], b"P", b"PROXY TCP4 192.0.2.1 ", SIGNATURE] {
        plain(&gateway, begun).await.ended().await;
    }
}

#[tokio::test]
async fn nobody_else_is_let_in() {
    let gateway = Setup {
        proxy_protocol: true,
        ..Setup::default().trusting("192.0.2.10/32")
    }
    .start()
    .await;
    One::plain(&gateway).await.ended().await;
    let direct = TcpStream::connect(gateway.tls).await.unwrap();
    let mut one = One::over(direct);
    drop(one.stream.write_all(&version_1(1)).await);
    one.ended().await;
    eventually(|| gateway.counters().refused.get() == 2).await;
    let unix = UnixStream::connect(&gateway.unix).await.unwrap();
    One::over(unix).ended().await;
}

#[tokio::test]
async fn a_balancer_on_a_unix_socket_is_believed_if_it_is_trusted() {
    let gateway = Setup {
        proxy_protocol: true,
        ..Setup::quotas(FEW).trusting("unix")
    }
    .start()
    .await;
    for header in [version_1(1), version_2(2, b"")] {
        let mut one = One::over(UnixStream::connect(&gateway.unix).await.unwrap());
        one.send(&header[..7]).await;
        one.send([&header[7..], b"GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n"].concat())
            .await;
        assert_eq!(within(one.hear()).await.status, 200);
        assert_eq!(one.post("", &body()).await.status, 200);
    }
}
