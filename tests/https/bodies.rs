//! Bodies: what is relayed and answered, and what is not.

use std::fs;

use hyper::StatusCode;
use tokio::net::UnixStream;

use crate::clients::{Http, One, assert_refused, post};
use crate::der::{application, dig, field, integer, octets, principal, sequence};
use crate::gateway::{ALIAS, Gateway, Setup};
use crate::messages::{Kind, REALM, envelope, framed, req_body};

fn proxied(kind: Kind) -> Vec<u8> {
    envelope(&framed(&kind.request(REALM).bytes), Some(REALM))
}

#[tokio::test]
async fn requests_of_each_kind_are_relayed_and_answered_in_kind() {
    let gateway = Gateway::new().await;
    for http in Http::ALL {
        for kind in Kind::ALL {
            for had_length in [true, false] {
                let request = kind.request(REALM).bytes;
                let kerb_message = if had_length {
                    framed(&request)
                } else {
                    request
                };
                let response = post(
                    &gateway,
                    http,
                    &envelope(&kerb_message, Some("example.com")),
                )
                .await;
                assert_eq!(response.status, 200, "{http:?} {kind:?}");
                assert_eq!(
                    response.header("content-type"),
                    Some("application/kerberos")
                );
                let reply = dig(&response.body, &[0x30, 0xa0, 0x04]).unwrap();
                let rest = framed(reply.get(4..).unwrap_or_default());
                assert_eq!(rest == reply, had_length, "{http:?} {kind:?}");
                let message = if had_length { &reply[4..] } else { reply };
                assert_eq!(message[0], kind.reply()[0]);
                assert_eq!(dig(&response.body, &[0x30, 0xa1]), None);
                assert_eq!(response.closed, http == Http::Zero);
            }
        }
    }
    assert_eq!(gateway.kdc.asked(), 24);
    assert_eq!(gateway.counters().other_realm.get(), 0);
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let gateway = Gateway::new().await;
    let mut one = One::connect(&gateway).await;
    for _ in 0..3 {
        let body = proxied(Kind::Plain);
        let head = format!(
            "POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        one.send([head.as_bytes(), &body].concat()).await;
        assert_eq!(one.hear().await.status, 200);
    }
}

#[tokio::test]
async fn http_1_0_ends_with_its_answer_even_if_more_is_asked_for() {
    let gateway = Gateway::new().await;
    let mut one = One::plain(&gateway).await;
    let body = proxied(Kind::Plain);
    let head = format!(
        "POST /KdcProxy HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    one.send([head.as_bytes(), &body].concat()).await;
    let response = one.hear().await;
    assert_eq!(response.status, 200);
    assert!(response.header("content-length").is_some());
    assert!(response.closed);
}

#[tokio::test]
async fn what_is_no_envelope_or_has_no_realm_is_a_bad_request() {
    let gateway = Gateway::new().await;
    let request = framed(&Kind::Plain.request(REALM).bytes);
    let good = envelope(&request, Some(REALM));
    // BER: a length in more octets than it takes.
    let content = dig(&good, &[0x30]).unwrap();
    let length = (content.len() as u32).to_be_bytes();
    let long_form = [&[0x30, 0x84][..], &length, content].concat();
    for http in Http::ALL {
        for body in [
            b"hello".to_vec(),
            [&good[..], b"\0"].concat(),
            long_form.clone(),
            envelope(&request, None),
            envelope(&request, Some("")),
            envelope(&request, Some("a\r\nb")),
        ] {
            let response = post(&gateway, http, &body).await;
            assert_refused(&response, StatusCode::BAD_REQUEST);
            assert_eq!(response.closed, http == Http::Zero, "{http:?} {body:?}");
        }
    }
    assert_eq!(gateway.counters().refused.get(), 18);
    assert_eq!(gateway.kdc.asked(), 0);
}

#[tokio::test]
async fn a_message_that_is_not_kerberos_is_dropped_and_the_connection_ended() {
    let gateway = Gateway::new().await;
    let request = Kind::Plain.request(REALM).bytes;
    let mut wrong = framed(&request);
    wrong[3] ^= 1;
    for http in Http::ALL {
        for kerb_message in [
            b"GET / HTTP/1.1\r\nHost: g\r\n\r\n".to_vec(),
            wrong.clone(),
            framed(&[&request[..], b"\0"].concat()),
            framed(&Kind::Plain.reply()),
            Vec::new(),
        ] {
            let response = post(&gateway, http, &envelope(&kerb_message, Some(REALM))).await;
            assert_refused(&response, StatusCode::BAD_REQUEST);
            assert_eq!(response.closed, http != Http::Two);
        }
    }
    assert_eq!(gateway.counters().not_kerberos.get(), 15);
    assert_eq!(gateway.kdc.asked(), 0);
}

#[tokio::test]
async fn what_clients_were_heard_to_send_reaches_a_kdc_octet_by_octet() {
    // From realms of their own.
    let setup = Setup {
        serves_other_realms: true,
        ..Setup::default()
    };
    let gateway = setup.start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let requests = files.filter(|path| path.extension().is_some_and(|name| name == "request"));
    for path in requests {
        let request = fs::read(&path).unwrap();
        let body = envelope(&framed(&request), Some(REALM));
        let response = post(&gateway, Http::Two, &body).await;
        assert_eq!(response.status, 200, "{}", path.display());
        assert_eq!(*gateway.kdc.last.lock().unwrap(), request);
    }
    assert!(gateway.kdc.asked() > 40);
}

/// What went through to KDCs before anything but the outline was looked at.
fn broken_inside() -> Vec<Vec<u8>> {
    let pvno = field(1, &integer(5));
    let msg_type = |number| field(2, &integer(number));
    let as_req = |fields: &[Vec<u8>]| application(10, &sequence(fields));
    let alice = principal(&["alice"]);
    let [right, other] = [REALM, "OTHER.EXAMPLE"]
        .map(|realm| field(4, &req_body(&alice, &["krbtgt", realm], realm)));
    let of = |cname: &[u8]| {
        let body = field(4, &req_body(cname, &["krbtgt", REALM], REALM));
        as_req(&[pvno.clone(), msg_type(10), body])
    };
    let mut too_long = alice.clone();
    too_long[1] += 1;
    let nested = (0..2000).fold(Vec::new(), |inner, _| sequence(&[inner]));
    let padata = |list: &[u8]| {
        let padata = field(3, list);
        as_req(&[pvno.clone(), msg_type(10), padata, right.clone()])
    };
    vec![
        padata(&sequence(&[octets(b"no PA-DATA")])),
        padata(&nested),
        of(&nested),
        of(&too_long),
        as_req(&[msg_type(10), right.clone()]),
        as_req(&[pvno.clone(), msg_type(30), right.clone()]),
        as_req(&[pvno.clone(), msg_type(10), right.clone(), other]),
        as_req(&[
            pvno.clone(),
            msg_type(10),
            right.clone(),
            field(9, &integer(1)),
        ]),
    ]
}

#[tokio::test]
async fn a_message_that_is_broken_inside_is_dropped_and_the_connection_ended() {
    let gateway = Gateway::new().await;
    for http in Http::ALL {
        for broken in broken_inside() {
            let response = post(&gateway, http, &envelope(&framed(&broken), Some(REALM))).await;
            assert_refused(&response, StatusCode::BAD_REQUEST);
            let told = response.text();
            assert!(told.contains("is no valid AS-REQ: "), "{told}");
            assert_eq!(response.closed, http != Http::Two);
        }
    }
    assert_eq!(gateway.counters().not_kerberos.get(), 24);
    assert_eq!(gateway.kdc.asked(), 0);
}

#[tokio::test]
async fn the_outline_is_enough_where_the_configuration_says_so() {
    let setup = Setup {
        is_strict: false,
        ..Setup::default()
    };
    let gateway = setup.start().await;
    for broken in broken_inside() {
        let body = envelope(&framed(&broken), Some(REALM));
        assert_eq!(post(&gateway, Http::Two, &body).await.status, 200);
    }
    assert_eq!(gateway.kdc.asked(), broken_inside().len());
}

#[tokio::test]
async fn target_domain_opens_no_way_to_another_realm_inside_unless_it_is_to() {
    for serves_other_realms in [false, true] {
        let setup = Setup {
            serves_other_realms,
            ..Setup::default()
        };
        let gateway = setup.start().await;
        for kind in Kind::ALL {
            let request = framed(&kind.request("OTHER.EXAMPLE").bytes);
            let response = post(&gateway, Http::Two, &envelope(&request, Some(REALM))).await;
            if serves_other_realms {
                assert_eq!(response.status, 200, "{kind:?}");
                continue;
            }
            assert_refused(&response, StatusCode::FORBIDDEN);
            let told = "realm OTHER.EXAMPLE is not served under the name of realm EXAMPLE.COM";
            assert_eq!(response.text(), format!("loopkdc: {told}\n"));
        }
        let kinds = Kind::ALL.len();
        assert_eq!(gateway.counters().other_realm.get(), kinds as u64);
        let asked = if serves_other_realms { kinds } else { 0 };
        assert_eq!(gateway.kdc.asked(), asked);
    }
}

#[tokio::test]
async fn an_alias_is_no_other_realm() {
    let gateway = Gateway::new().await;
    for (inside, domain) in [(REALM, ALIAS), (ALIAS, REALM), (ALIAS, "example")] {
        let request = framed(&Kind::Plain.request(inside).bytes);
        let response = post(&gateway, Http::Two, &envelope(&request, Some(domain))).await;
        assert_eq!(response.status, 200, "{inside} {domain}");
    }
    assert_eq!(gateway.counters().other_realm.get(), 0);
}

#[tokio::test]
async fn a_unix_socket_is_a_door_too() {
    let gateway = Gateway::new().await;
    let stream = UnixStream::connect(&gateway.unix).await.unwrap();
    let mut one = One::over(stream);
    for kind in Kind::ALL {
        assert_eq!(one.post("", &proxied(kind)).await.status, 200);
    }
    assert_eq!(gateway.kdc.asked(), 4);
}
