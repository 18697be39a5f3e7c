//! Any octets as a request and as a reply of either service: no panic, and what is accepted keeps
//! what its type promises.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use loopkdc_fuzz::wire::{
    Deframer, KerberosMessage, MAX_REPLY, MAX_REQUEST, OuterName, Realm, Reply, ReplyKind, Service,
};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    for service in [Service::Kdc, Service::Kpasswd] {
        let request = KerberosMessage::parse(service, bytes.clone());
        let reply = Reply::parse(service, bytes.clone());
        assert!(
            request.is_err() || reply.is_err(),
            "both a request and a reply"
        );
        if let Ok(request) = request {
            check_request(service, &request, &bytes);
        }
        if let Ok(reply) = reply {
            check_reply(service, &reply, &bytes);
        }
    }
});

fn check_request(service: Service, request: &KerberosMessage, bytes: &Bytes) {
    assert!(bytes.len() <= MAX_REQUEST);
    assert_eq!(request.bytes(), bytes);
    assert_eq!(request.service(), service);
    let realm = request.realm();
    assert!(realm.as_str().chars().count() <= 255);
    assert!(!realm.as_str().contains(char::is_control));
    let read = Realm::parse(realm.as_str().as_bytes()).map(|read| read.key());
    assert!(realm.key().as_str().is_empty() || read == Ok(realm.key()));
    assert_eq!(request.ticket().is_some(), service == Service::Kpasswd);
    if let Some(ticket) = request.ticket() {
        assert!(bytes.windows(ticket.len()).any(|window| window == ticket));
    }
    if let Some(name) = request.client_name() {
        assert_eq!(service, Service::Kdc);
        assert!(name.len() <= 255);
        assert!(!name.contains(['\0', '\x08', '\t', '\n']));
    }
    if let Some(outline) = request.outline() {
        assert_eq!(outline.kind, request.kind());
        for name in [outline.client, outline.service] {
            if let OuterName::Text(name) = name {
                assert!(name.len() <= 255 && !name.contains(char::is_control));
            }
        }
    }
    let mut deframer = Deframer::new(MAX_REQUEST);
    deframer
        .buffer()
        .get_mut()
        .extend_from_slice(request.framed().as_bytes());
    assert_eq!(deframer.next(), Ok(Some(bytes.clone())));
    assert_eq!(deframer.held(), 0);
}

fn check_reply(service: Service, reply: &Reply, bytes: &Bytes) {
    assert!(bytes.len() <= MAX_REPLY);
    assert_eq!(reply.bytes(), bytes);
    assert_eq!(reply.framed().message(), &bytes[..]);
    match reply.kind() {
        ReplyKind::AsRep | ReplyKind::TgsRep => assert_eq!(service, Service::Kdc),
        ReplyKind::Kpasswd => assert_eq!(service, Service::Kpasswd),
        ReplyKind::KrbError => assert!(reply.error_code().is_some()),
    }
    // Exactly one message: neither more nor less of the same octets is one.
    let longer = [&bytes[..], &[0]].concat();
    assert!(Reply::parse(service, longer.into()).is_err());
    assert!(Reply::parse(service, bytes.slice(..bytes.len() - 1)).is_err());
}
