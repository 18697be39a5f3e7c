//! What load balancers are told.

use hyper::StatusCode;

use crate::clients::{Http, Two, ask, assert_refused, post};
use crate::gateway::{Gateway, Setup};
use crate::kdc::Act;
use crate::messages::{Kind, REALM, envelope, framed};
use crate::{eventually, within};

const NO_KDC: &str = "loopkdc: no KDC of any realm can be reached\n";

fn body(kind: Kind) -> Vec<u8> {
    envelope(&framed(&kind.request(REALM).bytes), Some(REALM))
}

#[tokio::test]
async fn health_is_told_to_those_who_get_it() {
    let gateway = Gateway::new().await;
    for http in Http::ALL {
        let response = ask(&gateway, http, "GET", "/healthz", b"").await;
        assert_eq!(response.status, 200);
        assert_eq!(response.text(), "loopkdc: ok\n");
        let response = ask(&gateway, http, "POST", "/healthz", b"").await;
        assert_refused(&response, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.header("allow"), Some("GET, HEAD"));
    }
    let response = ask(&gateway, Http::Two, "HEAD", "/healthz", b"").await;
    assert_eq!((response.status, response.text()), (200, ""));
}

#[tokio::test]
async fn a_gateway_is_well_once_a_kdc_has_replied() {
    let setup = Setup {
        was_reached: false,
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
    assert_refused(&response, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text(), NO_KDC);
    post(&gateway, Http::Two, &body(Kind::Plain)).await;
    let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_gateway_that_reaches_no_kdc_is_not_well() {
    let setup = Setup {
        kdc: Some("nowhere".to_owned()),
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
    assert_eq!(response.status, 200, "nothing else is known yet");
    assert_eq!(
        post(&gateway, Http::Two, &body(Kind::Plain)).await.status,
        502
    );
    let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
    assert_refused(&response, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text(), NO_KDC);
}

#[tokio::test]
async fn what_clients_can_cause_is_no_illness_of_the_gateway() {
    for act in [Act::Silence, Act::Babble, Act::NotServing] {
        let gateway = Setup::kdc_that(act).start().await;
        assert!(post(&gateway, Http::Two, &body(Kind::Plain)).await.status >= 500);
        let response = ask(&gateway, Http::Two, "GET", "/healthz", b"").await;
        assert_eq!(response.status, 200, "{act:?}");
    }
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_where_it_still_can() {
    let gateway = Setup::kdc_that(Act::Silence).start().await;
    // A connection on which something is under way is still served.
    let mut two = Two::connect(&gateway).await;
    let request = Two::request("POST", "/KdcProxy");
    let (pending, mut stream) = two.requests.send_request(request, false).unwrap();
    stream.send_data(body(Kind::Plain).into(), true).unwrap();
    eventually(|| gateway.kdc.asked() == 1).await;
    gateway.tasks.stop.cancel();
    let response = two.ask(Two::request("GET", "/healthz"), Vec::new()).await;
    assert_refused(&response, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.text(), "loopkdc: stopping\n");
    assert_eq!(within(pending).await.unwrap().status(), 504);
}
