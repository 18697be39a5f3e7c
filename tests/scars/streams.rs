//! HTTP/2 streams that are begun and ended in numbers, by the client or by what it provokes. Frames are put together by
//! hand (RFC 9113 4.1), since no client library would send these.

use std::io;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::clients::{Http, post, tls, try_handshake};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, REALM, envelope, framed};
use crate::scripted::{Act, Script};
use crate::{granting, posted, within};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Streams that an attacker would like to have.
const STREAMS: u32 = 5_000;
const ATTACKED: &str = "ATTACKED.TEST";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

/// The headers of a POST (RFC 7541 6.2.2: literals without indexing, names from the static table).
fn head(stream: u32, lines: &[u8]) -> Vec<u8> {
    let path = b"/KdcProxy";
    let block = [
        &b"\x83\x87\x01\x01g\x04"[..],
        &[path.len() as u8],
        path,
        lines,
    ]
    .concat();
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// A whole request on `stream`.
fn request(stream: u32, lines: &[u8], body: &[u8]) -> Vec<u8> {
    [head(stream, lines), frame(DATA, END_STREAM, stream, body)].concat()
}

fn number(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// What an attacker sends: a request on a stream, and later what is to end it.
struct Attack {
    name: &'static str,
    /// Header lines.
    lines: &'static [u8],
    end: fn(stream: u32) -> Vec<u8>,
}

/// So many streams later. By then the request is worked on; a hundred may be open at once.
const LATER: u32 = 60;

/// What has the server reset each stream.
const PROVOCATIONS: [Attack; 6] = [
    Attack {
        name: "a window grows by nothing",
        lines: b"",
        end: |stream| frame(WINDOW_UPDATE, 0, stream, &number(0)),
    },
    Attack {
        name: "a window grows too far",
        lines: b"",
        end: |stream| frame(WINDOW_UPDATE, 0, stream, &number(0x7fff_ffff)),
    },
    Attack {
        name: "data after the end",
        lines: b"",
        end: |stream| frame(DATA, 0, stream, b"more"),
    },
    Attack {
        name: "headers after the end",
        lines: b"",
        end: |stream| head(stream, b""),
    },
    Attack {
        name: "another length than was told",
        // content-length: 1
        lines: b"\x0f\x0d\x011",
        end: |_| Vec::new(),
    },
    Attack {
        name: "a stream that depends on itself",
        lines: b"",
        end: |stream| {
            let priority = [&number(stream)[..], &[16]].concat();
            frame(PRIORITY, 0, stream, &priority)
        },
    },
];

/// What the client itself resets (CANCEL).
const RESET: Attack = Attack {
    name: "a reset",
    lines: b"",
    end: |stream| frame(RST_STREAM, 0, stream, &number(8)),
};

async fn begin(stream: &mut TlsStream<TcpStream>) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let octets = [&preface[..], &frame(SETTINGS, 0, 0, b"")].concat();
    stream.write_all(&octets).await.unwrap();
}

/// Attacks stream after stream until the connection ends or all were sent, reading what comes back all the while; says how
/// many were sent.
async fn flood(mut connection: TlsStream<TcpStream>, attack: &Attack) -> u32 {
    begin(&mut connection).await;
    let (mut heard, mut says) = tokio::io::split(connection);
    let mut sink = tokio::io::sink();
    let mut sent = 0;
    let says = async {
        while sent < STREAMS {
            let body = Kind::Plain.request(ATTACKED).bytes;
            let body = envelope(&framed(&body), Some(ATTACKED));
            let mut octets = request(2 * sent + 1, attack.lines, &body);
            if let Some(before) = sent.checked_sub(LATER) {
                octets.extend((attack.end)(2 * before + 1));
            }
            if says.write_all(&octets).await.is_err() || says.flush().await.is_err() {
                return;
            }
            sent += 1;
        }
    };
    tokio::select! {
        () = says => {}
        _ = tokio::io::copy(&mut heard, &mut sink) => {}
    }
    sent
}

/// Asks while others are attacked, and is answered each time, at once.
async fn asks(gateway: &Gateway, attack: &Attack) {
    for _ in 0..30 {
        let began = Instant::now();
        let response = post(gateway, Http::Two, &posted(Kind::Plain)).await;
        assert_eq!(response.status, 200, "{}", attack.name);
        assert!(began.elapsed() < Duration::from_secs(1), "{}", attack.name);
    }
}

/// CVE-2025-8671 ("MadeYouReset"): a client that provokes a server to reset its streams has as many requests worked on as
/// it likes, since those that were reset count no more.
///
/// Here twenty such streams end the connection (`gateway::https::connection`'s `RESETS`), and what was begun stays bounded.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_provoke_resets_end_their_connection_and_no_other() {
    for attack in &PROVOCATIONS {
        let attacked = Script::default().tcp(|_| Act::Silence).start().await;
        let kdc = granting().start().await;
        let realms = realm(ATTACKED, &[attacked.address]) + &realm(REALM, &[kdc.address]);
        let gateway = Gateway::start(&realms);
        let before = gateway.peak();
        let connection = tls(gateway.tls, &[b"h2"]).await;
        let both = async { tokio::join!(flood(connection, attack), asks(&gateway, attack)) };
        let (sent, ()) = within(both).await;
        let begun = attacked.seen().tcp.len();
        eprintln!("{}: {sent} sent, {begun} begun", attack.name);
        assert!(sent < STREAMS, "{}: all were sent", attack.name);
        assert!(begun < 200, "{}: {begun} begun", attack.name);
        gateway.grew_at_most(16, before);
    }
}

/// CVE-2023-44487 ("Rapid Reset"), with requests that are whole, so that each of them has been begun on: those that are
/// under way count however they ended, and each client has its own measure of them (`throttle`).
#[tokio::test(flavor = "multi_thread")]
async fn whole_requests_that_are_reset_keep_nobody_else_waiting() {
    let attacked = Script::default().tcp(|_| Act::Silence).start().await;
    let kdc = granting().start().await;
    let realms = realm(ATTACKED, &[attacked.address]) + &realm(REALM, &[kdc.address]);
    // With the quotas that it has by default.
    let gateway = Gateway::with("", &realms);
    let before = gateway.peak();
    let floods = join_all((0..10).map(|_| async {
        let mut sent = 0;
        while sent < STREAMS {
            // Who has spent what it may is turned away before TLS.
            let Ok(stream) = from(2, &gateway).await else {
                break;
            };
            sent += flood(stream, &RESET).await;
        }
        sent
    }));
    let (sent, ()) = within(async { tokio::join!(floods, asks(&gateway, &RESET)) }).await;
    let (sent, begun) = (sent.iter().sum::<u32>(), attacked.seen().tcp.len());
    eprintln!("{sent} sent, {begun} begun");
    // Two hundred at once, and then fifty a second.
    assert!((1..3_000).contains(&begun), "{begun} of {sent}");
    gateway.grew_at_most(32, before);
}

/// What is sent by hand is what others send, but for what is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_provoke_nothing_are_served() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    let mut stream = tls(gateway.tls, &[b"h2"]).await;
    begin(&mut stream).await;
    for number in 0..50 {
        let octets = request(2 * number + 1, b"", &posted(Kind::Plain));
        stream.write_all(&octets).await.unwrap();
    }
    stream.flush().await.unwrap();
    let (mut heard, mut sink) = (stream, tokio::io::sink());
    let reads = tokio::io::copy(&mut heard, &mut sink);
    tokio::select! {
        end = reads => panic!("{end:?}"),
        seen = kdc.until(|seen| seen.tcp.len() == 50) => assert!(seen.connections > 0),
    }
}

/// TLS from another address of the loopback: another client.
async fn from(host: u8, gateway: &Gateway) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    let stream = socket.connect(gateway.tls).await.unwrap();
    try_handshake(stream, &[b"h2"], None).await
}
