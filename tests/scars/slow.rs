//! Clients that send an octet a second.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

use crate::clients::{Http, post, tls};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, REALM};
use crate::{granting, posted, within};

/// A ClientHello of 16 KiB.
const HELLO: [u8; 9] = [0x16, 0x03, 0x01, 0x3f, 0xff, 0x01, 0x00, 0x3f, 0xfb];
const HEADERS: &[u8] = b"POST /KdcProxy HTTP/1.1\r\nHost: g\r\nX: ";
const BODY: &[u8] = b"POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: 1000\r\n\r\n";
const EACH: usize = 50;

/// Sends `start` and then an octet a second until the other end closes.
async fn trickle(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, start: &[u8]) {
    stream.write_all(start).await.unwrap();
    stream.flush().await.unwrap();
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut heard) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            _ = seconds.tick() => {
                let sent = stream.write_all(b"x").await;
                if sent.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Slow clients (Slowloris and its kin): each held a thread or a process of kdcproxy's server for as long as it liked.
///
/// Here they hold a place among thousands, and that for ten seconds until the headers have come and ten more for the body
/// (`gateway::https::HttpLimits`); `deadlines.rs` of the HTTPS tests shows each bound alone.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_trickle_hold_up_nobody_and_end() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    let began = Instant::now();
    let plain = async |start: &'static [u8]| {
        let stream = TcpStream::connect(gateway.plain).await.unwrap();
        trickle(stream, start).await;
    };
    let hellos = join_all((0..EACH).map(|_| async {
        let stream = TcpStream::connect(gateway.tls).await.unwrap();
        trickle(stream, &HELLO).await;
    }));
    let in_tls = join_all((0..EACH).map(|_| async {
        let stream = tls(gateway.tls, &[b"http/1.1"]).await;
        trickle(stream, HEADERS).await;
    }));
    let headers = join_all((0..EACH).map(|_| plain(HEADERS)));
    let bodies = join_all((0..EACH).map(|_| plain(BODY)));
    let honest = async {
        for _ in 0..4 {
            for http in Http::ALL {
                let asked = Instant::now();
                let response = post(&gateway, http, &posted(Kind::Plain)).await;
                assert_eq!(response.status, 200, "{http:?}");
                assert!(asked.elapsed() < Duration::from_secs(1), "{http:?}");
            }
        }
    };
    within(async { tokio::join!(hellos, in_tls, headers, bodies, honest) }).await;
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9), "what ended them? {took:?}");
    assert!(took < Duration::from_secs(14), "{took:?}");
}
