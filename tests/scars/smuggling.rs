//! Requests that two servers would take for different ones, over a connection that a reverse proxy may share among clients.

use crate::clients::One;
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, REALM};
use crate::{granting, posted};

/// Header lines that leave it open where the request ends.
const HEADS: [&str; 22] = [
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 6\r\nContent-Length: 5\r\n",
    "Content-Length: 5, 6\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length : 5\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
    "Transfer-Encoding: identity, chunked\r\nContent-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
    " Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n",
    "X: y\r\n Content-Length: 0\r\nContent-Length: 5\r\n",
    "X: y\nContent-Length: 0\r\nContent-Length: 5\r\n",
    "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "X: y\rContent-Length: 0\r\nContent-Length: 5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 5\x0b\r\n",
];

/// Chunks whose ends two servers see in different places.
const CHUNKS: [&str; 7] = [
    "5\nhello\r\n0\r\n\r\n",
    "5;x\ny\r\nhello\r\n0\r\n\r\n",
    "5\r\nhelloxx0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
];

/// A body in one chunk, good enough to be relayed.
fn chunk() -> Vec<u8> {
    let body = posted(Kind::Plain);
    let size = format!("{:x}\r\n", body.len());
    [size.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()
}

/// What a smuggler would have the next one see as a request.
fn second() -> Vec<u8> {
    let body = posted(Kind::Plain);
    let head = format!(
        "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Request smuggling (RFC 9112 11.2): lengths that are told twice or in disguise.
///
/// Here each of these is refused and its connection ended, whatever follows in it: hyper's doing, and
/// `gateway::https::http1`' where hyper would take one of the two.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_second_request_behind_an_ambiguous_one() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    let heads = HEADS.map(|lines| (lines, chunk()));
    let chunks = CHUNKS.map(|chunks| ("Transfer-Encoding: chunked\r\n", chunks.into()));
    for (lines, body) in heads.into_iter().chain(chunks) {
        let shown = format!("{lines:?} {}", body.escape_ascii());
        let mut one = One::plain(&gateway).await;
        let head = format!("POST /KdcProxy HTTP/1.1\r\nHost: g\r\n{lines}\r\n");
        one.send([head.as_bytes(), &body, &second()].concat()).await;
        let response = one.hear().await;
        assert_eq!(response.status, 400, "{shown}");
        assert!(response.closed, "{shown}");
        assert_eq!(kdc.seen().tcp.len(), 0, "{shown}");
    }
    // As it would be seen if it were one.
    let mut one = One::plain(&gateway).await;
    one.send(second()).await;
    assert_eq!(one.hear().await.status, 200);
}

/// A line feed alone, which a reverse proxy in front may take for a part of a header's value: it sees one request here.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_second_request_behind_a_bare_line_feed() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    let get = "GET /else HTTP/1.1\r\nHost: g\r\n";
    let post = "POST /else HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n\r\n\n\n";
    let chunks =
        "POST /else HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\n\r\n";
    for before in [
        "",
        &format!("{get}\r\n"),
        &format!("{get}Content-Length: 1\r\n\r\n\n"),
        post,
        chunks,
    ] {
        for lines in ["X: y\n", "X: y\nContent-Length: 5\r\n"] {
            let shown = format!("{before:?} {lines:?}");
            let mut one = One::plain(&gateway).await;
            let head = format!("{before}{get}{lines}\n");
            one.send([head.as_bytes(), &second()].concat()).await;
            let mut response = one.hear().await;
            if !before.is_empty() && !response.closed {
                response = one.hear().await;
                assert_eq!(response.status, 400, "{shown}");
            }
            assert!(response.closed, "{shown}");
            assert!(!before.is_empty() || response.status == 400, "{shown}");
            assert_eq!(kdc.seen().tcp.len(), 0, "{shown}");
        }
    }
}
