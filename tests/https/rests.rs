//! Between the requests of an HTTP/1 connection, where hyper does not have it.

use tokio::io::AsyncWriteExt;

use crate::clients::One;
use crate::gateway::Gateway;
use crate::messages::{Kind, REALM, envelope, framed};

fn post(kind: Kind) -> Vec<u8> {
    let body = envelope(&framed(&kind.request(REALM).bytes), Some(REALM));
    let head = format!(
        "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

#[tokio::test]
async fn requests_are_answered_however_they_are_cut() {
    let gateway = Gateway::new().await;
    let (first, second) = (post(Kind::Plain), post(Kind::Preauth));
    let both = [first.clone(), second].concat();
    let mut one = One::plain(&gateway).await;
    for cut in (1..both.len()).step_by(7) {
        one.send(&both[..cut]).await;
        let is_answered = cut >= first.len();
        if is_answered {
            assert_eq!(one.hear().await.status, 200, "{cut}");
        }
        one.send(&both[cut..]).await;
        for _ in usize::from(is_answered)..2 {
            assert_eq!(one.hear().await.status, 200, "{cut}");
        }
    }
}

/// Nobody reads what comes with a question after health: the connection ends there.
#[tokio::test]
async fn the_rest_of_a_body_is_no_request() {
    let gateway = Gateway::new().await;
    let smuggled = post(Kind::Plain);
    for early in [0, 1, smuggled.len() - 1] {
        let mut one = One::plain(&gateway).await;
        let head = format!(
            "GET /healthz HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n",
            early + smuggled.len()
        );
        one.send([head.as_bytes(), &smuggled[..early]].concat())
            .await;
        assert_eq!(one.hear().await.status, 200, "{early}");
        // Whether it can still be sent is not the question.
        drop(one.stream.write_all(&smuggled).await);
        one.ended().await;
        assert_eq!(gateway.kdc.asked(), 0, "{early}");
    }
}
