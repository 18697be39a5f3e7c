//! The octets of a POST's body, all the way to what is asked of a KDC, and the reply back into a body.
//!
//! The octets are the body, then the kerb-message of one, behind its length and bare, then a KDC's reply: so a recorded
//! message of any kind is a start.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use loopkdc_fuzz::wire::proxied::{self, Proxied};
use loopkdc_fuzz::wire::{Framed, Kind, MAX_REQUEST, Realm, Reply, Resend, Service, kkdcp};

const DOMAIN: &str = "Example.Com";

fuzz_target!(|data: &[u8]| {
    check_body(data);
    let framed = kkdcp::encode_request(&Framed::wrap(data), DOMAIN, Some(0x1000));
    let mut envelope = kkdcp::decode(&framed).unwrap();
    envelope.kerb_message = data;
    let bare = kkdcp::encode(&envelope);
    let (framed, bare) = (check_body(&framed), check_body(&bare));
    match (&framed, &bare) {
        (Some(framed), Some(bare)) if bare.message.bytes() == data => assert_same(framed, bare),
        // Its own first octets are its length.
        (None, Some(bare)) => assert!(bare.had_length),
        (framed, bare) => assert!(framed.is_none() && bare.is_none()),
    }
    for service in [Service::Kdc, Service::Kpasswd] {
        if let Ok(reply) = Reply::parse(service, Bytes::copy_from_slice(data)) {
            check_answer(reply.bytes());
        }
    }
});

/// Reads a body, and checks what was read against its octets.
fn check_body(body: &[u8]) -> Option<Proxied> {
    let proxied = proxied::read(&Bytes::copy_from_slice(body)).ok()?;
    check_message(&proxied, body);
    let message = &proxied.message;
    let post = |framed: Framed| {
        let domain = message.realm().as_str();
        kkdcp::encode_request(&framed, domain, proxied.dclocator_hint)
    };
    let encoded = post(message.framed());
    // DER has one encoding only: nothing of the body was passed over.
    assert_eq!(encoded == body, proxied.had_length);
    let again = proxied::read(&encoded.into()).unwrap();
    assert!(again.had_length);
    assert_same(&proxied, &again);
    // Exactly one message: neither more nor less of the same octets is one.
    let octets = message.bytes();
    let longer = [&octets[..], &[0]].concat();
    for other in [&longer[..], &octets[..octets.len() - 1]] {
        assert!(proxied::read(&post(Framed::wrap(other)).into()).is_err());
    }
    Some(proxied)
}

fn check_message(proxied: &Proxied, body: &[u8]) {
    let message = &proxied.message;
    let octets = message.bytes();
    assert!((1..=MAX_REQUEST).contains(&octets.len()));
    assert!(body.windows(octets.len()).any(|window| window == octets));
    assert_eq!(message.framed().message(), octets);
    let (service, once) = match message.kind() {
        Kind::AsReq => (Service::Kdc, message.resend() == Resend::Once),
        Kind::TgsReq => (Service::Kdc, false),
        Kind::Kpasswd => (Service::Kpasswd, true),
    };
    assert_eq!(message.service(), service);
    assert_eq!(message.resend() == Resend::Once, once);
    // What goes to logs and to a KDC's name.
    let other = proxied.other_realm.as_ref();
    for realm in [Some(message.realm()), other].into_iter().flatten() {
        let read = Realm::parse(realm.as_str().as_bytes()).map(|read| read.key());
        assert_eq!(read, Ok(realm.key()));
        assert!(!realm.as_str().contains(char::is_control));
    }
    assert!(other.is_none_or(|other| other.key() != message.realm().key()));
    if let Some(name) = message.client_name() {
        assert_eq!(message.kind(), Kind::AsReq);
        assert!(name.len() <= 255);
    }
    // DS_PDC_REQUIRED and DS_WRITABLE_REQUIRED, DS_FORCE_REDISCOVERY ([MS-NRPC] 3.5.4.3.1).
    let flags = proxied.dclocator_hint.unwrap_or(0);
    assert_eq!(proxied.wants_primary(), flags & 0x1080 != 0);
    assert_eq!(proxied.forces_rediscovery(), flags & 1 != 0);
}

/// Whether both ask the same of the same KDC.
fn assert_same(one: &Proxied, other: &Proxied) {
    let asked = |proxied: &Proxied| {
        let message = &proxied.message;
        (
            message.framed(),
            (message.kind(), message.resend()),
            message.realm().as_str().to_owned(),
            message.client_name(),
            proxied.other_realm.as_ref().map(|realm| realm.key()),
            (proxied.dclocator_hint, proxied.wants_primary()),
        )
    };
    assert_eq!(asked(one), asked(other));
}

/// A reply comes out of its body as it was, behind its length if that was wanted.
fn check_answer(reply: &Bytes) {
    for had_length in [true, false] {
        let body = proxied::answer(reply, had_length);
        let answer = kkdcp::decode(&body).unwrap();
        assert_eq!(answer.message(), (&reply[..], had_length));
        assert_eq!((answer.target_domain, answer.dclocator_hint), (None, None));
    }
}
