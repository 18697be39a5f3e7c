//! What there is no reply for, as a status.

use hyper::StatusCode;

use crate::clients::{Http, Response, assert_refused, post};
use crate::gateway::{ALIAS, Gateway, NEIGHBOUR, Setup};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};

/// The answers to a change of a password, which is sent once, over each HTTP.
async fn answers(gateway: &Gateway, realm: &str) -> Vec<Response> {
    let mut answers = Vec::new();
    for http in Http::ALL {
        let body = envelope(&framed(&Kind::Change.request(REALM).bytes), Some(realm));
        answers.push(post(gateway, http, &body).await);
    }
    answers
}

#[tokio::test]
async fn an_unknown_realm_is_not_found_and_no_other_is_named() {
    let gateway = Gateway::new().await;
    for response in answers(&gateway, "Else.Where").await {
        assert_refused(&response, StatusCode::NOT_FOUND);
        assert_eq!(
            response.text(),
            "loopkdc: no KDC is configured for realm Else.Where\n"
        );
    }
    assert_eq!(gateway.kdc.asked(), 0);
}

#[tokio::test]
async fn a_service_that_is_not_offered_is_forbidden() {
    let mut setup = Setup::default();
    setup.upstreams.kpasswd = None;
    let gateway = setup.start().await;
    for response in answers(&gateway, REALM).await {
        assert_refused(&response, StatusCode::FORBIDDEN);
        let told = "loopkdc: this service of realm EXAMPLE.COM is not offered here\n";
        assert_eq!(response.text(), told);
    }
    assert_eq!(gateway.kdc.asked(), 0);
    let body = envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM));
    assert_eq!(post(&gateway, Http::Two, &body).await.status, 200);
}

/// A KDC goes by the realm inside ([MS-KKDCP] 3.2.5.1), and may be that of several.
#[tokio::test]
async fn a_service_that_is_not_offered_is_not_to_be_had_under_the_name_of_another_realm() {
    let setup = Setup {
        serves_other_realms: true,
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let body = |kind: Kind, inside| envelope(&framed(&kind.request(inside).bytes), Some(REALM));
    for http in Http::ALL {
        let response = post(&gateway, http, &body(Kind::Change, NEIGHBOUR)).await;
        assert_refused(&response, StatusCode::FORBIDDEN);
        let told =
            "loopkdc: realm NEIGHBOUR.EXAMPLE is not served under the name of realm EXAMPLE.COM\n";
        assert_eq!(response.text(), told);
    }
    assert_eq!(gateway.kdc.asked(), 0);
    // What is offered of it is relayed, and what this knows nothing of.
    let others = [
        (Kind::Tgs, NEIGHBOUR),
        (Kind::Change, ALIAS),
        (Kind::Change, "ELSE.WHERE"),
    ];
    for (kind, inside) in others {
        let response = post(&gateway, Http::One, &body(kind, inside)).await;
        assert_eq!(response.status, 200, "{inside}");
    }
}

#[tokio::test]
async fn a_kdc_that_is_not_there_is_a_bad_gateway() {
    // Not even an address: one whose TCP is refused is asked over UDP, and then may have heard.
    let address = "nowhere".to_owned();
    let setup = Setup {
        kdc: Some(address),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    for response in answers(&gateway, REALM).await {
        assert_refused(&response, StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn a_kdc_that_talks_nonsense_or_does_not_serve_is_a_bad_gateway() {
    for act in [Act::Babble, Act::NotServing] {
        let gateway = Setup::kdc_that(act).start().await;
        // 29 to a change is the KDC's own answer, framed otherwise: only an AS-REQ meets it.
        let body = envelope(&framed(&Kind::Preauth.request(REALM).bytes), Some(REALM));
        for http in Http::ALL {
            let response = post(&gateway, http, &body).await;
            assert_refused(&response, StatusCode::BAD_GATEWAY);
        }
    }
}

#[tokio::test]
async fn a_silent_kdc_is_a_gateway_timeout() {
    let gateway = Setup::kdc_that(Act::Silence).start().await;
    for response in answers(&gateway, REALM).await {
        assert_refused(&response, StatusCode::GATEWAY_TIMEOUT);
    }
}

#[tokio::test]
async fn too_much_at_once_is_told_to_come_later() {
    let setup = Setup {
        max_in_flight: 0,
        ..Setup::default()
    };
    let gateway = setup.start().await;
    for response in answers(&gateway, REALM).await {
        assert_refused(&response, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.header("retry-after"), Some("2"));
    }
    assert_eq!(gateway.kdc.asked(), 0);
}
