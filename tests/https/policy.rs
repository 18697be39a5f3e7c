//! What a realm's policy refuses.

use loopkdc::wire::{Reply, Service, kkdcp};

use crate::clients::{Http, Response, post};
use crate::gateway::{ALIAS, Gateway, Setup, policies};
use crate::messages::{Kind, PA_REQ_ENC_PA_REP, REALM, as_req_of, envelope, framed, tgs_req_for};

const DENY: &str = "deny-principals = [\"root\"]\nallow-services = [\"krbtgt/*\", \"HTTP/*\"]\npreauth = \"no-timestamp\"\n";

/// A gateway with these lines about its realm.
async fn gateway(lines: &str) -> Gateway {
    let realms = format!("[realms.\"{REALM}\"]\nkdcs = [\"k\"]\naliases = [\"{ALIAS}\"]\n{lines}");
    let setup = Setup {
        policies: policies(&realms),
        ..Setup::default()
    };
    setup.start().await
}

fn as_req(client: &str) -> Vec<u8> {
    as_req_of(&[client], &["krbtgt", REALM], REALM, &[PA_REQ_ENC_PA_REP]).bytes
}

/// The reply in a response, which is one of 200.
pub fn reply(response: &Response) -> Reply {
    assert_eq!(response.status, 200);
    let envelope = kkdcp::decode(&response.body).unwrap();
    let (octets, had_length) = envelope.message();
    assert!(had_length);
    Reply::parse(Service::Kdc, octets.to_vec().into()).unwrap()
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_no_kdc_is_asked() {
    let gateway = gateway(DENY).await;
    let http = tgs_req_for(&["HTTP", "www"], REALM).bytes;
    let ldap = tgs_req_for(&["ldap", "dc1"], REALM).bytes;
    let timestamp = Kind::Preauth.request(REALM).bytes;
    for domain in [REALM, ALIAS] {
        for (octets, http) in [
            as_req("Root"),
            as_req("root@x"),
            ldap.clone(),
            timestamp.clone(),
        ]
        .into_iter()
        .zip(Http::ALL.into_iter().cycle())
        {
            let response = post(&gateway, http, &envelope(&framed(&octets), Some(domain))).await;
            let reply = reply(&response);
            assert_eq!(reply.error_code(), Some(12));
            assert!(reply.is_of_loopkdc());
        }
    }
    assert_eq!(gateway.kdc.asked(), 0);
    assert_eq!(gateway.counters().refused_by_policy.get(), 8);
    for octets in [as_req("rooter"), http] {
        let response = post(
            &gateway,
            Http::Two,
            &envelope(&framed(&octets), Some(REALM)),
        )
        .await;
        assert_eq!(reply(&response).error_code(), None);
    }
    assert_eq!(gateway.kdc.asked(), 2);
}

#[tokio::test]
async fn a_reload_brings_another_policy() {
    let gateway = gateway("").await;
    let code = async || {
        let body = envelope(&framed(&as_req("root")), Some(REALM));
        reply(&post(&gateway, Http::Two, &body).await).error_code()
    };
    assert_eq!(code().await, None);
    let realms = format!("[realms.\"{REALM}\"]\nkdcs = [\"k\"]\n{DENY}");
    gateway.policies.send_replace(policies(&realms));
    assert_eq!(code().await, Some(12));
}
