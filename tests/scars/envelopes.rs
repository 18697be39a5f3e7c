//! Bodies that another reader would take for something else, or write into its log as they are.

use crate::clients::{Http, One, post};
use crate::der::{dig, field, octets, sequence, text, tlv};
use crate::gateway::{Gateway, realm};
use crate::granting;
use crate::messages::{Kind, REALM, envelope, framed};

/// What stands in a forged line, should one of these get as far as a log.
const FORGED: &str = "forged";

/// Each of them with what is wrong with it.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let request = Kind::Plain.request(REALM).bytes;
    let (message, domain) = (field(0, &octets(&framed(&request))), field(1, &text(REALM)));
    let hint = |content: &[u8]| {
        let hint = field(2, &tlv(0x02, content));
        sequence(&[message.clone(), domain.clone(), hint])
    };
    let named = |name: &[u8]| sequence(&[message.clone(), field(1, &tlv(0x1b, name))]);
    let line = |between: &str| named(format!("A{between}time=0 client={FORGED}").as_bytes());
    let good = envelope(&framed(&request), Some(REALM));
    let content = dig(&good, &[0x30]).unwrap();
    let with = |head: &[u8], end: &[u8]| [head, content, end].concat();
    vec![
        ("a hint with a zero before it", hint(&[0, 1])),
        ("a hint of no octets", hint(&[])),
        ("a line feed in the realm", line("\n")),
        ("a carriage return in the realm", line("\r")),
        ("NUL in the realm", line("\0")),
        ("an escape in the realm", line("\x1b[2K")),
        ("DEL in the realm", line("\x7f")),
        ("a line separator in the realm", line("\u{2028}")),
        ("an overlong slash in the realm", named(b"A\xc0\xaf")),
        ("a realm of no octets", named(b"")),
        ("a realm of 256 octets", named(&[b'A'; 256])),
        ("a realm in another string type", {
            let utf8 = tlv(0x0c, REALM.as_bytes());
            sequence(&[message.clone(), field(1, &utf8)])
        }),
        ("no realm", sequence(std::slice::from_ref(&message))),
        ("two realms", {
            sequence(&[message.clone(), domain.clone(), domain.clone()])
        }),
        ("two messages", {
            sequence(&[message.clone(), message.clone(), domain.clone()])
        }),
        ("the realm before the message", {
            sequence(&[domain.clone(), message.clone()])
        }),
        ("a field that nobody knows", {
            let more = field(3, &octets(b""));
            sequence(&[message.clone(), domain.clone(), more])
        }),
        ("two messages in one", {
            envelope(&[framed(&request), framed(&request)].concat(), Some(REALM))
        }),
        ("a message of no octets", envelope(&[], Some(REALM))),
        ("a length of zero", envelope(&[0; 4], Some(REALM))),
        ("a length with the top bit", {
            let bit = [&[0x80, 0, 0, 0][..], &request].concat();
            envelope(&bit, Some(REALM))
        }),
        ("a message in pieces", {
            let pieces = [octets(&framed(&request)), vec![0; 2]].concat();
            let message = field(0, &[&[0x24, 0x80][..], &pieces].concat());
            sequence(&[message, domain.clone()])
        }),
        ("an indefinite length", with(&[0x30, 0x80], &[0, 0])),
        ("a length in more octets than it takes", {
            let length = (content.len() as u32).to_be_bytes();
            with(&[&[0x30, 0x84], &length[..]].concat(), b"")
        }),
        (
            "a length beyond the body",
            with(&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], b""),
        ),
        (
            "a length of nine octets",
            with(&[0x30, 0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0], b""),
        ),
        (
            "a set",
            with(
                &[&[0x31], &good[1..good.len() - content.len()]].concat(),
                b"",
            ),
        ),
        ("an octet more", [&good[..], b"\0"].concat()),
        ("the same twice", [&good[..], &good].concat()),
        ("an octet less", good[..good.len() - 1].to_vec()),
        ("nests of sequences", [0x30, 0x80].repeat(60_000)),
        ("no octets", Vec::new()),
    ]
}

/// Envelopes of MS-KKDCP that are read in two ways: kdcproxy took BER for DER, trailing octets and unknown fields.
///
/// Here a body is one KDC-PROXY-MESSAGE in DER that holds one request (`wire::proxied`), and what a log says of a client's
/// choice is quoted.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_can_be_read_in_two_ways_is_not_read() {
    let kdc = granting().start().await;
    let gateway = Gateway::start(&realm(REALM, &[kdc.address]));
    for (name, body) in bodies() {
        for http in Http::ALL {
            let response = post(&gateway, http, &body).await;
            // HTTP/2 has no body of no octets: it has none.
            assert!(
                [400, 411].contains(&response.status),
                "{name}: {response:?}"
            );
        }
    }
    assert_eq!(kdc.seen().asked(), (0, 0));
    let forging = format!("A\" time=0 client={FORGED} \\\"B\\");
    for (realm, inside, status) in [(&*forging, REALM, 404), (REALM, &forging, 403)] {
        let body = envelope(&framed(&Kind::Plain.request(inside).bytes), Some(realm));
        let response = post(&gateway, Http::One, &body).await;
        assert_eq!(response.status, status);
    }
    let mut one = One::plain(&gateway).await;
    let lines =
        format!("X-Forwarded-For: {FORGED}\r\nForwarded: for={FORGED}\r\nX: client={FORGED}");
    one.send(format!(
        "POST /client={FORGED} HTTP/1.1\r\nHost: g\r\n{lines}\r\n\r\n"
    ))
    .await;
    assert_eq!(one.hear().await.status, 404);
    gateway.process.wait_for_count("status=404", 2);
    for line in gateway.process.log().lines() {
        assert!(!unquoted(line).contains("client=forged"), "{line}");
    }
}

/// What of a line stands outside of quotation marks. They begin after "=" only: elsewhere a client may have put them.
fn unquoted(line: &str) -> String {
    let (mut quoted, mut escaped, mut before) = (false, false, ' ');
    let outside = line.chars().filter(|character| {
        let outside = !quoted;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if quoted || before == '=' => quoted = !quoted,
            _ => {}
        }
        before = *character;
        outside
    });
    outside.collect()
}
