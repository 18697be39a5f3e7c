//! Clients that ask and do not take their answers.

use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::Builder;
use tokio::time::interval;

use crate::clients::{Http, Two, post, tls};
use crate::gateway::{Gateway, Setup};
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
    let (head, rest) = within(two.begin(body())).await.unwrap().into_parts();
    (head.status.as_u16(), rest)
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
async fn who_takes_nothing_makes_room_for_others_with_the_whole_connection() {
    let few = |limits: &mut loopkdc::gateway::https::HttpLimits| limits.answers = 20_000;
    let setup = Setup::limits(few).trusting("127.0.0.1/32");
    let gateway = setup.start().await;
    for octets in [0, 1] {
        // One that counts nothing, and as many as its client may have.
        let mut two = reluctant(&gateway, octets).await;
        let mut kept = Vec::new();
        for _ in 0..4 {
            kept.push(begin(&mut two).await);
        }
        for http in Http::ALL {
            assert_eq!(post(&gateway, http, &body()).await.status, 200);
        }
        assert!(!two.connection.is_finished());
        let _one_more = two.begin(body());
        drop(within(two.connection).await.unwrap());
        assert_eq!(gateway.counters().evicted.get(), 0);
    }
}

/// Each holds a stream, however short it is.
#[tokio::test]
async fn more_than_a_few_answers_that_are_not_taken_end_the_connection() {
    let gateway = Gateway::new().await;
    let mut two = reluctant(&gateway, 0).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        two.requests = within(two.requests.clone().ready()).await.unwrap();
        let health = Two::request("GET", "/healthz");
        let (response, _) = two.requests.send_request(health, true).unwrap();
        kept.push(within(response).await.unwrap());
    }
    // Long before any one of them has been there for too long.
    drop(within(two.connection).await.unwrap());
}
