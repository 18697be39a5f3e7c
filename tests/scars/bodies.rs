//! Bodies without end.

use std::future::poll_fn;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;

use crate::clients::{Http, One, Two, post};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, REALM};
use crate::{granting, posted, within};

/// Far more than is ever taken, kernel buffers and all.
const ENDLESS: usize = 64 * 1024 * 1024;
const PIECE: usize = 64 * 1024;
const CLIENTS: usize = 40;

/// Sends until nobody takes it; says how much was taken.
async fn in_chunks(gateway: &Gateway) -> usize {
    let mut one = One::plain(gateway).await;
    one.send("POST /KdcProxy HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = [b"10000\r\n", &[b'x'; PIECE][..], b"\r\n"].concat();
    let mut sent = 0;
    while sent < ENDLESS && one.stream.write_all(&chunk).await.is_ok() {
        sent += PIECE;
    }
    sent
}

async fn in_frames(gateway: &Gateway) -> usize {
    let two = Two::connect(gateway).await;
    let mut requests = two.requests;
    let request = Two::request("POST", "/KdcProxy");
    let (_response, mut stream) = requests.send_request(request, false).unwrap();
    let mut sent = 0;
    while sent < ENDLESS {
        stream.reserve_capacity(PIECE);
        let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await else {
            break;
        };
        if stream.send_data(vec![b'x'; room].into(), false).is_err() {
            break;
        }
        sent += room;
    }
    sent
}

/// CVE-2015-5159: kdcproxy read whatever a POST brought into memory.
///
/// Here a body has 1 MiB, whether it declares its length or not, and all bodies together 16: `gateway::https`'s `MAX_BODY` and
/// `relay::shares`.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_not_kept() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    let before = gateway.peak();
    let sent = async {
        let chunks = join_all((0..CLIENTS / 2).map(|_| in_chunks(&gateway)));
        let frames = join_all((0..CLIENTS / 2).map(|_| in_frames(&gateway)));
        let (chunks, frames) = tokio::join!(chunks, frames);
        [chunks, frames].concat()
    };
    for sent in within(sent).await {
        assert!(sent < ENDLESS, "all was taken");
    }
    // What a connection may make it hold, and some more for the rest.
    gateway.grew_at_most(CLIENTS / 2 + 12, before);
    let response = post(&gateway, Http::Two, &posted(Kind::Plain)).await;
    assert_eq!(response.status, 200);
}
