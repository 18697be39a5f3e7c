//! Clients that ask and do not take their answers.

use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::Builder;
use tokio::time::interval;

use crate::clients::{Http, Two, post, tls};
use crate::gateway::{Gateway, Setup};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};
use crate::within;

/// Takes so many octets of each answer.
async fn reluctant(gateway: &Gateway, octets: u32) -> Two {
    let stream = tls(gateway.tls, &[b"h2"]).await;
    let mut builder = Builder::new();
    let shaken = builder
        .initial_window_size(octets)
        .handshake::<_, Bytes>(stream);
    let (requests, connection) = within(shaken).await.unwrap();
    Two {
        requests,
        connection: tokio::spawn(connection),
    }
}

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

/// The status of an answer, and the rest of it, which is to be kept: dropped, it is reset.
async fn begin(two: &mut Two) -> (u16, RecvStream) {
    two.requests = within(two.requests.clone().ready()).await.unwrap();
    let request = Two::request("POST", "/KdcProxy");
    let (response, mut stream) = two.requests.send_request(request, false).unwrap();
    stream.send_data(body().into(), true).unwrap();
    let (head, rest) = within(response).await.unwrap().into_parts();
    (head.status.as_u16(), rest)
}

/// How many of twenty answers begin as replies; the others must say that it is too much.
async fn replies(two: &mut Two) -> (usize, Vec<RecvStream>) {
    let (mut replies, mut kept) = (0, Vec::new());
    for _ in 0..20 {
        let (status, rest) = begin(two).await;
        assert!([200, 503].contains(&status), "{status}");
        replies += usize::from(status == 200);
        kept.push(rest);
    }
    (replies, kept)
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_the_connection_whatever_else_it_asks() {
    for octets in [0, 1] {
        let soon = |limits: &mut loopkdc::gateway::https::HttpLimits| {
            limits.idle_timeout = Duration::from_millis(300);
        };
        let gateway = Setup::limits(soon).start().await;
        let mut two = reluctant(&gateway, octets).await;
        let (status, _kept) = begin(&mut two).await;
        assert_eq!(status, 200);
        let mut pause = interval(Duration::from_millis(20));
        let asked_until_the_end = async {
            while let Ok(ready) = two.requests.clone().ready().await {
                two.requests = ready;
                let health = Two::request("HEAD", "/healthz");
                match two.requests.send_request(health, true) {
                    Ok((response, _)) => drop(response.await),
                    Err(_) => break,
                }
                pause.tick().await;
            }
        };
        within(asked_until_the_end).await;
    }
}

#[tokio::test]
async fn a_connection_leaves_so_much_untaken_and_takes_what_it_left() {
    for octets in [0, 1] {
        let setup = Setup {
            deadline: crate::PATIENCE,
            ..Setup::kdc_that(Act::Long)
        };
        let gateway = setup.start().await;
        let mut two = reluctant(&gateway, octets).await;
        let (replies, mut kept) = replies(&mut two).await;
        assert_eq!(replies, 9);
        assert_eq!(gateway.counters().overloaded.get(), 11);
        // Those that are reset take no place any more.
        kept.drain(..4);
        let mut again = 0;
        while again == 0 {
            let (status, rest) = begin(&mut two).await;
            again += usize::from(status == 200);
            kept.push(rest);
        }
    }
}

#[tokio::test]
async fn who_takes_nothing_leaves_places_to_others() {
    let few = |limits: &mut loopkdc::gateway::https::HttpLimits| limits.answers = 20_000;
    let gateway = Setup::limits(few).start().await;
    let mut two = reluctant(&gateway, 0).await;
    let (first, _kept) = replies(&mut two).await;
    assert!((2..20).contains(&first), "{first}");
    for http in Http::ALL {
        assert_eq!(post(&gateway, http, &body()).await.status, 200);
    }
    // They come back with the end of the connection.
    two.connection.abort();
    loop {
        let mut two = reluctant(&gateway, 0).await;
        let (again, _kept) = replies(&mut two).await;
        if again == first {
            break;
        }
        assert!(again < first, "{again}");
    }
}

/// Each holds a stream, however short it is.
#[tokio::test]
async fn more_than_a_few_answers_that_are_not_taken_end_the_connection() {
    let gateway = Gateway::new().await;
    let mut two = reluctant(&gateway, 0).await;
    let mut kept = Vec::new();
    for _ in 0..40 {
        two.requests = within(two.requests.clone().ready()).await.unwrap();
        let health = Two::request("GET", "/healthz");
        let (response, _) = two.requests.send_request(health, true).unwrap();
        kept.push(within(response).await.unwrap());
    }
    // Long before any one of them has been there for too long.
    drop(within(two.connection).await.unwrap());
}
