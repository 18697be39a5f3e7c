//! KDC-PROXY-MESSAGE ([MS-KKDCP] 2.2.2): the envelope of requests and replies over HTTPS.

use super::asn1::{GeneralString, IntegerFlags};
use super::framed::{Framed, LENGTH};
use der::{Decode, Encode, Sequence};

/// The identifier octets on the way to a message.
const SEQUENCE: u8 = 0x30;
const FIELD_0: u8 = 0xa0;
const OCTET_STRING: u8 = 0x04;

/// KDC-PROXY-MESSAGE, its fields named as in [MS-KKDCP] 2.2.2.
#[derive(Clone, Debug, Eq, PartialEq, Sequence)]
pub struct KdcProxyMessage<'a> {
    /// The Kerberos message behind its four-octet length; see [`KdcProxyMessage::message`].
    #[asn1(context_specific = "0", type = "OCTET STRING")]
    pub kerb_message: &'a [u8],
    /// The realm that the message is for: in requests, though some peers repeat it in replies.
    #[asn1(context_specific = "1", optional = "true")]
    pub target_domain: Option<GeneralString<'a>>,
    /// Flags for finding a domain controller ([MS-NRPC] 3.5.4.3.1).
    #[asn1(context_specific = "2", optional = "true")]
    pub dclocator_hint: Option<IntegerFlags>,
}

impl<'a> KdcProxyMessage<'a> {
    /// The Kerberos message without its length, and whether it came with one.
    ///
    /// [MS-KKDCP] 2.2.2 has the length; Kerberos.NET and Apple may leave it away. It is there if it
    /// is right: the first four octets of a bare message never tell the number of those that follow
    /// (RFC 4120's begin above 2^30, kpasswd's with a length in the upper two octets).
    pub fn message(&self) -> (&'a [u8], bool) {
        unframed(self.kerb_message)
    }
}

fn unframed(kerb_message: &[u8]) -> (&[u8], bool) {
    match kerb_message.split_first_chunk::<LENGTH>() {
        Some((length, rest)) if u32::try_from(rest.len()) == Ok(u32::from_be_bytes(*length)) => {
            (rest, true)
        }
        _ => (kerb_message, false),
    }
}

/// The body of a request: `framed`, the realm as the proxy knows it, and flags where configured.
pub fn encode_request(
    framed: &Framed,
    target_domain: &str,
    dclocator_hint: Option<u32>,
) -> Vec<u8> {
    let message = KdcProxyMessage {
        kerb_message: framed.as_bytes(),
        target_domain: Some(GeneralString::new(target_domain.as_bytes())),
        dclocator_hint: dclocator_hint.map(IntegerFlags),
    };
    encode(&message)
}

/// The encoding of any KDC-PROXY-MESSAGE.
pub fn encode(message: &KdcProxyMessage<'_>) -> Vec<u8> {
    // Fails on lengths beyond 32 bits only, which no message here has.
    message.to_der().unwrap_or_default()
}

/// Reads a body, which must be one KDC-PROXY-MESSAGE in DER and nothing else.
///
/// # Errors
/// Whatever else it is, with the place where it stops being one.
pub fn decode(body: &[u8]) -> Result<KdcProxyMessage<'_>, der::Error> {
    KdcProxyMessage::from_der(body)
}

/// The Kerberos message in the body of an answer, without its length. MIT krb5 reads answers generously, and so there are proxies whose
/// answers nobody else can read: fields beside the message are not looked at, lengths may take more octets than they need (X.690
/// 8.1.3.5), and white space may follow.
pub fn message_in_answer(body: &[u8]) -> Option<&[u8]> {
    let (envelope, rest) = split(body, SEQUENCE)?;
    let (field, _) = split(envelope, FIELD_0)?;
    let (kerb_message, _) = split(field, OCTET_STRING)?;
    rest.iter()
        .all(u8::is_ascii_whitespace)
        .then(|| unframed(kerb_message).0)
}

/// The value of the element of BER that `input` begins with, if it has this `identifier` and a length, and what follows it.
fn split(input: &[u8], identifier: u8) -> Option<(&[u8], &[u8])> {
    let ([first, length], rest) = input.split_first_chunk()?;
    let (length, rest) = match *length {
        short @ ..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0xfe => {
            let (octets, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let mut octets = octets.iter().map(|octet| usize::from(*octet));
            let length = octets.try_fold(0, |length: usize, octet| {
                length.checked_mul(0x100)?.checked_add(octet)
            });
            (length?, rest)
        }
        _ => return None,
    };
    let value = rest.split_at_checked(length)?;
    (*first == identifier).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::handmade::{field, integer, octets, sequence, string};

    #[test]
    fn a_request_is_encoded_as_the_specification_has_it() {
        let message = field(0, &octets(b"\0\0\0\x03abc"));
        let domain = field(1, &string("EXAMPLE.COM"));
        let framed = Framed::wrap(b"abc");
        let plain = encode_request(&framed, "EXAMPLE.COM", None);
        assert_eq!(plain, sequence(&[&message, &domain]));
        let hint = field(2, &integer(0x400));
        let hinted = encode_request(&framed, "EXAMPLE.COM", Some(0x400));
        assert_eq!(hinted, sequence(&[&message, &domain, &hint]));
    }

    #[test]
    fn a_reply_may_repeat_domain_and_hint() {
        let body = encode_request(&Framed::wrap(b"abc"), "EXAMPLE.COM", Some(u32::MAX));
        let decoded = decode(&body).unwrap();
        assert_eq!(decoded.target_domain.unwrap().as_bytes(), b"EXAMPLE.COM");
        assert_eq!(decoded.dclocator_hint, Some(IntegerFlags(u32::MAX)));
        let bare = sequence(&[&field(0, &octets(b"\0\0\0\x03abc"))]);
        assert_eq!(decode(&bare).unwrap().target_domain, None);
    }

    #[test]
    fn an_answer_is_read_as_mit_krb5_reads_it() {
        let message = field(0, &octets(b"\0\0\0\x03abc"));
        let answer = sequence(&[&message]);
        let odd = [
            answer.clone(),
            sequence(&[&field(0, &octets(b"abc"))]),
            [&answer[..], b"\r\n \t"].concat(),
            [&[0x30, 0x81, message.len() as u8], &message[..]].concat(),
            [&[0x30, 0x84, 0, 0, 0, message.len() as u8], &message[..]].concat(),
            sequence(&[&message, &field(1, &octets(b"\xff"))]),
            sequence(&[
                &message,
                &field(2, b"\x02\x09\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            ]),
            sequence(&[&message, &field(3, &integer(1))]),
            sequence(&[&message, b"\x05"]),
        ];
        for body in odd {
            assert_eq!(message_in_answer(&body), Some(&b"abc"[..]), "{body:x?}");
        }
        for end in 0..answer.len() {
            assert_eq!(message_in_answer(&answer[..end]), None, "{end}");
        }
        for none in [
            [&answer[..], b"<"].concat(),
            sequence(&[&field(1, &octets(b"abc"))]),
            field(0, &octets(b"abc")),
            [&[0x30, 0x80], &message[..], b"\0\0"].concat(),
            [&[0x30, 0xff], &[0xff; 127][..]].concat(),
        ] {
            assert_eq!(message_in_answer(&none), None, "{none:x?}");
        }
    }

    #[test]
    fn a_hint_is_a_signed_integer_and_may_be_of_any_length() {
        let hint = |value: &[u8]| {
            let integer = [&[0x02, value.len() as u8], value].concat();
            let body = sequence(&[&field(0, &octets(b"abc")), &field(2, &integer)]);
            decode(&body).map(|decoded| decoded.dclocator_hint.unwrap().0)
        };
        // As Windows and MIT krb5 write them, and so do we.
        for (flags, value) in [
            (0, &b"\x00"[..]),
            (0x80, b"\x00\x80"),
            (0x1000, b"\x10\x00"),
            (0x4000_0411, b"\x40\x00\x04\x11"),
            (0x8000_0000, b"\x80\x00\x00\x00"),
            (0xffff_ff80, b"\x80"),
            (u32::MAX, b"\xff"),
        ] {
            assert_eq!(hint(value), Ok(flags), "{flags:x}");
            let written = encode_request(&Framed::wrap(b"abc"), "A", Some(flags));
            assert!(written.ends_with(&[&[value.len() as u8], value].concat()));
        }
        // Longer ones: unsigned, and with flags that nobody knows yet.
        assert_eq!(hint(b"\x00\x80\x00\x10\x00"), Ok(0x8000_1000));
        assert_eq!(hint(b"\x01\x00\x00\x10\x80"), Ok(0x1080));
        assert_eq!(hint(&[[0x7f; 20], [0; 20]].concat()), Ok(0));
        for broken in [&b""[..], b"\x00\x01", b"\xff\x80"] {
            assert!(hint(broken).is_err(), "{broken:x?}");
        }
    }

    #[test]
    fn the_length_is_optional_and_must_be_right_to_be_one() {
        let message = |kerb_message: &[u8]| {
            let body = sequence(&[&field(0, &octets(kerb_message))]);
            let (message, had_length) = decode(&body).unwrap().message();
            (message.to_vec(), had_length)
        };
        assert_eq!(message(b"\0\0\0\x03abc"), (b"abc".to_vec(), true));
        assert_eq!(message(b"\0\0\0\0"), (Vec::new(), true));
        for bare in [
            &b"\0\0\0\x04abc"[..],
            b"\0\0\0\x02abc",
            b"\x6a\x03abc",
            b"abc",
            b"",
        ] {
            assert_eq!(message(bare), (bare.to_vec(), false));
        }
    }

    #[test]
    fn a_body_is_one_message_in_der() {
        let body = encode_request(&Framed::wrap(b"abc"), "EXAMPLE.COM", None);
        for end in 0..body.len() {
            assert!(decode(&body[..end]).is_err(), "{end}");
        }
        assert!(decode(&[&body[..], b"\0"].concat()).is_err());
        let kerb_message = field(0, &octets(b"abc"));
        for odd in [
            sequence(&[&kerb_message, &field(3, &integer(1))]),
            sequence(&[&kerb_message, &kerb_message]),
            sequence(&[&field(1, &string("A"))]),
            sequence(&[&kerb_message, &field(2, b"\x02\x02\x00\x01")]),
            [&[0x30, 0x81, kerb_message.len() as u8], &kerb_message[..]].concat(),
        ] {
            assert!(decode(&odd).is_err(), "{odd:x?}");
        }
    }
}
