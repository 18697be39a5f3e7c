//! What holds for any octets: no parse panics, no split of a stream matters, and what was written
//! is read back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may end its own process"
)]
#![allow(unreachable_pub, reason = "what is shared with the fuzz targets")]

#[path = "fuzz/src/answer.rs"]
mod answer;
#[path = "fuzz/src/configuration.rs"]
mod configuration;

use bytes::Bytes;
use loopkdc::config::{Config, Sources};
use loopkdc::operate::import;
use loopkdc::wire::{
    Deframer, Framed, GeneralString, IntegerFlags, KdcProxyMessage, KerberosMessage, MAX_REPLY,
    MAX_REQUEST, Realm, Reply, Service, kkdcp, kpasswd, krb_error,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// All recorded messages.
fn recorded() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let kinds = ["request", "reply", "envelope"];
    let messages = files.filter(|path| {
        kinds
            .iter()
            .any(|kind| path.extension() == Some(kind.as_ref()))
    });
    let messages: Vec<_> = messages.map(|path| fs::read(path).unwrap()).collect();
    assert!(!messages.is_empty());
    messages
}

/// A recorded message with some octets changed, and then perhaps cut.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..6);
    (select(recorded()), changes, any::<Option<Index>>()).prop_map(|(mut message, changes, cut)| {
        for (at, octet) in changes {
            let at = at.index(message.len());
            message[at] = octet;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        message
    })
}

/// What servers answer, more or less: any status, any head, and any body.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let heads = [
        "content-type: application/kerberos",
        "content-type: text/html",
        "transfer-encoding: chunked",
        "content-length: 7",
        "location: https://portal.example/",
        "www-authenticate: Negotiate",
        "www-authenticate: Bearer",
    ];
    let bodies = prop_oneof![
        mutated(),
        mutated().prop_map(|body| kkdcp::encode_request(&Framed::wrap(&body), "A", None))
    ];
    let status = select(vec![
        200_u16, 204, 302, 401, 403, 404, 413, 500, 502, 503, 511, 999,
    ]);
    (status, vec(select(heads.to_vec()), 0..3), bodies).prop_map(|(status, heads, body)| {
        let heads: String = heads.iter().map(|head| format!("{head}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} So be it\r\n{heads}\r\n");
        [head.as_bytes(), &body].concat()
    })
}

/// The configurations that are shipped with every key, with some characters changed.
fn configurations() -> impl Strategy<Value = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let shipped = ["config.example.toml", "gateway.example.toml"]
        .map(|name| fs::read_to_string(folder.join(name)).unwrap());
    let changes = vec((any::<Index>(), any::<char>()), 0..4);
    (select(shipped.to_vec()), changes).prop_map(|(text, changes)| {
        let mut text: Vec<_> = text.chars().collect();
        for (at, character) in changes {
            let at = at.index(text.len());
            text[at] = character;
        }
        text.into_iter().collect()
    })
}

/// What would be a line of ours, if what stands in a file could begin one.
const FORGED: [&str; 5] = [
    "\nloopkdc: hint: FORGED\n",
    "\\nloopkdc: hint: FORGED",
    "&#10;loopkdc: hint: FORGED",
    "\rloopkdc: hint: FORGED\u{2028}",
    "\u{1b}[2J\u{9b}1A\u{202e}FORGED",
];
/// What the files of others are made of.
const FOREIGN: [&str; 34] = [
    "\n",
    "\"",
    " = ",
    "}\n",
    "[realms]\nEXAMPLE.COM = {\n",
    "kdc = ",
    "http_anchors = FILE:",
    "http_anchors = \"DIR:",
    "kpasswd_server = ",
    "https://p/",
    "kkdcp://q",
    "include /nonexistent/",
    "[HKEY_LOCAL_MACHINE\\Kerberos\\KdcProxy\\ProxyServers]\n",
    "[HKEY_CURRENT_USER\\",
    "]\n",
    "\"example.com\"=\"",
    "\"KdcProxyServer_Enabled\"=dword:00000000",
    "ForceProxy : 1",
    "=hex(1):",
    "3c,00,68,00,74,00,74,00,70,00,73,00,20,00,70,00,\\\r\n  20,00,2f,00,3e,00,0a,00,00,00\n",
    "kdc = kkdcp://q\n",
    "example.com ",
    "<https ",
    "p.example.com:443:KdcProxy",
    " />",
    "&lt;https q /&gt;",
    "<!--",
    "-->",
    "\n# ",
    "\nkdcproxyname:s:",
    "<dict><key>preferredKDCs</key>",
    "<string>",
    "<key>Realm</key>",
    "</dict>",
];

/// How a signed profile begins.
const SIGNED: &[u8] = b"\x30\x82\x01\0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// A file of somebody else's, in any encoding.
fn foreign_files() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        6 => select(FOREIGN.to_vec()).prop_map(str::to_owned),
        2 => select(FORGED.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    let octets = prop_oneof![
        3 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..40),
        1 => select(vec![&b"PReg\x01\0\0\0"[..], b"bplist00", SIGNED]).prop_map(<[u8]>::to_vec),
    ];
    (octets, vec(words, 0..40), 0..3).prop_map(|(octets, words, encoding)| {
        let text = words.concat();
        let text: Vec<u8> = match encoding {
            0 => text.into_bytes(),
            1 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        };
        [octets, text].concat()
    })
}

/// Whoever wrote the file, each line that `loopkdc import` prints begins as it means it to, and all of it is seen.
fn check_imported(octets: &[u8], realm: Option<&str>) {
    let (warnings, configuration) = import::imported(Path::new("/f"), octets, realm);
    for warning in warnings {
        let message = warning.message("warning");
        let begins = |line: &str| {
            ["loopkdc: warning: ", "loopkdc: hint: have all such lines"]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        assert!(message.split('\n').all(begins), "{message:?}");
        assert!(
            !message.replace('\n', "").contains(char::is_control),
            "{message:?}"
        );
    }
    match configuration {
        Ok(text) => {
            let begins = [
                "# ",
                "[defaults]",
                "direct = ",
                "[realms.\"",
                "proxies = [",
                "primary-proxies = [",
                "kpasswd-proxies = [",
                "    \"https://",
                "]",
            ];
            let is_ours =
                |line: &str| line.is_empty() || begins.iter().any(|begin| line.starts_with(begin));
            assert!(text.split('\n').all(is_ours), "{text:?}");
            assert!(
                !text.replace('\n', "").contains(char::is_control),
                "{text:?}"
            );
            Config::parse(Path::new("/f.toml"), &text, &Sources::default()).unwrap();
        }
        Err(failure) => assert!(!failure.to_string().contains("FORGED"), "{failure}"),
    }
}

fn services() -> impl Strategy<Value = Service> {
    select(vec![Service::Kdc, Service::Kpasswd])
}

/// What a parse promises for whatever it accepts.
fn check(service: Service, bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    if let Ok(request) = KerberosMessage::parse(service, bytes.clone()) {
        assert!(bytes.len() <= MAX_REQUEST);
        assert_eq!(request.service(), service);
        assert_eq!(request.bytes(), &bytes);
        assert_eq!(request.framed().message(), &bytes[..]);
        let realm = request.realm();
        let read = Realm::parse(realm.as_str().as_bytes()).map(|read| read.key());
        assert!(realm.key().as_str().is_empty() || read == Ok(realm.key()));
        assert_eq!(request.ticket().is_some(), service == Service::Kpasswd);
        assert!(Reply::parse(service, bytes.clone()).is_err());
    }
    if let Ok(reply) = Reply::parse(service, bytes.clone()) {
        assert!(bytes.len() <= MAX_REPLY);
        assert_eq!(reply.bytes(), &bytes);
        let trailed = [&bytes[..], b"\0"].concat();
        assert!(Reply::parse(service, trailed.into()).is_err());
    }
    if let Ok(message) = kkdcp::decode(&bytes) {
        assert_eq!(kkdcp::encode(&message), bytes);
    }
}

fn whole_messages(deframer: &mut Deframer) -> Vec<Bytes> {
    std::iter::from_fn(|| deframer.next().unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_octets_are_read_without_panic(service in services(), bytes in vec(any::<u8>(), 0..300)) {
        check(service, bytes);
    }

    #[test]
    fn mutated_messages_are_read_without_panic(service in services(), bytes in mutated()) {
        check(service, bytes);
    }

    #[test]
    fn any_answer_is_a_reply_or_a_fault(octets in prop_oneof![mutated(), answers()]) {
        answer::check(&octets);
    }

    #[test]
    fn any_configuration_means_something_or_is_an_error_that_points_at_it(text in configurations()) {
        configuration::check(text.as_bytes());
    }

    #[test]
    fn no_file_that_is_imported_forges_a_line(octets in prop_oneof![foreign_files(), vec(any::<u8>(), 0..300)], realm in proptest::option::of("[A-Z.*]{1,9}")) {
        check_imported(&octets, realm.as_deref());
    }

    #[test]
    fn what_is_put_into_an_envelope_comes_out(
        kerb_message in vec(any::<u8>(), 0..400),
        domain in proptest::option::of(vec(any::<u8>(), 0..300)),
        dclocator_hint in any::<Option<u32>>(),
    ) {
        let message = KdcProxyMessage {
            kerb_message: &kerb_message,
            target_domain: domain.as_deref().map(GeneralString::new),
            dclocator_hint: dclocator_hint.map(IntegerFlags),
        };
        let body = kkdcp::encode(&message);
        prop_assert_eq!(kkdcp::decode(&body).unwrap(), message);
    }

    #[test]
    fn a_hint_of_any_length_is_no_reason_to_drop_an_envelope(number in vec(any::<u8>(), 1..40)) {
        let tagged = |tag: u8, octets: &[u8]| [&[tag, octets.len() as u8], octets].concat();
        let message = tagged(0xa0, &tagged(4, b"abc"));
        let body = tagged(0x30, &[message, tagged(0xa2, &tagged(2, &number))].concat());
        let is_minimal = match &number[..] {
            [0, second, ..] => second & 0x80 != 0,
            [0xff, second, ..] => second & 0x80 == 0,
            _ => true,
        };
        let sign = if number[0] & 0x80 == 0 { 0 } else { 0xff };
        let flags = [&[sign; 4], &number[..]].concat();
        let flags = IntegerFlags(u32::from_be_bytes(*flags.last_chunk().unwrap()));
        let hint = kkdcp::decode(&body).ok().and_then(|envelope| envelope.dclocator_hint);
        prop_assert_eq!(hint, is_minimal.then_some(flags));
    }

    #[test]
    fn a_framed_message_comes_out_of_its_envelope(message in vec(any::<u8>(), 0..400)) {
        let body = kkdcp::encode_request(&Framed::wrap(&message), "EXAMPLE.COM", None);
        let (out, had_length) = kkdcp::decode(&body).unwrap().message();
        prop_assert_eq!(out, &message[..]);
        prop_assert!(had_length);
    }

    #[test]
    fn no_message_is_taken_for_its_own_length(message in select(recorded())) {
        let bare = KdcProxyMessage {
            kerb_message: &message,
            target_domain: None,
            dclocator_hint: None,
        };
        prop_assert_eq!(bare.message(), (&message[..], false));
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_messages(
        messages in vec(vec(any::<u8>(), 0..90), 0..6),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let stream: Vec<u8> = messages.iter().flat_map(|m| Framed::wrap(m).as_bytes().to_vec()).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut deframer = Deframer::new(90);
        let mut out = Vec::new();
        for read in cuts.windows(2) {
            deframer.buffer().get_mut().extend_from_slice(&stream[read[0]..read[1]]);
            out.extend(whole_messages(&mut deframer));
        }
        prop_assert_eq!(out, messages);
        prop_assert_eq!(deframer.held(), 0);
    }

    #[test]
    fn errors_of_ours_are_replies(
        code in any::<i32>(),
        realm in proptest::option::of("[ -~]{1,255}"),
        text in ".{0,600}",
        seconds in any::<u32>(),
        service in services(),
    ) {
        let realm = realm.map(|realm| Realm::parse(realm.as_bytes()).unwrap());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
        let error = krb_error::encode(code, realm.as_ref(), service, Some(&text), now);
        let reply = Reply::parse(service, error.into()).unwrap();
        prop_assert_eq!(reply.error_code(), Some(code));
        let framed = kpasswd::error_reply(realm.as_ref(), code, &text, now);
        let low = framed[1];
        prop_assert!(low != 0x7e && low != 0x5e);
        let reply = Reply::parse(Service::Kpasswd, framed.into()).unwrap();
        prop_assert_eq!(reply.error_code(), Some(code));
    }
}
