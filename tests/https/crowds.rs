//! Clients in numbers: what they hold is bounded, and others are served.

use std::time::Duration;

use hyper::StatusCode;
use loopkdc::config::gateway::Quotas;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clients::{Http, One, Two, assert_refused, post};
use crate::gateway::{Gateway, Setup};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};
use crate::{PATIENCE, eventually, within};

pub const CROWD: usize = 2000;

/// What is slow here is the machine.
fn patient() -> Setup {
    Setup {
        deadline: PATIENCE,
        ..Setup::default()
    }
}

fn body() -> Vec<u8> {
    envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM))
}

/// Both ends of each connection are in this process.
pub fn raise_limit_of_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    assert!(
        maximum.is_none_or(|most| most as usize > 2 * CROWD + 100),
        "ulimit -Hn"
    );
}

#[tokio::test]
async fn two_thousand_connections_are_open_at_once_and_each_is_served() {
    raise_limit_of_descriptors();
    let patient = |limits: &mut loopkdc::gateway::https::HttpLimits| {
        limits.max_connections = CROWD * 5 / 4 + 10;
        limits.first_request = Duration::from_secs(600);
    };
    let gateway = Setup::limits(patient).start().await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut one = One::plain(&gateway).await;
        one.send("GET /healthz HTTP/1.1\r\nHost: g\r\nX: ").await;
        crowd.push(one);
    }
    for http in Http::ALL {
        assert_eq!(post(&gateway, http, &body()).await.status, 200);
    }
    for one in &mut crowd {
        one.send("y\r\n\r\n").await;
        assert_eq!(one.hear().await.status, 200);
    }
    assert_eq!(gateway.counters().evicted.get(), 0);
}

/// Sends an octet at a time for as long as the other end takes them.
async fn trickle(one: &mut One<TcpStream>) {
    let mut pause = tokio::time::interval(Duration::from_millis(10));
    loop {
        pause.tick().await;
        if one.stream.write_all(b"0").await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_hundred_who_send_an_octet_at_a_time_slow_down_nobody() {
    let mut setup = patient();
    setup.limits.max_connections = 130;
    setup.limits.first_request = PATIENCE;
    setup.limits.body = PATIENCE;
    let gateway = setup.start().await;
    let mut slow = Vec::new();
    for number in 0..100 {
        let mut one = One::plain(&gateway).await;
        let begun = match number % 2 {
            0 => "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nX: ",
            _ => "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: 131072\r\n\r\n",
        };
        one.send(begun).await;
        slow.push(one);
    }
    let trickles = futures_util::future::join_all(slow.iter_mut().map(trickle));
    let served = async {
        for http in Http::ALL.repeat(20) {
            assert_eq!(post(&gateway, http, &body()).await.status, 200);
        }
    };
    tokio::select! {
        _ = trickles => panic!("the slow were sent away"),
        () = within(served) => {}
    }
    assert_eq!(gateway.counters().evicted.get(), 0);
}

/// Opens streams and resets each at once, until the connection is ended.
async fn reset_without_end(gateway: &Gateway) -> usize {
    let two = Two::connect(gateway).await;
    let (mut requests, mut resets) = (two.requests, 0);
    let flood = async {
        loop {
            let Ok(ready) = requests.clone().ready().await else {
                return;
            };
            requests = ready;
            let request = Two::request("POST", "/KdcProxy");
            let Ok((_, mut stream)) = requests.send_request(request, false) else {
                return;
            };
            stream.send_reset(h2::Reason::CANCEL);
            resets += 1;
            // One thread for both ends: the frames must get their turn, many at once.
            if resets % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    within(flood).await;
    let end = within(two.connection).await.unwrap();
    // What reason was given is lost where the flood's own writing fails first.
    assert!(end.is_err(), "{end:?}");
    resets
}

/// CVE-2023-44487.
#[tokio::test]
async fn streams_reset_in_numbers_end_their_connection_and_no_other() {
    let gateway = patient().start().await;
    let mut other = Two::connect(&gateway).await;
    let served = async {
        for _ in 0..50 {
            let response = other.ask(Two::request("POST", "/KdcProxy"), body()).await;
            assert_eq!(response.status, 200);
        }
    };
    let floods = futures_util::future::join_all((0..10).map(|_| reset_without_end(&gateway)));
    let (resets, ()) = tokio::join!(floods, served);
    // Some more are on their way before the flood hears of its end.
    assert!(resets.iter().all(|resets| *resets < 1000), "{resets:?}");
    assert_eq!(gateway.kdc.asked(), 50);
}

#[tokio::test]
async fn what_waits_for_its_answer_is_bounded_even_if_nobody_waits_for_it() {
    let mut setup = Setup::kdc_that(Act::Silence);
    // A request takes 1 KiB at least.
    setup.limits.waiting = 1500;
    let gateway = setup.start().await;
    let mut two = Two::connect(&gateway).await;
    let request = Two::request("POST", "/KdcProxy");
    let (response, mut stream) = two.requests.send_request(request, false).unwrap();
    stream.send_data(body().into(), true).unwrap();
    eventually(|| gateway.kdc.asked() == 1).await;
    let turned_away = post(&gateway, Http::One, &body()).await;
    assert_refused(&turned_away, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(turned_away.header("retry-after"), Some("2"));
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    let again = two.ask(Two::request("POST", "/KdcProxy"), body()).await;
    assert_refused(&again, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.counters().overloaded.get(), 2);
    eventually(|| gateway.counters().failed.get() == 1).await;
    let served = post(&gateway, Http::One, &body()).await;
    assert_refused(&served, StatusCode::GATEWAY_TIMEOUT);
}

/// Over HTTP/2 a connection may begin a hundred.
#[tokio::test]
async fn a_body_that_never_ends_takes_a_place_of_its_client() {
    let quotas = Quotas {
        in_flight: 1,
        ..Quotas::default()
    };
    let gateway = Setup::quotas(quotas).trusting("127.0.0.1/32").start().await;
    let mut two = Two::connect(&gateway).await;
    let mut unfinished = Vec::new();
    for asked in 1..=17 {
        let request = Two::request("POST", "/KdcProxy");
        let (response, mut stream) = two.requests.send_request(request, false).unwrap();
        stream.send_data(vec![0; 100].into(), false).unwrap();
        if asked == 17 {
            let refused = within(response).await.unwrap();
            assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        } else {
            unfinished.push((response, stream));
        }
    }
    let mut other = One::plain(&gateway).await;
    let lines = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(other.post(lines, &body()).await.status, 200);
    // Who gives one up has a place again.
    drop(unfinished.pop());
    loop {
        let again = two.ask(Two::request("POST", "/KdcProxy"), body()).await;
        if again.status == 200 {
            break;
        }
        assert_refused(&again, StatusCode::TOO_MANY_REQUESTS);
    }
}

#[tokio::test]
async fn the_body_that_has_been_coming_for_longest_gives_way() {
    let mut setup = patient();
    setup.limits.waiting = 5 * 1024;
    setup.limits.body = PATIENCE;
    let gateway = setup.start().await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut one = One::plain(&gateway).await;
        let head = "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: 2\r\n";
        one.send(format!("{head}Expect: 100-continue\r\n\r\n"))
            .await;
        assert_eq!(one.hear().await.status, 100);
        one.send("0").await;
        slow.push(one);
    }
    for http in Http::ALL {
        assert_eq!(post(&gateway, http, &body()).await.status, 200);
    }
    let mut slow = slow.into_iter();
    let evicted = slow.next().unwrap().hear().await;
    assert_refused(&evicted, StatusCode::SERVICE_UNAVAILABLE);
    assert!(evicted.closed);
    assert_eq!(gateway.counters().overloaded.get(), 1);
    for mut one in slow {
        one.send("0").await;
        assert_refused(&one.hear().await, StatusCode::BAD_REQUEST);
    }
}
