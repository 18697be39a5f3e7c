//! Realms that a client chooses so that a request goes where it likes.

use crate::clients::{Http, One, post};
use crate::gateway::{Gateway, realm};
use crate::messages::{Kind, envelope, framed};
use crate::support::nameserver::{NameServer, Record};
use crate::support::netns::isolated;
use crate::support::trap::Trap;
use crate::{granting, within};

/// The attacker's host.
const EVIL: u8 = 66;
const LISTED: &str = "LISTED.TEST";
const FOUND: &str = "FOUND.TEST";

/// Realms that are spelled like hosts, addresses, patterns and parts of those that are served.
fn realms() -> Vec<String> {
    let realms = [
        "EVIL.TEST",
        "kdc.evil.test",
        "kdc.evil.test.",
        "kdc.evil.test:88",
        "127.0.0.66",
        "127.0.0.66:88",
        "2130706498",
        "0x7f000042",
        "[::ffff:127.0.0.66]:88",
        "::ffff:127.0.0.66",
        "http://127.0.0.66/",
        "tcp/127.0.0.66:88",
        "user@127.0.0.66",
        "evil.test/../found.test",
        "FOUND.TEST.EVIL.TEST",
        "EVIL.FOUND.TEST",
        "_kerberos._tcp.evil.test",
        "FOUND.TEST.",
        ".FOUND.TEST",
        "FOUND.TEST ",
        "FOUND TEST",
        "*.TEST",
        "*",
        ".",
        "..",
        "-",
        "%",
        "$(evil.test)",
        "localhost",
    ];
    let labels = ["e".repeat(63), "v".repeat(63), "i".repeat(63)].join(".");
    let long = format!("{labels}.{}", "l".repeat(63));
    assert_eq!(long.len(), 255);
    let realms = realms.map(str::to_owned).into_iter();
    realms.chain([long, "x".repeat(255)]).collect()
}

/// The name server knows where all of them are.
fn evil_names() -> NameServer {
    let names = NameServer::start();
    let evil = Record::A([127, 0, 0, EVIL].into());
    for realm in realms() {
        names.says(&realm, 3600, std::slice::from_ref(&evil));
        for service in ["_kerberos._tcp", "_kerberos._udp", "_kpasswd._tcp"] {
            let srv = Record::Srv(0, 88, "kdc.evil.test");
            names.says(&format!("{service}.{realm}"), 3600, &[srv]);
        }
    }
    let srv = Record::Srv(0, 88, "kdc.found.test");
    names.says("_kerberos._tcp.found.test", 3600, &[srv]);
    names.says("kdc.found.test", 3600, &[Record::A([127, 0, 0, 77].into())]);
    names
}

/// What the gateway says to a request for `inside` that is posted for `domain`.
async fn status(gateway: &Gateway, kind: Kind, domain: &str, inside: &str) -> u16 {
    let body = envelope(&framed(&kind.request(inside).bytes), Some(domain));
    post(gateway, Http::One, &body).await.status
}

async fn nobody_is_asked_for_a_realm_that_only_a_client_knows() {
    let names = evil_names();
    let traps = [80, 88, 443, 464].map(|port| Trap::at(EVIL, port));
    let kdc = granting().start_at("127.0.0.77:88").await;
    // All is looked up that may be, and nothing is refused for being on loopback.
    let defaults = "[defaults]\ndiscover-networks = [\"127.0.0.0/8\"]\n";
    let found = format!("[realms.\"{FOUND}\"]\ndiscover = true\nserve-other-realms = true\n");
    let realms_of_ours = [defaults, &realm(LISTED, &[kdc.address]), &found].concat();
    let gateway = Gateway::start(&realms_of_ours);
    for own in [LISTED, FOUND] {
        assert_eq!(status(&gateway, Kind::Plain, own, own).await, 200);
    }
    let before = names.queries();
    let served = kdc.seen().tcp.len();
    for realm in realms() {
        for kind in [Kind::Plain, Kind::Change] {
            assert_eq!(status(&gateway, kind, &realm, &realm).await, 404, "{realm}");
            assert_eq!(status(&gateway, kind, &realm, LISTED).await, 404, "{realm}");
        }
        // The realm inside leads nowhere else, even where it is served.
        let inside = status(&gateway, Kind::Plain, FOUND, &realm).await;
        assert_eq!(inside, 200, "{realm}");
    }
    let mut host = One::plain(&gateway).await;
    let lines = "Host: kdc.evil.test:88\r\nX-Forwarded-Host: kdc.evil.test\r\n";
    let body = envelope(&framed(&Kind::Plain.request(LISTED).bytes), Some(LISTED));
    assert_eq!(host.post(lines, &body).await.status, 200);
    assert_eq!(names.queries(), before, "whatever clients name");
    assert_eq!(kdc.seen().tcp.len(), served + realms().len() + 1);
    for trap in &traps {
        trap.is_untouched();
    }
}

/// CVE-2025-59088: kdcproxy looked up the SRV records of whatever realm a client named, and sent the request to whatever
/// they named, so that anybody could have it connect to any host and port.
///
/// Here the realms of the configuration are looked up, by `daemon::gateway::discovery`, on nobody's request.
#[test]
fn a_realm_of_an_attacker_leads_nowhere() {
    isolated(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        let body = nobody_is_asked_for_a_realm_that_only_a_client_knows();
        runtime.unwrap().block_on(within(body));
    });
}
