//! Changing passwords (RFC 3244): the frame around AP-REQ and KRB-PRIV, and how a failure is told.

use std::time::SystemTime;

use der::{Encode as _, Tag};

use super::asn1::{Element, application, context, inside};
use super::krb_error::{self, encode_with_data};
use super::message::{NotKerberos, Service};
use super::principal::server_name;
use super::realm::Realm;
use super::ticket::{AP_REQ, TICKET, Ticket};

/// The version of the original protocol, in MIT's requests and in all replies here.
const VERSION_1: u16 = 1;
/// The version with a target's name (RFC 3244 2), in requests of Heimdal and Windows.
const VERSION_SET: u16 = 0xff80;
/// KRB_PRIV (RFC 4120 5.7.1).
pub(super) const KRB_PRIV: Tag = application(21);
/// aes256-cts-hmac-sha1-96 (RFC 3962 7).
const AES256: u8 = 18;
/// KRB5_KPASSWD_HARDERROR (RFC 3244 2): the one code after which no client asks for the password again.
const HARD_ERROR: [u8; 2] = [0, 2];
/// Most octets of a text to the user: a few lines, so that the reply fits any datagram.
const MAX_TEXT: usize = 512;

/// What stands in a frame, request or reply (RFC 3244 2).
pub(super) struct Frame<'a> {
    /// The length that the frame declares for itself, which may be less than what came.
    pub(super) length: usize,
    /// The AP-REQ or AP-REP; empty in an error reply.
    pub(super) ap: &'a [u8],
    /// The KRB-PRIV, or the KRB-ERROR of an error reply.
    pub(super) rest: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Total length, version, AP length; then both parts.
    pub(super) fn parse(input: &'a [u8]) -> Result<Self, NotKerberos> {
        const SHORT: NotKerberos = NotKerberos("a kpasswd message shorter than it says");
        let (&[l0, l1, v0, v1, a0, a1], _) = input.split_first_chunk().ok_or(SHORT)?;
        if ![VERSION_1, VERSION_SET].contains(&u16::from_be_bytes([v0, v1])) {
            return Err(NotKerberos("not a version of kpasswd that is known"));
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let parts = input.get(6..length).ok_or(SHORT)?;
        let ap_length = usize::from(u16::from_be_bytes([a0, a1]));
        let (ap, rest) = parts.split_at_checked(ap_length).ok_or(SHORT)?;
        Ok(Self { length, ap, rest })
    }
}

/// The ticket of a request's AP-REQ: its realm is where the request goes, as the realm of the
/// target is encrypted (RFC 3244 2).
pub(super) fn request_ticket(input: &[u8]) -> Result<Ticket<'_>, NotKerberos> {
    let frame = Frame::parse(input)?;
    inside(frame.rest, KRB_PRIV).ok_or(NotKerberos("no KRB-PRIV in the kpasswd request"))?;
    Ticket::of_ap_req(frame.ap).ok_or(NotKerberos(
        "no AP-REQ with a ticket in the kpasswd request",
    ))
}

/// Version, length of the AP-REQ, and the AP-REQ.
pub(super) fn version_and_ap_req(input: &[u8]) -> Option<&[u8]> {
    let frame = Frame::parse(input).ok()?;
    input.get(2..6 + frame.ap.len())
}

/// A request that nobody can have made and that changes no password: where a ticket, an authenticator and a KRB-PRIV are encrypted,
/// these octets stand, `chance` for one. A password server that lives says so in its answer.
pub(crate) fn undecryptable_request(realm: &Realm, chance: &[u8]) -> Vec<u8> {
    let number = |field, number| part(context(field), &[&part(Tag::Integer, &[&[number]])]);
    let encrypted = |field| {
        let cipher = part(context(2), &[&part(Tag::OctetString, &[chance])]);
        let data = part(Tag::Sequence, &[&number(0, AES256), &cipher]);
        part(context(field), &[&data])
    };
    let realm = realm.as_str().as_bytes();
    // Fails on lengths beyond 32 bits only.
    let server = server_name(Service::Kpasswd, realm).to_der();
    let ticket = [
        number(0, 5),
        part(context(1), &[&part(Tag::GeneralString, &[realm])]),
        part(context(2), &[&server.unwrap_or_default()]),
        encrypted(3),
    ];
    let ap_req = [
        number(0, 5),
        number(1, 14),
        part(context(2), &[&part(Tag::BitString, &[&[0; 5]])]),
        part(context(3), &[&message(TICKET, &ticket)]),
        encrypted(4),
    ];
    let krb_priv = [number(0, 5), number(1, 21), encrypted(3)];
    let [ap_req, krb_priv] = [message(AP_REQ, &ap_req), message(KRB_PRIV, &krb_priv)];
    let lengths = [6 + ap_req.len() + krb_priv.len(), ap_req.len()];
    let [all, first] = lengths.map(|length| u16::try_from(length).unwrap_or_default());
    let head = [all, VERSION_1, first].map(u16::to_be_bytes);
    [head.as_flattened(), &ap_req, &krb_priv].concat()
}

/// What `parts` are inside of `tag`, in DER.
fn part(tag: Tag, parts: &[&[u8]]) -> Vec<u8> {
    let (mut octets, value) = (Vec::new(), parts.concat());
    // It is shorter than DER allows.
    let _ = Element::new(tag, &value).encode(&mut octets);
    octets
}

fn message(tag: Tag, fields: &[Vec<u8>]) -> Vec<u8> {
    part(tag, &[&part(Tag::Sequence, &[&fields.concat()])])
}

/// A failure in kpasswd's own frame: AP-REP length 0, then a KRB-ERROR with `krb_code` whose e-data
/// is the result code 2 and `text`, which MIT's and Heimdal's kpasswd show (RFC 3244 2).
///
/// The version is 1 whatever the request's was: Heimdal doesn't read an error of version 0xff80. The
/// text is cut at 512 octets.
pub fn error_reply(realm: Option<&Realm>, krb_code: i32, text: &str, now: SystemTime) -> Vec<u8> {
    let mut e_data = HARD_ERROR.to_vec();
    e_data.extend_from_slice(cut(text, MAX_TEXT).as_bytes());
    loop {
        let detail = (None, Some(&e_data[..]));
        let error = encode_with_data(krb_code, realm, Service::Kpasswd, detail, now);
        let reply = frame_error(&error);
        if !misread_by_heimdal(&reply) {
            return reply;
        }
        e_data.push(b' ');
    }
}

/// Heimdal takes a reply whose second octet is the tag of KRB-ERROR, or that tag without its
/// constructed bit, for a bare KRB-ERROR.
fn misread_by_heimdal(reply: &[u8]) -> bool {
    matches!(reply.get(1), Some(0x7e | 0x5e))
}

fn frame_error(krb_error: &[u8]) -> Vec<u8> {
    let length = u16::try_from(krb_error.len().saturating_add(6)).unwrap_or(u16::MAX);
    let mut reply = Vec::with_capacity(usize::from(length));
    reply.extend_from_slice(&length.to_be_bytes());
    reply.extend_from_slice(&VERSION_1.to_be_bytes());
    reply.extend_from_slice(&[0, 0]);
    reply.extend_from_slice(krb_error);
    reply
}

/// At most `max` octets of `text`, whole characters.
fn cut(text: &str, max: usize) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= max).last().unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// True if a KRB-ERROR, which nothing authenticates, claims that the password was changed.
pub(super) fn claims_success(error: &krb_error::Received<'_>) -> bool {
    error.e_data.is_some_and(|data| data.starts_with(&[0, 0]))
}

#[cfg(test)]
mod tests {
    use super::super::{KerberosMessage, Kind, Reply, ReplyKind, Resend};
    use super::*;
    use crate::wire::tests::handmade::{ap_req, field, integer, kpasswd_frame, message, ticket};
    use std::time::Duration;

    fn parse(bytes: Vec<u8>) -> Result<KerberosMessage, NotKerberos> {
        KerberosMessage::parse(Service::Kpasswd, bytes.into())
    }

    fn changepw() -> Vec<u8> {
        ap_req("EXAMPLE.COM", &["kadmin", "changepw"])
    }

    #[test]
    fn a_change_goes_to_the_realm_of_its_ticket() {
        for version in [1, 0xff80] {
            let request = parse(kpasswd_frame(version, &changepw(), &message(21, &[]))).unwrap();
            assert_eq!(request.kind(), Kind::Kpasswd);
            assert_eq!(request.service(), Service::Kpasswd);
            assert_eq!(request.resend(), Resend::Once);
            assert_eq!(request.realm().as_str(), "EXAMPLE.COM");
            let expected = ticket("EXAMPLE.COM", &["kadmin", "changepw"]);
            assert_eq!(request.ticket(), Some(&expected[..]));
        }
    }

    #[test]
    fn what_cannot_be_decrypted_is_a_change_all_the_same() {
        let realm = Realm::parse("MÜNCHEN.LAB".as_bytes()).unwrap();
        let request = parse(undecryptable_request(&realm, &[7; 64])).unwrap();
        assert_eq!(request.realm().as_str(), "MÜNCHEN.LAB");
        assert_eq!(request.validate(), Ok(()));
        let other = parse(undecryptable_request(&realm, &[8; 64])).unwrap();
        assert_ne!(request.identity(), other.identity());
    }

    /// A copy from another address of the client's has another KRB-PRIV.
    #[test]
    fn a_change_is_known_by_its_ap_req() {
        let of = |version, ap: &[u8], address| {
            let frame = kpasswd_frame(version, ap, &message(21, &[address]));
            parse(frame).unwrap().identity().to_vec()
        };
        let (one, other) = (changepw(), [changepw(), vec![1]].concat());
        assert_eq!(of(1, &one, b"127.0.0.1"), of(1, &one, b"::1"));
        assert_ne!(of(1, &one, b""), of(1, &other, b""));
        assert_ne!(of(1, &one, b""), of(0xff80, &one, b""));
    }

    #[test]
    fn a_frame_must_hold_what_it_declares() {
        let whole = kpasswd_frame(1, &changepw(), &message(21, &[]));
        for end in 0..whole.len() {
            assert!(parse(whole[..end].to_vec()).is_err(), "{end}");
        }
        assert!(parse([&whole[..], b"after it"].concat()).is_ok());
        let mut short = whole;
        short[1] = 5;
        assert!(parse(short).is_err());
    }

    #[test]
    fn other_versions_and_other_parts_are_no_request() {
        let krb_priv = message(21, &[]);
        assert!(parse(kpasswd_frame(2, &changepw(), &krb_priv)).is_err());
        assert!(parse(kpasswd_frame(1, &changepw(), b"")).is_err());
        assert!(parse(kpasswd_frame(1, &message(15, &[]), &krb_priv)).is_err());
        let realmless = message(14, &[&field(3, &message(1, &[&field(0, &integer(5))]))]);
        assert!(parse(kpasswd_frame(1, &realmless, &krb_priv)).is_err());
    }

    #[test]
    fn a_failure_is_told_in_the_frame_as_a_hard_error() {
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        let text = "not changed: für dich";
        let bytes = error_reply(Some(&realm), 60, text, SystemTime::UNIX_EPOCH);
        assert_eq!(bytes[2..6], [0, 1, 0, 0]);
        let reply = Reply::parse(Service::Kpasswd, bytes.clone().into()).unwrap();
        assert_eq!(reply.kind(), ReplyKind::Kpasswd);
        assert_eq!(reply.error_code(), Some(60));
        let error = krb_error::Received::parse(&bytes[6..]).unwrap();
        let e_data = error.e_data.unwrap();
        assert_eq!(e_data[..2], [0, 2]);
        assert_eq!(std::str::from_utf8(&e_data[2..]).unwrap().trim_end(), text);
    }

    #[test]
    fn no_length_of_a_failure_reads_as_a_bare_krb_error() {
        let mut padded = 0;
        for length in 0..=MAX_TEXT {
            let text = "x".repeat(length);
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let bytes = error_reply(None, 60, &text, now);
            assert_ne!(bytes[1], 0x7e);
            assert_ne!(bytes[1], 0x5e);
            assert!(Reply::parse(Service::Kpasswd, bytes.clone().into()).is_ok());
            padded += usize::from(bytes.ends_with(b" "));
        }
        assert!(padded > 0);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "ä".repeat(MAX_TEXT);
        let bytes = error_reply(None, 60, &text, SystemTime::UNIX_EPOCH);
        let error = krb_error::Received::parse(&bytes[6..]).unwrap();
        let told = std::str::from_utf8(&error.e_data.unwrap()[2..]).unwrap();
        assert_eq!(told.trim_end(), "ä".repeat(MAX_TEXT / 2));
    }
}
