//! Who is let in by a bearer token (RFC 6750), for which realms, and as whom he is counted.

use std::path::Path;
use std::time::SystemTime;

use hyper::StatusCode;
use loopkdc::config::gateway::{GatewayConfig, Quotas};
use loopkdc::gateway::access::{Access, follow_tokens};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::clients::{One, Response, Two, assert_refused};
use crate::gateway::{ALIAS, Gateway, NEIGHBOUR, Setup};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};

/// A line of the file for a token that is what its name is.
fn line(name: &str, until: &str, realms: &str) -> String {
    let hash: String = Sha256::digest(name)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!("{name} {hash} {until} {realms}\n")
}

/// What these lines let in, from now on.
fn access(lines: &str) -> Access {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens.txt");
    std::fs::write(&file, format!("# name, hash, end, realms\n\n{lines}")).unwrap();
    let text = format!(
        "[gateway]\nlisten = []\nplain-listen = [\"127.0.0.1:1\"]\ntokens-file = {file:?}\n"
    );
    let config = GatewayConfig::parse(Path::new("gateway.toml"), &text).unwrap();
    let tokens = config.serving.tokens.unwrap();
    let stop = CancellationToken::new();
    let tokens = follow_tokens(tokens, &stop, Default::default()).unwrap();
    stop.cancel();
    Access {
        tokens: Some(tokens),
        ..Access::default()
    }
}

fn body(inside: &str, domain: &str) -> Vec<u8> {
    envelope(&framed(&Kind::Preauth.request(inside).bytes), Some(domain))
}

/// A POST with this Authorization.
async fn post(gateway: &Gateway, authorization: &str, body: &[u8]) -> Response {
    let mut one = One::connect(gateway).await;
    let lines = if authorization.is_empty() {
        String::new()
    } else {
        format!("Authorization: {authorization}\r\n")
    };
    one.post(&lines, body).await
}

#[tokio::test]
async fn a_token_is_asked_for_and_one_that_is_wrong_is_told_so() {
    let setup = Setup {
        access: access(&(line("here", "never", REALM) + &line("gone", "2026-01-31", REALM))),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let wrong = "Bearer realm=\"KDC proxy\", error=\"invalid_token\"";
    for (sent, challenge) in [
        ("", "Bearer realm=\"KDC proxy\""),
        ("Negotiate here", "Bearer realm=\"KDC proxy\""),
        ("Bearer there", wrong),
        ("Bearer gone", wrong),
        ("Bearer here\r\nAuthorization: Bearer here", wrong),
    ] {
        let response = post(&gateway, sent, &body(REALM, REALM)).await;
        assert_refused(&response, StatusCode::UNAUTHORIZED);
        assert_eq!(
            response.header("www-authenticate"),
            Some(challenge),
            "{sent}"
        );
    }
    assert_eq!(gateway.kdc.asked(), 0);
    assert_eq!(gateway.counters().refused.get(), 5);
    for sent in ["Bearer here", "bearer  here"] {
        let response = post(&gateway, sent, &body(REALM, REALM)).await;
        assert_eq!(response.status, 200);
    }
    let mut two = Two::connect(&gateway).await;
    let mut request = Two::request("POST", "/KdcProxy");
    assert_eq!(
        two.ask(request.clone(), body(REALM, REALM)).await.status,
        401
    );
    let token = "Bearer here".parse().unwrap();
    request.headers_mut().insert("authorization", token);
    assert_eq!(two.ask(request, body(REALM, REALM)).await.status, 200);
    let mut plain = One::plain(&gateway).await;
    assert_eq!(plain.post("", &body(REALM, REALM)).await.status, 401);
    let health = Two::request("GET", "/healthz");
    assert_eq!(two.ask(health, Vec::new()).await.status, 200);
}

#[tokio::test]
async fn the_last_day_of_a_token_is_whole() {
    let today = der::DateTime::from_system_time(SystemTime::now()).unwrap();
    let today = today.to_string();
    let setup = Setup {
        access: access(&line("today", &today[..10], REALM)),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let response = post(&gateway, "Bearer today", &body(REALM, REALM)).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_token_is_for_its_realms_by_each_of_their_names() {
    let lines =
        line("one", "never", ALIAS) + &line("all", "never", &format!("{REALM} {NEIGHBOUR} OTHER"));
    let setup = Setup {
        access: access(&lines),
        serves_other_realms: true,
        ..Setup::default()
    };
    let gateway = setup.start().await;
    for (token, inside, domain, status) in [
        ("one", REALM, REALM, 200),
        ("one", REALM, ALIAS, 200),
        ("one", NEIGHBOUR, NEIGHBOUR, 403),
        ("one", "OTHER", REALM, 403),
        // Nobody learns which realms there are.
        ("one", "NOWHERE", "NOWHERE", 403),
        ("all", NEIGHBOUR, NEIGHBOUR, 200),
        ("all", "OTHER", REALM, 200),
        ("all", "THIRD", REALM, 403),
    ] {
        let asked = gateway.kdc.asked();
        let response = post(&gateway, &format!("Bearer {token}"), &body(inside, domain)).await;
        assert_eq!(response.status, status, "{token} {inside} {domain}");
        let is_asked = gateway.kdc.asked() > asked;
        assert_eq!(is_asked, status == 200, "{token} {inside} {domain}");
    }
}

#[tokio::test]
async fn a_name_pays_for_what_it_asks_and_what_proves_none_is_its_addresss() {
    let names = ["a", "b", "c", "d"];
    let lines: String = names.map(|name| line(name, "never", REALM)).concat();
    let setup = Setup {
        access: access(&lines),
        act: Act::Refuse(24),
        ..Setup::quotas(Quotas {
            failures_per_minute: 1,
            failure_burst: 2,
            requests_per_second: 1,
            burst: 9,
            ..Quotas::default()
        })
    };
    let gateway = setup.start().await;
    let mut one = One::plain(&gateway).await;
    let mut status = async |token: &str| {
        let lines = format!("Authorization: Bearer {token}\r\n");
        let response = one.post(&lines, &body(REALM, REALM)).await;
        if response.closed {
            one = One::plain(&gateway).await;
        }
        response.status
    };
    let mut wrong = 0;
    while status("wrong").await == 401 {
        wrong += 1;
    }
    assert!((8..12).contains(&wrong), "{wrong}");
    // Two of them share a slot now and then.
    let mut held_up = 0;
    for name in names {
        let logins = [status(name).await, status(name).await, status(name).await];
        held_up += usize::from(logins == [200, 200, 429]);
    }
    assert!(held_up >= 3, "{held_up}");
}

/// Nine tenths of the places are more than an address may have.
#[tokio::test]
async fn a_connection_is_the_share_of_the_name_that_was_proved_over_it() {
    let names: Vec<_> = (0..9).map(|number| format!("laptop{number}")).collect();
    let lines: String = names
        .iter()
        .map(|name| line(name, "never", REALM))
        .collect();
    let mut setup = Setup::limits(|limits| limits.max_connections = 10);
    setup.access = access(&lines);
    let gateway = setup.start().await;
    let mut connections = Vec::new();
    for name in &names {
        connections.push((One::plain(&gateway).await, name));
        for (one, name) in &mut connections {
            let lines = format!("Authorization: Bearer {name}\r\n");
            let response = one.post(&lines, &body(REALM, REALM)).await;
            assert_eq!(response.status, 200, "{name}");
        }
    }
    assert_eq!(gateway.counters().evicted.get(), 0);
}

#[tokio::test]
async fn who_comes_by_a_reverse_proxy_has_a_token_of_his_own() {
    let setup = Setup {
        access: access(&line("laptop7", "never", REALM)),
        ..Setup::default()
    };
    let gateway = setup.trusting("127.0.0.1/32").start().await;
    for (more, status) in [("Authorization: Bearer laptop7\r\n", 200), ("", 401)] {
        let lines = format!("X-Forwarded-For: 192.0.2.9\r\n{more}");
        let mut one = One::plain(&gateway).await;
        let response = one.post(&lines, &body(REALM, REALM)).await;
        assert_eq!(response.status, status);
    }
}
