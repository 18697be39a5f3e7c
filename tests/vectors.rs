//! What real clients and KDCs sent, recorded in `tests/vectors`, is read as what it is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]

#[path = "vectors/decoders.rs"]
mod decoders;

use bytes::Bytes;
use loopkdc::wire::Kind::{AsReq, Kpasswd, TgsReq};
use loopkdc::wire::Resend::{Harmless, Once};
use loopkdc::wire::{KerberosMessage, Kind, Reply, ReplyKind, Resend, Service, kkdcp};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const REQUESTS: &[(&str, Kind, Resend)] = &[
    ("gokrb5-kpasswd", Kpasswd, Once),
    ("gokrb5-plain", AsReq, Harmless),
    ("gokrb5-tgs", TgsReq, Harmless),
    ("gokrb5-timestamp", AsReq, Once),
    ("heimdal-fast", AsReq, Once),
    ("heimdal-kpasswd", Kpasswd, Once),
    ("heimdal-kpasswd-again", Kpasswd, Once),
    ("heimdal-kpasswd-policy", Kpasswd, Once),
    ("heimdal-options", AsReq, Harmless),
    ("heimdal-plain", AsReq, Harmless),
    ("heimdal-s4u2self", TgsReq, Harmless),
    ("heimdal-tgs", TgsReq, Harmless),
    ("heimdal-timestamp", AsReq, Once),
    ("impacket-plain", AsReq, Harmless),
    ("impacket-tgs", TgsReq, Harmless),
    ("impacket-timestamp", AsReq, Once),
    ("java-plain", AsReq, Harmless),
    ("java-tgs", TgsReq, Harmless),
    ("java-timestamp", AsReq, Once),
    ("made-kpasswd-modified", Kpasswd, Once),
    ("made-windows-plain", AsReq, Harmless),
    ("made-windows-tgs", TgsReq, Harmless),
    ("mit-fast-1", AsReq, Once),
    ("mit-fast-2", AsReq, Once),
    ("mit-fast-3", AsReq, Once),
    ("mit-fast-tgs", TgsReq, Harmless),
    ("mit-kpasswd", Kpasswd, Once),
    ("mit-kpasswd-policy", Kpasswd, Once),
    ("mit-no-preauth", AsReq, Harmless),
    ("mit-options", AsReq, Harmless),
    ("mit-plain", AsReq, Harmless),
    ("mit-renew", TgsReq, Harmless),
    ("mit-request-pac", AsReq, Harmless),
    ("mit-s4u2self", TgsReq, Harmless),
    ("mit-s4u2self-realm", AsReq, Harmless),
    ("mit-spake-response", AsReq, Once),
    ("mit-spake-support", AsReq, Once),
    ("mit-tgs", TgsReq, Harmless),
    ("mit-timestamp", AsReq, Once),
    ("mit-u2u", TgsReq, Harmless),
    ("mit-unknown-client", AsReq, Harmless),
    ("mit-wrong-password", AsReq, Once),
];

const REPLIES: &[(&str, ReplyKind, Option<i32>)] = &[
    ("gokrb5-kpasswd", ReplyKind::Kpasswd, None),
    ("gokrb5-plain", ReplyKind::KrbError, Some(25)),
    ("gokrb5-tgs", ReplyKind::TgsRep, None),
    ("gokrb5-timestamp", ReplyKind::AsRep, None),
    ("heimdal-kpasswd", ReplyKind::Kpasswd, None),
    ("heimdal-kpasswd-again", ReplyKind::Kpasswd, None),
    ("heimdal-kpasswd-policy", ReplyKind::Kpasswd, None),
    ("heimdal-options", ReplyKind::KrbError, Some(6)),
    ("heimdal-plain", ReplyKind::KrbError, Some(25)),
    ("heimdal-s4u2self", ReplyKind::TgsRep, None),
    ("heimdal-tgs", ReplyKind::TgsRep, None),
    ("heimdal-timestamp", ReplyKind::AsRep, None),
    ("impacket-plain", ReplyKind::KrbError, Some(25)),
    ("impacket-tgs", ReplyKind::KrbError, Some(50)),
    ("impacket-timestamp", ReplyKind::AsRep, None),
    ("java-plain", ReplyKind::KrbError, Some(25)),
    ("java-tgs", ReplyKind::TgsRep, None),
    ("java-timestamp", ReplyKind::AsRep, None),
    ("made-kpasswd-modified", ReplyKind::Kpasswd, Some(60)),
    ("made-windows-plain", ReplyKind::AsRep, None),
    ("made-windows-tgs", ReplyKind::KrbError, Some(31)),
    ("mit-fast-1", ReplyKind::KrbError, Some(25)),
    ("mit-fast-2", ReplyKind::KrbError, Some(91)),
    ("mit-fast-3", ReplyKind::AsRep, None),
    ("mit-fast-tgs", ReplyKind::TgsRep, None),
    ("mit-kpasswd", ReplyKind::Kpasswd, None),
    ("mit-kpasswd-policy", ReplyKind::Kpasswd, None),
    ("mit-no-preauth", ReplyKind::AsRep, None),
    ("mit-options", ReplyKind::KrbError, Some(6)),
    ("mit-plain", ReplyKind::KrbError, Some(25)),
    ("mit-renew", ReplyKind::TgsRep, None),
    ("mit-request-pac", ReplyKind::AsRep, None),
    ("mit-s4u2self", ReplyKind::TgsRep, None),
    ("mit-s4u2self-realm", ReplyKind::KrbError, Some(25)),
    ("mit-spake-response", ReplyKind::AsRep, None),
    ("mit-spake-support", ReplyKind::KrbError, Some(91)),
    ("mit-tgs", ReplyKind::TgsRep, None),
    ("mit-timestamp", ReplyKind::AsRep, None),
    ("mit-u2u", ReplyKind::KrbError, Some(60)),
    ("mit-unknown-client", ReplyKind::KrbError, Some(6)),
    ("mit-wrong-password", ReplyKind::KrbError, Some(24)),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn read(name: &str, way: &str) -> Bytes {
    let path = folder().join(format!("{name}.{way}"));
    fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .into()
}

fn service(name: &str) -> Service {
    if name.contains("kpasswd") {
        Service::Kpasswd
    } else {
        Service::Kdc
    }
}

/// The names of all recordings of one way: a file that no table knows would test nothing.
fn recorded(way: &str) -> BTreeSet<String> {
    let files = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == way));
    files
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_recording_is_in_a_table() {
    let requests: BTreeSet<_> = REQUESTS.iter().map(|row| row.0.to_owned()).collect();
    let replies: BTreeSet<_> = REPLIES.iter().map(|row| row.0.to_owned()).collect();
    assert!(!requests.is_empty() && !replies.is_empty());
    assert_eq!(recorded("request"), requests);
    assert_eq!(recorded("reply"), replies);
}

#[test]
fn requests_are_read_as_what_they_are() {
    for (name, kind, resend) in REQUESTS {
        let bytes = read(name, "request");
        let request = KerberosMessage::parse(service(name), bytes.clone()).expect(name);
        assert_eq!(request.kind(), *kind, "{name}");
        assert_eq!(request.service(), service(name), "{name}");
        assert_eq!(request.resend(), *resend, "{name}");
        assert_eq!(request.realm().as_str(), "EXAMPLE.COM", "{name}");
        assert_eq!(request.ticket().is_some(), *kind == Kpasswd, "{name}");
        assert_eq!(request.bytes(), &bytes, "{name}");
    }
}

/// A gateway relays them ([MS-KKDCP] 5.1).
#[test]
fn requests_are_valid_as_a_whole() {
    for (name, ..) in REQUESTS {
        let request = KerberosMessage::parse(service(name), read(name, "request")).expect(name);
        assert_eq!(request.validate(), Ok(()), "{name}");
    }
}

#[test]
fn an_as_req_says_whom_it_is_from_and_no_other_request_does() {
    for (name, kind, _) in REQUESTS {
        let request = KerberosMessage::parse(service(name), read(name, "request")).expect(name);
        let expected = match (kind, *name) {
            (TgsReq | Kpasswd, _) => None,
            (AsReq, "heimdal-fast") => Some("WELLKNOWN/ANONYMOUS"),
            (AsReq, "mit-no-preauth" | "mit-request-pac" | "made-windows-plain") => Some("nora"),
            (AsReq, "mit-options" | "heimdal-options") => Some(r"nora\@corp.example"),
            (AsReq, "mit-unknown-client") => Some("nobody"),
            (AsReq, _) => Some("alice"),
        };
        assert_eq!(request.client_name().as_deref(), expected, "{name}");
    }
}

#[test]
fn replies_are_read_as_what_they_are() {
    for (name, kind, error_code) in REPLIES {
        let reply = Reply::parse(service(name), read(name, "reply")).expect(name);
        assert_eq!(reply.kind(), *kind, "{name}");
        assert_eq!(reply.error_code(), *error_code, "{name}");
    }
}

#[test]
fn no_message_is_taken_for_one_of_the_other_service_or_way() {
    for name in recorded("request") {
        let other = match service(&name) {
            Service::Kdc => Service::Kpasswd,
            Service::Kpasswd => Service::Kdc,
        };
        assert!(
            KerberosMessage::parse(other, read(&name, "request")).is_err(),
            "{name}"
        );
        assert!(
            Reply::parse(service(&name), read(&name, "request")).is_err(),
            "{name}"
        );
    }
    for name in recorded("reply") {
        assert!(
            KerberosMessage::parse(service(&name), read(&name, "reply")).is_err(),
            "{name}"
        );
    }
}

/// Heimdal's second try, as version 1: other bytes for the same change, made with the same ticket.
#[test]
fn a_change_asked_again_is_known_by_its_ticket() {
    let [first, again] = ["heimdal-kpasswd-policy", "heimdal-kpasswd-again"]
        .map(|name| KerberosMessage::parse(Service::Kpasswd, read(name, "request")).unwrap());
    assert_ne!(first.bytes(), again.bytes());
    assert_eq!(first.ticket(), again.ticket());
    assert_eq!(
        [first, again].map(|request| request.bytes()[2..4].to_vec()),
        [[0xff, 0x80], [0, 1]]
    );
}

#[test]
fn an_envelope_is_read_as_what_it_is() {
    let body = read("mit-kkdcp", "envelope");
    let envelope = kkdcp::decode(&body).unwrap();
    assert_eq!(envelope.target_domain.unwrap().as_bytes(), b"EXAMPLE.COM");
    assert_eq!(envelope.dclocator_hint, None);
    let (message, had_length) = envelope.message();
    assert!(had_length);
    let request = KerberosMessage::parse(Service::Kdc, message.to_vec().into()).unwrap();
    assert_eq!(request.kind(), AsReq);
    // What we send for the same message is what MIT's own client sends.
    assert_eq!(
        kkdcp::encode_request(&request.framed(), "EXAMPLE.COM", None),
        body
    );
}
