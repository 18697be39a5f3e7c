//! Clients that ask for too much, or try too many passwords; and who they are.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::StatusCode;
use loopkdc::config::gateway::{Quotas, TlsFiles};
use loopkdc::gateway::tls::follow;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::clients::{
    Http, Identity, One, Response, Two, assert_refused, handshake, post, try_handshake,
};
use crate::gateway::{ALIAS, Gateway, NEIGHBOUR, Setup, files};
use crate::kdc::Act;
use crate::messages::{
    Kind, PA_ENC_TIMESTAMP, PA_REQ_ENC_PA_REP, REALM, as_req_of, envelope, framed,
};
use crate::{eventually, within};

/// Three at once, and then as little as can be told.
const FEW: Quotas = Quotas {
    requests_per_second: 1,
    burst: 3,
    in_flight: 0,
    failures_per_minute: 0,
    failure_burst: 0,
    failures_per_principal: 0,
    patience: Duration::ZERO,
};

fn body(kind: Kind) -> Vec<u8> {
    envelope(&framed(&kind.request(REALM).bytes), Some(REALM))
}

/// How many of twenty requests at once are answered, on connections of their own where one is ended; a slow machine may
/// see one or two more than the burst.
async fn served(gateway: &Gateway, lines: &str) -> usize {
    let mut served = 0;
    for _ in 0..20 {
        let mut one = One::plain(gateway).await;
        let response = one.post(lines, &body(Kind::Plain)).await;
        if response.status == 200 {
            served += 1;
        } else {
            assert_wait(&response, 1);
        }
    }
    served
}

fn assert_wait(response: &Response, most: u64) {
    assert_refused(response, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=most).contains(&wait), "{wait}");
}

#[tokio::test]
async fn whoever_asks_too_much_is_told_when_to_come_back() {
    for is_two in [false, true] {
        let gateway = Setup::quotas(FEW).start().await;
        let mut two = Two::connect(&gateway).await;
        let response = loop {
            let body = body(Kind::Plain);
            let response = if is_two {
                two.ask(Two::request("POST", "/KdcProxy"), body).await
            } else {
                One::plain(&gateway).await.post("", &body).await
            };
            if response.status != 200 {
                break response;
            }
            assert!(gateway.kdc.asked() < 20, "no bound");
        };
        assert_wait(&response, 1);
        // The connection over TLS has paid for its first request.
        assert!(gateway.kdc.asked() >= if is_two { 3 } else { 2 });
        assert_eq!(gateway.counters().throttled.get(), 1);
        assert_eq!(gateway.counters().refused.get(), 0);
    }
}

#[tokio::test]
async fn whether_all_is_well_is_asked_as_often_as_anything_else_but_by_trusted_proxies() {
    let gateway = Setup::quotas(FEW).start().await;
    let mut asked = 0;
    let response = loop {
        let mut one = One::plain(&gateway).await;
        one.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
        let response = one.hear().await;
        if response.status != 200 {
            break response;
        }
        asked += 1;
        assert!(asked < 20, "no bound");
    };
    assert_wait(&response, 1);
    assert_eq!(gateway.counters().throttled.get(), 1);
    let gateway = Setup::quotas(FEW).trusting("127.0.0.1/32").start().await;
    let mut one = One::plain(&gateway).await;
    for _ in 0..20 {
        one.send("GET /healthz HTTP/1.1\r\nHost: g\r\n\r\n").await;
        assert_eq!(one.hear().await.status, 200);
    }
}

/// How many of twenty connections from this address of the loopback get as far as TLS.
async fn hands_shaken(gateway: &Gateway, host: u8) -> usize {
    let mut shaken = 0;
    for _ in 0..20 {
        let stream = from(gateway, host).await;
        shaken += usize::from(try_handshake(stream, &[], None).await.is_ok());
    }
    shaken
}

#[tokio::test]
async fn connections_that_bring_nothing_are_paid_for_before_the_handshake() {
    let mut setup = Setup::quotas(FEW);
    setup.limits.max_connections = 2;
    let gateway = setup.start().await;
    let mut other = One::over(handshake(from(&gateway, 3).await, &[], None).await);
    let shaken = hands_shaken(&gateway, 2).await;
    assert!((3..10).contains(&shaken), "{shaken}");
    assert_eq!(gateway.counters().throttled.get(), 20 - shaken as u64);
    // Nobody leaves for who cannot pay.
    let response = other.post("", &body(Kind::Plain)).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_costs_as_much_as_many_handshakes() {
    let quotas = Quotas { burst: 12, ..FEW };
    let gateway = Setup::quotas(quotas).start().await;
    let mut silent = from(&gateway, 2).await;
    silent.shutdown().await.unwrap();
    assert_eq!(within(silent.read(&mut [0])).await.unwrap(), 0);
    let shaken = hands_shaken(&gateway, 2).await;
    assert!((1..5).contains(&shaken), "{shaken}");
}

#[tokio::test]
async fn a_connection_has_paid_for_its_first_request_and_for_no_other() {
    let quotas = Quotas { burst: 6, ..FEW };
    let gateway = Setup::quotas(quotas).start().await;
    let mut one = One::connect(&gateway).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(one.post("", &body(Kind::Plain)).await.status);
        let mut other = One::connect(&gateway).await;
        statuses.push(other.post("", &body(Kind::Plain)).await.status);
    }
    assert_eq!(statuses, [200; 6]);
    let mut served = 0;
    while one.post("", &body(Kind::Plain)).await.status == 200 {
        served += 1;
    }
    assert!(served < 4, "{served}");
}

#[tokio::test]
async fn a_trusted_proxy_connects_for_nothing_and_its_clients_pay_for_each_request() {
    let gateway = Setup::quotas(FEW).trusting("127.0.0.0/8").start().await;
    assert_eq!(hands_shaken(&gateway, 2).await, 20);
    let mut served = 0;
    for _ in 0..20 {
        let mut one = One::connect(&gateway).await;
        let lines = "X-Forwarded-For: 192.0.2.1\r\n";
        let response = one.post(lines, &body(Kind::Plain)).await;
        served += usize::from(response.status == 200);
    }
    assert!((3..10).contains(&served), "{served}");
}

#[tokio::test]
async fn what_is_too_much_is_not_read() {
    let gateway = Setup::quotas(FEW).start().await;
    let mut two = Two::connect(&gateway).await;
    assert_eq!(
        two.ask(Two::request("GET", "/"), Vec::new()).await.status,
        404
    );
    served(&gateway, "").await;
    // No octet of the body is sent, and none waited for.
    let mut one = One::plain(&gateway).await;
    one.send("POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: 1000\r\n\r\n")
        .await;
    let response = one.hear().await;
    assert_wait(&response, 1);
    assert!(response.closed);
    let request = Two::request("POST", "/KdcProxy");
    let (response, _body) = two.requests.send_request(request, false).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 429);
}

#[tokio::test]
async fn requests_that_are_refused_cost_as_much() {
    let gateway = Setup::quotas(FEW).start().await;
    let mut statuses = Vec::new();
    while !statuses.contains(&429) {
        let mut one = One::plain(&gateway).await;
        one.send("GET /else HTTP/1.1\r\nHost: g\r\n\r\n").await;
        statuses.push(one.hear().await.status);
        assert!(statuses.len() < 20, "{statuses:?}");
    }
    assert_eq!(statuses[..3], [404; 3]);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_count_each_for_themselves() {
    let gateway = Setup::quotas(FEW).trusting("127.0.0.1/32").start().await;
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let lines = format!("X-Forwarded-For: 203.0.113.1, {client}\r\n");
        let served = served(&gateway, &lines).await;
        assert!((3..10).contains(&served), "{served}");
    }
    let gateway = Setup::quotas(FEW).start().await;
    let mut all = 0;
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        all += served(&gateway, &format!("Forwarded: for={client}\r\n")).await;
    }
    assert!(all < 9, "whoever is not trusted is believed");
}

#[tokio::test]
async fn whoever_comes_over_a_unix_socket_is_one_client_unless_trusted() {
    let untrusted = Setup::quotas(FEW).start().await;
    assert!(throttled_of_thirty(&untrusted).await > 0);
    let trusted = Setup::quotas(FEW).trusting("unix").start().await;
    // Addresses may share a slot, hardly ever four of them.
    assert_eq!(throttled_of_thirty(&trusted).await, 0);
}

/// How many are told to wait, of a request each for thirty clients over the Unix socket.
async fn throttled_of_thirty(gateway: &Gateway) -> usize {
    let mut throttled = 0;
    for client in 0..30 {
        let stream = UnixStream::connect(&gateway.unix).await.unwrap();
        let lines = format!("X-Forwarded-For: 192.0.2.{client}\r\n");
        let response = One::over(stream).post(&lines, &body(Kind::Plain)).await;
        throttled += usize::from(response.status == 429);
    }
    throttled
}

fn identity() -> (String, Identity) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["client".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let identity = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (certificate.pem(), (certificate.der().clone(), identity))
}

/// A connection from this address of the loopback.
async fn from(gateway: &Gateway, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    socket.connect(gateway.tls).await.unwrap()
}

#[tokio::test]
async fn a_certificate_is_one_client_from_wherever_it_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, identity) = identity();
    let path = dir.path().join("clients.pem");
    std::fs::write(&path, authority).unwrap();
    for require_client_cert in [false, true] {
        let files = TlsFiles {
            client_ca: Some(path.clone()),
            require_client_cert,
            ..files(dir.path())
        };
        let stop = CancellationToken::new();
        let certificates = follow(files, &stop, Default::default()).unwrap();
        let setup = Setup {
            certificates: Some(certificates),
            ..Setup::quotas(FEW)
        };
        let gateway = setup.start().await;
        let mut served = 0;
        for host in 10..30 {
            let shown = (identity.0.clone(), identity.1.clone_key());
            let stream = handshake(from(&gateway, host).await, &[], Some(shown)).await;
            let response = One::over(stream).post("", &body(Kind::Plain)).await;
            served += usize::from(response.status == 200);
        }
        assert!((1..10).contains(&served), "{served}");
        // TLS 1.3 tells a client that it was turned away when it reads.
        let stream = handshake(from(&gateway, 40).await, &[], None).await;
        let mut one = One::over(stream);
        if require_client_cert {
            assert!(!one.ended().await, "no alert");
        } else {
            assert_eq!(one.post("", &body(Kind::Plain)).await.status, 200);
        }
        stop.cancel();
    }
}

/// Two wrong passwords at once, and one a minute for long.
fn guesses(act: Act) -> Setup {
    let quotas = Quotas {
        failures_per_minute: 1,
        failure_burst: 2,
        ..Quotas::default()
    };
    Setup {
        act,
        ..Setup::quotas(quotas)
    }
}

async fn log_in(gateway: &Gateway) -> Response {
    post(gateway, Http::Two, &body(Kind::Preauth)).await
}

#[tokio::test]
async fn wrong_passwords_hold_up_logins_and_nothing_else() {
    for code in [24, 18] {
        let gateway = guesses(Act::Refuse(code))
            .trusting("127.0.0.1/32")
            .start()
            .await;
        for _ in 0..2 {
            assert_eq!(log_in(&gateway).await.status, 200);
        }
        assert_wait(&log_in(&gateway).await, 60);
        let alias = envelope(&framed(&Kind::Preauth.request(REALM).bytes), Some(ALIAS));
        assert_wait(&post(&gateway, Http::One, &alias).await, 60);
        // It would ask whose passwords may be tried next.
        assert_wait(&post(&gateway, Http::Two, &body(Kind::Plain)).await, 60);
        assert_eq!(gateway.counters().throttled.get(), 3);
        assert_eq!(gateway.kdc.asked(), 2);
        for kind in [Kind::Change, Kind::Tgs] {
            assert_eq!(post(&gateway, Http::Two, &body(kind)).await.status, 200);
        }
        let mut other = One::plain(&gateway).await;
        let lines = "X-Forwarded-For: 192.0.2.1\r\n";
        assert_eq!(other.post(lines, &body(Kind::Preauth)).await.status, 200);
    }
}

/// Or each realm that shares its KDCs with another would give a guesser as many guesses again.
#[tokio::test]
async fn a_password_counts_in_the_realm_inside() {
    let mut setup = guesses(Act::Refuse(24));
    setup.serves_other_realms = true;
    let gateway = setup.start().await;
    let guess =
        |inside, domain| envelope(&framed(&Kind::Preauth.request(inside).bytes), Some(domain));
    for domain in [REALM, NEIGHBOUR] {
        let response = post(&gateway, Http::One, &guess(NEIGHBOUR, domain)).await;
        assert_eq!(response.status, 200);
    }
    for domain in [REALM, NEIGHBOUR] {
        let response = post(&gateway, Http::One, &guess(NEIGHBOUR, domain)).await;
        assert_wait(&response, 60);
    }
    // One that is not known here is one of the KDC's, whoever it is asked as.
    for domain in [REALM, NEIGHBOUR] {
        let response = post(&gateway, Http::One, &guess("ELSE.WHERE", domain)).await;
        assert_eq!(response.status, 200);
    }
    let response = post(&gateway, Http::One, &guess("ELSE.WHERE", ALIAS)).await;
    assert_wait(&response, 60);
    assert_eq!(log_in(&gateway).await.status, 200);
}

#[tokio::test]
async fn guesses_at_once_are_as_few_as_those_in_turn() {
    let gateway = guesses(Act::RefuseLater).start().await;
    let at_once = futures_util::future::join_all((0..10).map(|_| log_in(&gateway)));
    let release = async {
        eventually(|| gateway.counters().throttled.get() == 8).await;
        gateway.kdc.release.add_permits(100);
    };
    let (responses, ()) = tokio::join!(at_once, release);
    let tried = responses.iter().filter(|response| response.status == 200);
    assert_eq!(tried.count(), 2);
    assert_eq!(gateway.kdc.asked(), 2);
    assert_wait(&log_in(&gateway).await, 60);
}

#[tokio::test]
async fn a_login_that_was_not_answered_costs_nothing() {
    for act in [Act::Silence, Act::NotServing, Act::Babble] {
        let gateway = guesses(act).start().await;
        for _ in 0..4 {
            let status = log_in(&gateway).await.status;
            assert!([502, 504].contains(&status), "{act:?} {status}");
        }
    }
    // Nor does one that finds no place.
    let mut setup = guesses(Act::Reply);
    setup.limits.waiting = 1000;
    let gateway = setup.start().await;
    for _ in 0..4 {
        assert_eq!(log_in(&gateway).await.status, 503);
    }
}

#[tokio::test]
async fn only_failed_logins_count() {
    // KDC_ERR_PREAUTH_REQUIRED, and a reply.
    for act in [Act::Refuse(25), Act::Reply] {
        let gateway = guesses(act).start().await;
        for _ in 0..5 {
            assert_eq!(log_in(&gateway).await.status, 200, "{act:?}");
        }
    }
    let gateway = guesses(Act::Refuse(24)).start().await;
    for _ in 0..5 {
        assert_eq!(
            post(&gateway, Http::Two, &body(Kind::Tgs)).await.status,
            200
        );
    }
    assert_eq!(log_in(&gateway).await.status, 200);
}

/// An AS-REQ of somebody of this name.
fn asking_for(name: &str, padata: &[i32]) -> Vec<u8> {
    let request = as_req_of(&[name], &["krbtgt", REALM], REALM, padata);
    envelope(&framed(&request.bytes), Some(REALM))
}

/// Or who has none would learn of millions of names a day whether they exist.
#[tokio::test]
async fn names_of_nobody_count_like_wrong_passwords() {
    for padata in [PA_REQ_ENC_PA_REP, PA_ENC_TIMESTAMP] {
        let gateway = guesses(Act::Refuse(6)).start().await;
        for name in ["aaron", "abel"] {
            let response = post(&gateway, Http::Two, &asking_for(name, &[padata])).await;
            assert_eq!(response.status, 200, "{name}");
        }
        let response = post(&gateway, Http::Two, &asking_for("abigail", &[padata])).await;
        assert_wait(&response, 60);
        assert_wait(&log_in(&gateway).await, 60);
        assert_eq!(gateway.kdc.asked(), 2);
    }
}

/// A machine whose principal was deleted goes on to ask for it, and holds up nobody behind its address.
#[tokio::test]
async fn the_same_name_of_nobody_counts_once() {
    let gateway = guesses(Act::Refuse(6)).start().await;
    for _ in 0..5 {
        let body = asking_for("deleted", &[PA_REQ_ENC_PA_REP]);
        assert_eq!(post(&gateway, Http::Two, &body).await.status, 200);
    }
    assert_eq!(log_in(&gateway).await.status, 200);
}

/// "Not here, but there" is no answer of whether there is somebody (RFC 6806 7).
#[tokio::test]
async fn a_referral_counts_for_nothing() {
    let gateway = guesses(Act::Refer).start().await;
    for name in ["a", "b", "c", "d"] {
        let body = asking_for(name, &[PA_REQ_ENC_PA_REP]);
        assert_eq!(post(&gateway, Http::Two, &body).await.status, 200, "{name}");
    }
}

/// A KDC tells of a locked account before it asks for a password: a machine that asks for such a one again and again
/// holds up nobody behind its address.
#[tokio::test]
async fn a_locked_account_that_no_password_was_tried_for_counts_for_nothing() {
    let gateway = guesses(Act::Refuse(18)).start().await;
    for _ in 0..5 {
        let response = post(&gateway, Http::Two, &body(Kind::Plain)).await;
        assert_eq!(response.status, 200);
    }
    assert_eq!(log_in(&gateway).await.status, 200);
}

#[tokio::test]
async fn a_copy_is_no_other_guess() {
    let gateway = guesses(Act::Refuse(24)).start().await;
    let guess = body(Kind::Preauth);
    for _ in 0..5 {
        assert_eq!(post(&gateway, Http::Two, &guess).await.status, 200);
    }
    let gateway = guesses(Act::RefuseLater).start().await;
    let copies = async {
        tokio::join!(
            post(&gateway, Http::Two, &guess),
            post(&gateway, Http::Two, &guess)
        )
    };
    let release = async {
        eventually(|| gateway.counters().joined.get() == 1).await;
        gateway.kdc.release.add_permits(100);
    };
    let (copies, ()) = tokio::join!(copies, release);
    assert_eq!((copies.0.status, copies.1.status), (200, 200));
    assert_eq!(log_in(&gateway).await.status, 200);
    assert_eq!(gateway.kdc.asked(), 2);
}

#[tokio::test]
async fn a_guess_counts_even_if_nobody_waits_for_the_answer() {
    let gateway = guesses(Act::RefuseLater).start().await;
    for guess in 1..=2 {
        let mut two = Two::connect(&gateway).await;
        let request = Two::request("POST", "/KdcProxy");
        let (response, mut stream) = two.requests.send_request(request, false).unwrap();
        stream.send_data(body(Kind::Preauth).into(), true).unwrap();
        eventually(|| gateway.kdc.asked() == guess).await;
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
        // The reset has been seen when what was sent after it is answered.
        let health = two.ask(Two::request("GET", "/healthz"), Vec::new()).await;
        assert_eq!(health.status, 200);
        gateway.kdc.release.add_permits(1);
        eventually(|| gateway.counters().replied.get() == 1 + guess as u64).await;
    }
    assert_wait(&log_in(&gateway).await, 60);
}

#[tokio::test]
async fn nobody_takes_all_places_of_a_kdc_even_by_hanging_up() {
    let quotas = Quotas {
        in_flight: 2,
        patience: Duration::ZERO,
        ..Quotas::default()
    };
    let setup = Setup {
        act: Act::RefuseLater,
        deadline: crate::PATIENCE,
        ..Setup::quotas(quotas)
    };
    let gateway = setup.trusting("127.0.0.1/32").start().await;
    for asked in 1..=2 {
        let mut one = One::plain(&gateway).await;
        let body = body(Kind::Plain);
        let head = format!(
            "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        one.send([head.as_bytes(), &body].concat()).await;
        eventually(|| gateway.kdc.asked() == asked).await;
    }
    let response = post(&gateway, Http::Two, &body(Kind::Tgs)).await;
    assert_wait(&response, 1);
    assert_eq!(gateway.counters().throttled.get(), 1);
    let mut other = One::plain(&gateway).await;
    let (body, lines) = (body(Kind::Tgs), "X-Forwarded-For: 192.0.2.1\r\n");
    let release = async {
        eventually(|| gateway.kdc.asked() == 3).await;
        gateway.kdc.release.add_permits(10);
        eventually(|| gateway.counters().replied.get() == 1 + 3).await;
    };
    let (other, ()) = tokio::join!(other.post(lines, &body), release);
    assert_eq!(other.status, 200);
    assert_eq!(post(&gateway, Http::Two, &body).await.status, 200);
}

/// What one client asks the KDC, of which that drops a part: no login waits for these until their deadline.
#[tokio::test]
async fn what_a_kdc_is_silent_on_keeps_no_other_request_of_its_client_waiting_for_long() {
    let quotas = Quotas {
        in_flight: 2,
        failures_per_minute: 1,
        failure_burst: 3,
        patience: crate::PATIENCE,
        ..Quotas::default()
    };
    let setup = Setup {
        act: Act::RefuseLater,
        deadline: crate::PATIENCE,
        ..Setup::quotas(quotas)
    };
    let gateway = setup.start().await;
    let at_once = [Kind::Plain, Kind::Plain, Kind::Preauth, Kind::Preauth];
    let asked = at_once.map(async |kind| post(&gateway, Http::Two, &body(kind)).await);
    let release = async {
        eventually(|| gateway.kdc.asked() == 4).await;
        gateway.kdc.release.add_permits(4);
    };
    let (answers, ()) = tokio::join!(join_all(asked), release);
    assert!(answers.iter().all(|answer| answer.status == 200));
}

/// A connection and a login each, as MIT's client makes them.
async fn log_in_anew(gateway: &Gateway) -> u16 {
    match try_handshake(TcpStream::connect(gateway.tls).await.unwrap(), &[], None).await {
        Ok(stream) => {
            One::over(stream)
                .post("", &body(Kind::Preauth))
                .await
                .status
        }
        Err(_) => 0,
    }
}

#[tokio::test]
async fn a_crowd_of_right_logins_waits_for_its_turn_and_loses_none() {
    let quotas = Quotas {
        requests_per_second: 50,
        burst: 4,
        in_flight: 2,
        failures_per_minute: 1,
        failure_burst: 1,
        failures_per_principal: 1,
        patience: Duration::from_secs(2),
    };
    let setup = Setup {
        deadline: crate::PATIENCE,
        ..Setup::quotas(quotas)
    };
    let gateway = setup.start().await;
    let began = Instant::now();
    let at_once = (0..24).map(|_| log_in_anew(&gateway));
    assert_eq!(join_all(at_once).await, [200; 24]);
    // Twenty of them were not there at once.
    assert!(began.elapsed() >= Duration::from_millis(400));
    let mut two = Two::connect(&gateway).await;
    let mut begin = || {
        let request = Two::request("POST", "/KdcProxy");
        let (response, mut stream) = two.requests.send_request(request, false).unwrap();
        stream.send_data(body(Kind::Preauth).into(), true).unwrap();
        response
    };
    let at_once: Vec<_> = (0..24).map(|_| begin()).collect();
    for response in at_once {
        assert_eq!(within(response).await.unwrap().status(), 200);
    }
    assert_eq!(gateway.counters().throttled.get(), 0);
}
