//! Whether a request is valid Kerberos as a whole ([MS-KKDCP] 3.2.5.1, 5.1), and not its outline alone, which is all that
//! [`KerberosMessage::parse`] reads.
//!
//! RFC 4120's ASN.1 stands here as data: each element has the type that it says, and the fields of a SEQUENCE come once each,
//! in order, and none beside them. No type holds itself, so the walk is as deep as they are; it allocates nothing. Encrypted
//! parts and the values of PA-DATA are octets, but for those that a KDC reads before it knows who asks.

use std::fmt;

use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Tag};

use super::asn1::{application, elements, split_field};
use super::kpasswd::Frame;
use super::message::{KerberosMessage, Kind, read_kdc_req};
use super::padata::{PA_FX_FAST, PA_TGS_REQ, armor_ap_req, padata};

/// Where a request is not valid, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Invalid {
    /// The innermost field that has a name in RFC 4120 or RFC 6113.
    field: &'static str,
    rule: &'static str,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}

/// What an element must be.
enum Shape {
    Primitive(fn(AnyRef<'_>) -> bool),
    /// An INTEGER with this value.
    Exactly(i32),
    SequenceOf(&'static Self),
    Sequence(&'static [Field]),
    /// A SEQUENCE that may have more fields after these, in versions to come.
    Extensible(&'static [Field]),
    /// `[APPLICATION n]` around a SEQUENCE.
    Application(u32, &'static [Field]),
}

const INT32: Shape = Shape::Primitive(|element| element.decode_as::<i32>().is_ok());

/// UInt32 (RFC 4120 5.2.4), which Windows and MIT krb5 may write as a signed number.
const UINT32: Shape = Shape::Primitive(|element| {
    element.decode_as::<u32>().is_ok() || element.decode_as::<i32>().is_ok()
});

/// KerberosFlags (RFC 4120 5.2.8), of any length: old clients send fewer than 32.
const FLAGS: Shape = Shape::Primitive(|element| element.decode_as::<BitStringRef<'_>>().is_ok());

const OCTETS: Shape = Shape::Primitive(|element| element.header().tag() == Tag::OctetString);

/// KerberosString and Realm (RFC 4120 5.2.1).
const STRING: Shape = Shape::Primitive(|element| element.header().tag() == Tag::GeneralString);

/// KerberosTime (RFC 4120 5.2.3): without fractions of a second, in UTC. Of any year: `der` knows those since 1970 alone, and
/// the epoch of Windows is 1601.
const TIME: Shape = Shape::Primitive(|element| {
    let is_time = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit) && digits.len() == 14;
    element.header().tag() == Tag::GeneralizedTime
        && element.value().strip_suffix(b"Z").is_some_and(is_time)
});

/// A field of a SEQUENCE.
struct Field {
    number: u32,
    name: &'static str,
    is_optional: bool,
    shape: Shape,
}

const fn required(number: u32, name: &'static str, shape: Shape) -> Field {
    Field {
        number,
        name,
        is_optional: false,
        shape,
    }
}

const fn optional(number: u32, name: &'static str, shape: Shape) -> Field {
    Field {
        is_optional: true,
        ..required(number, name, shape)
    }
}

/// RFC 4120 5.2.2.
const PRINCIPAL_NAME: Shape = Shape::Sequence(&[
    required(0, "name-type", INT32),
    required(1, "name-string", Shape::SequenceOf(&STRING)),
]);

/// RFC 4120 5.2.5.
const HOST_ADDRESS: Shape = Shape::Sequence(&[
    required(0, "addr-type", INT32),
    required(1, "address", OCTETS),
]);

/// RFC 4120 5.2.7.
const PA_DATA: Shape = Shape::Sequence(&[
    required(1, "padata-type", INT32),
    required(2, "padata-value", OCTETS),
]);

/// RFC 4120 5.2.9.
const ENCRYPTED_DATA: Shape = Shape::Sequence(&[
    required(0, "etype", INT32),
    optional(1, "kvno", UINT32),
    required(2, "cipher", OCTETS),
]);

/// RFC 4120 5.2.9.
const CHECKSUM: Shape = Shape::Sequence(&[
    required(0, "cksumtype", INT32),
    required(1, "checksum", OCTETS),
]);

/// RFC 4120 5.3.
const TICKET: Shape = Shape::Application(
    1,
    &[
        required(0, "tkt-vno", Shape::Exactly(5)),
        required(1, "realm", STRING),
        required(2, "sname", PRINCIPAL_NAME),
        required(3, "enc-part", ENCRYPTED_DATA),
    ],
);

/// RFC 4120 5.4.1.
const KDC_REQ_BODY: Shape = Shape::Sequence(&[
    required(0, "kdc-options", FLAGS),
    optional(1, "cname", PRINCIPAL_NAME),
    required(2, "realm", STRING),
    optional(3, "sname", PRINCIPAL_NAME),
    optional(4, "from", TIME),
    required(5, "till", TIME),
    optional(6, "rtime", TIME),
    required(7, "nonce", UINT32),
    required(8, "etype", Shape::SequenceOf(&INT32)),
    optional(9, "addresses", Shape::SequenceOf(&HOST_ADDRESS)),
    optional(10, "enc-authorization-data", ENCRYPTED_DATA),
    optional(11, "additional-tickets", Shape::SequenceOf(&TICKET)),
]);

/// RFC 4120 5.4.1.
const fn kdc_req(msg_type: i32) -> [Field; 4] {
    [
        required(1, "pvno", Shape::Exactly(5)),
        required(2, "msg-type", Shape::Exactly(msg_type)),
        optional(3, "padata", Shape::SequenceOf(&PA_DATA)),
        required(4, "req-body", KDC_REQ_BODY),
    ]
}

static AS_REQ_FIELDS: [Field; 4] = kdc_req(10);
static TGS_REQ_FIELDS: [Field; 4] = kdc_req(12);
static AS_REQ: Shape = Shape::Application(10, &AS_REQ_FIELDS);
static TGS_REQ: Shape = Shape::Application(12, &TGS_REQ_FIELDS);

/// RFC 4120 5.5.1.
static AP_REQ: Shape = Shape::Application(
    14,
    &[
        required(0, "pvno", Shape::Exactly(5)),
        required(1, "msg-type", Shape::Exactly(14)),
        required(2, "ap-options", FLAGS),
        required(3, "ticket", TICKET),
        required(4, "authenticator", ENCRYPTED_DATA),
    ],
);

/// RFC 4120 5.7.1.
static KRB_PRIV: Shape = Shape::Application(
    21,
    &[
        required(0, "pvno", Shape::Exactly(5)),
        required(1, "msg-type", Shape::Exactly(21)),
        required(3, "enc-part", ENCRYPTED_DATA),
    ],
);

/// The one alternative of PA-FX-FAST-REQUEST that there is (RFC 6113 5.4.2).
static PA_FX_FAST_REQUEST: [Field; 1] = [required(
    0,
    "armored-data",
    Shape::Extensible(&[
        optional(
            0,
            "armor",
            Shape::Extensible(&[
                required(0, "armor-type", INT32),
                required(1, "armor-value", OCTETS),
            ]),
        ),
        required(1, "req-checksum", CHECKSUM),
        required(2, "enc-fast-req", ENCRYPTED_DATA),
    ]),
)];

/// Checks all of `message`.
///
/// # Errors
/// The first place where it is not valid.
pub(super) fn check(message: &KerberosMessage) -> Result<(), Invalid> {
    let octets = message.bytes();
    match message.kind() {
        Kind::AsReq => AS_REQ.check_encoded("AS-REQ", octets)?,
        Kind::TgsReq => TGS_REQ.check_encoded("TGS-REQ", octets)?,
        Kind::Kpasswd => return check_kpasswd(octets),
    }
    check_padata(message)
}

/// RFC 3244 2.
fn check_kpasswd(octets: &[u8]) -> Result<(), Invalid> {
    let frame = Frame::parse(octets).map_err(|_| broken("kpasswd"))?;
    if frame.length != octets.len() {
        return Err(broken("kpasswd"));
    }
    AP_REQ.check_encoded("AP-REQ", frame.ap)?;
    KRB_PRIV.check_encoded("KRB-PRIV", frame.rest)
}

/// The values of PA-DATA that every KDC reads before it knows who asks: with another, it would only refuse the request.
fn check_padata(message: &KerberosMessage) -> Result<(), Invalid> {
    let is_tgs_req = message.kind() == Kind::TgsReq;
    let mut has_ticket = false;
    let kdc_req = read_kdc_req(message.bytes());
    for item in kdc_req.into_iter().flat_map(|(_, fields)| padata(fields)) {
        match (item.kind, item.value) {
            (Some(PA_TGS_REQ), Some(value)) if is_tgs_req => {
                has_ticket = true;
                AP_REQ.check_encoded("PA-TGS-REQ", value)?;
            }
            (Some(PA_FX_FAST), Some(value)) => {
                check_fields(&PA_FX_FAST_REQUEST, "PA-FX-FAST", value)?;
                if let Some(ap_req) = armor_ap_req(value) {
                    AP_REQ.check_encoded("armor-value", ap_req)?;
                }
            }
            _ => {}
        }
    }
    // RFC 4120 5.4.1: it is what authenticates the client.
    if is_tgs_req && !has_ticket {
        return Err(missing("PA-TGS-REQ"));
    }
    Ok(())
}

impl Shape {
    /// Checks that `input`, the content of `field`, is one such element and nothing else.
    fn check_encoded(&self, field: &'static str, input: &[u8]) -> Result<(), Invalid> {
        let element = AnyRef::from_der(input).map_err(|_| broken(field))?;
        self.check(field, element)
    }

    fn check(&self, field: &'static str, element: AnyRef<'_>) -> Result<(), Invalid> {
        let content = |tag| {
            let is_it = element.header().tag() == tag;
            is_it.then(|| element.value()).ok_or(broken(field))
        };
        match self {
            Self::Primitive(holds) => holds(element).then_some(()).ok_or(broken(field)),
            Self::Exactly(number) if element.decode_as() == Ok(*number) => Ok(()),
            Self::Exactly(_) => Err(broken(field)),
            Self::SequenceOf(shape) => elements(content(Tag::Sequence)?)
                .try_for_each(|element| shape.check(field, element.ok_or(broken(field))?)),
            Self::Sequence(fields) => check_fields(fields, field, content(Tag::Sequence)?),
            Self::Extensible(fields) => {
                let rest = split_fields(fields, content(Tag::Sequence)?)?;
                let is_der = elements(rest).all(|element| element.is_some());
                is_der.then_some(()).ok_or(broken(field))
            }
            Self::Application(number, fields) => {
                let inside = content(application(*number))?;
                Self::Sequence(fields).check_encoded(field, inside)
            }
        }
    }
}

/// Checks that `input`, the content of `name`, holds these fields and no others.
fn check_fields(fields: &[Field], name: &'static str, input: &[u8]) -> Result<(), Invalid> {
    if split_fields(fields, input)?.is_empty() {
        return Ok(());
    }
    Err(Invalid {
        field: name,
        rule: "has a field that is unknown, out of order, or there twice",
    })
}

/// Checks these fields, and returns what comes after them.
fn split_fields<'a>(fields: &[Field], mut input: &'a [u8]) -> Result<&'a [u8], Invalid> {
    for field in fields {
        if let Some((content, rest)) = split_field(input, field.number) {
            field.shape.check_encoded(field.name, content)?;
            input = rest;
        } else if !field.is_optional {
            return Err(missing(field.name));
        }
    }
    Ok(input)
}

const fn broken(field: &'static str) -> Invalid {
    Invalid {
        field,
        rule: "is not what the specification says",
    }
}

const fn missing(field: &'static str) -> Invalid {
    Invalid {
        field,
        rule: "is missing, or not in its place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Service;
    use crate::wire::tests::handmade::{
        ap_req, body, encrypted, field, fx_fast, integer, kdc_req, kpasswd_frame, krb_priv,
        message, octets, pa_data, principal, sequence, string, ticket, tlv,
    };

    const REALM: &str = "EXAMPLE.COM";

    /// What is wrong with a message whose outline can be read.
    fn invalid(octets: Vec<u8>) -> String {
        checked(Service::Kdc, octets).unwrap_err().to_string()
    }

    fn checked(service: Service, octets: Vec<u8>) -> Result<(), Invalid> {
        check(&KerberosMessage::parse(service, octets.into()).unwrap())
    }

    fn valid(octets: Vec<u8>) {
        assert_eq!(checked(Service::Kdc, octets), Ok(()));
    }

    fn time() -> Vec<u8> {
        tlv(0x18, &[b"20370913024805Z"])
    }

    fn flags() -> Vec<u8> {
        tlv(0x03, &[&[0, 0, 0, 0, 0]])
    }

    /// Every field of a req-body, as Windows fills them: a nonce below zero, NetBIOS names, all options.
    fn all_fields() -> Vec<Vec<u8>> {
        let netbios = sequence(&[
            &field(0, &integer(20)),
            &field(1, &octets(b"LAPTOP          ")),
        ]);
        let rodc = sequence(&[
            &field(0, &integer(18)),
            &field(1, &integer(-65_536)),
            &field(2, &octets(b"secret")),
        ]);
        let ticket = ticket(REALM, &["krbtgt", REALM]);
        vec![
            field(0, &tlv(0x03, &[&[0, 0x40, 0x81, 0, 0x10]])),
            field(1, &principal(10, &["alice@corp.example"])),
            field(2, &string(REALM)),
            field(3, &principal(2, &["krbtgt", REALM])),
            field(4, &time()),
            field(5, &time()),
            field(6, &time()),
            field(7, &integer(-1_847_299_402)),
            field(8, &sequence(&[&integer(18), &integer(-128), &integer(24)])),
            field(9, &sequence(&[&netbios])),
            field(10, &rodc),
            field(11, &sequence(&[&ticket, &ticket])),
        ]
    }

    fn as_req(body: &[Vec<u8>]) -> Vec<u8> {
        as_req_of(&[
            field(1, &integer(5)),
            field(2, &integer(10)),
            field(4, &sequence(&[&body.concat()])),
        ])
    }

    fn as_req_of(fields: &[Vec<u8>]) -> Vec<u8> {
        message(10, &[&fields.concat()])
    }

    fn with(number: usize, content: &[u8]) -> Vec<u8> {
        let mut fields = all_fields();
        fields[number] = field(number as u8, content);
        as_req(&fields)
    }

    #[test]
    fn what_rfc_4120_has_is_valid() {
        valid(as_req(&all_fields()));
        valid(kdc_req(10, &[], REALM));
        valid(kdc_req(10, &[pa_data(-1, b"\x30\x80 anything")], REALM));
        for nonce in [
            &b"\x02\x05\x00\xff\xff\xff\xff"[..],
            b"\x02\x04\x80\x00\x00\x00",
            b"\x02\x01\x00",
        ] {
            valid(with(7, nonce));
        }
        valid(with(6, &tlv(0x18, &[b"16010101000000Z"])));
        for optional in [1, 3, 4, 6, 9, 10, 11] {
            let mut fields = all_fields();
            fields.remove(optional);
            valid(as_req(&fields));
        }
    }

    #[test]
    fn a_field_that_must_be_there_is_missed() {
        for (number, name) in [
            (0, "kdc-options"),
            (2, "realm"),
            (5, "till"),
            (7, "nonce"),
            (8, "etype"),
        ] {
            let mut fields = all_fields();
            fields.remove(number);
            // Without a realm there is no outline either.
            if number != 2 {
                let missing = format!("{name} is missing, or not in its place");
                assert_eq!(invalid(as_req(&fields)), missing);
            }
        }
    }

    #[test]
    fn fields_come_once_and_in_order_and_no_others() {
        const UNKNOWN: &str = "req-body has a field that is unknown, out of order, or there twice";
        for number in 0..12 {
            let mut fields = all_fields();
            fields.insert(number, fields[number].clone());
            assert!(checked(Service::Kdc, as_req(&fields)).is_err(), "{number}");
            if number != 11 {
                let mut fields = all_fields();
                fields.swap(number, number + 1);
                assert!(checked(Service::Kdc, as_req(&fields)).is_err(), "{number}");
            }
        }
        for unknown in [
            field(12, &integer(1)),
            integer(1),
            vec![0],
            vec![0xac, 0x80, 0, 0],
        ] {
            let fields = [all_fields(), vec![unknown]].concat();
            assert_eq!(invalid(as_req(&fields)), UNKNOWN);
        }
    }

    #[test]
    fn each_field_has_its_type() {
        const NAMES: [&str; 12] = [
            "kdc-options",
            "cname",
            "realm",
            "sname",
            "from",
            "till",
            "rtime",
            "nonce",
            "etype",
            "addresses",
            "enc-authorization-data",
            "additional-tickets",
        ];
        for (number, name) in NAMES.into_iter().enumerate() {
            if name == "realm" {
                continue;
            }
            let right = all_fields()[number][2..].to_vec();
            let twice = [&right[..], &right].concat();
            for content in [&b""[..], b"\x05\x00", b"\x30\x03\x02\x01", &twice] {
                let told = invalid(with(number, content));
                assert_eq!(told, format!("{name} is not what the specification says"));
            }
        }
    }

    #[test]
    fn numbers_and_times_are_what_they_can_be() {
        let etype = |integer: &[u8]| invalid(with(8, &sequence(&[integer])));
        let broken = |name| format!("{name} is not what the specification says");
        assert_eq!(etype(b"\x02\x05\x00\xff\xff\xff\xff"), broken("etype"));
        assert_eq!(etype(b"\x02\x02\x00\x01"), broken("etype"));
        assert_eq!(etype(b"\x02\x00"), broken("etype"));
        for nonce in [
            &b"\x02\x05\x01\x00\x00\x00\x00"[..],
            b"\x02\x05\xff\x00\x00\x00\x00",
        ] {
            assert_eq!(invalid(with(7, nonce)), broken("nonce"));
        }
        for time in [
            "2037091302480Z",
            "20370913024805",
            "20370913024805.5Z",
            "2037-09-1302480Z",
            "20370913024805+00",
        ] {
            let time = tlv(0x18, &[time.as_bytes()]);
            assert_eq!(invalid(with(5, &time)), broken("till"));
        }
        for bits in [&b"\x03\x00"[..], b"\x03\x01\x01", b"\x03\x02\x08\x00"] {
            assert_eq!(invalid(with(0, bits)), broken("kdc-options"));
        }
    }

    /// What went through to KDCs before anything but the outline was looked at.
    #[test]
    fn what_is_broken_inside_is_not_valid() {
        let (pvno, msg_type) = (field(1, &integer(5)), field(2, &integer(10)));
        let (body, other) = (field(4, &body(REALM)), field(4, &body("OTHER.LAB")));
        let padata = |list: &[u8]| {
            let fields = [pvno.clone(), msg_type.clone(), field(3, list), body.clone()];
            invalid(as_req_of(&fields))
        };
        assert_eq!(
            padata(&octets(b"")),
            "padata is not what the specification says"
        );
        assert_eq!(
            padata(&sequence(&[&octets(b"")])),
            "padata is not what the specification says"
        );
        assert_eq!(
            padata(&sequence(&[&sequence(&[&field(1, &integer(2))])])),
            "padata-value is missing, or not in its place"
        );
        assert_eq!(
            invalid(as_req_of(&[msg_type.clone(), body.clone()])),
            "pvno is missing, or not in its place"
        );
        let mut cname = principal(1, &["alice"]);
        cname[1] += 1;
        assert_eq!(
            invalid(with(1, &cname)),
            "cname is not what the specification says"
        );
        let two = as_req_of(&[pvno.clone(), msg_type.clone(), body.clone(), other]);
        let unknown = "AS-REQ has a field that is unknown, out of order, or there twice";
        assert_eq!(invalid(two), unknown);
        let nine = field(9, &integer(1));
        let nine = as_req_of(&[pvno.clone(), msg_type.clone(), body.clone(), nine]);
        assert_eq!(invalid(nine), unknown);
        let four = as_req_of(&[field(1, &integer(4)), msg_type.clone(), body.clone()]);
        assert_eq!(invalid(four), "pvno is not what the specification says");
        let text = sequence(&[&field(1, &integer(2)), &field(2, &string("no octets"))]);
        assert_eq!(
            padata(&sequence(&[&text])),
            "padata-value is not what the specification says"
        );
        let thirty = as_req_of(&[pvno.clone(), field(2, &integer(30)), body.clone()]);
        assert_eq!(
            invalid(thirty),
            "msg-type is not what the specification says"
        );
        let nested = (0..2000).fold(vec![], |inner, _| sequence(&[&inner]));
        for number in [1, 3, 8, 9, 10, 11] {
            assert!(checked(Service::Kdc, with(number, &nested)).is_err());
        }
        padata(&nested);
    }

    #[test]
    fn a_tgs_req_holds_an_ap_req() {
        let tgs_req = |padata: &[Vec<u8>]| kdc_req(12, padata, REALM);
        let ap_req = ap_req(REALM, &["krbtgt", REALM]);
        valid(tgs_req(&[pa_data(1, &ap_req), pa_data(129, b"anything")]));
        for padata in [&[][..], &[pa_data(2, &ap_req)]] {
            let told = "PA-TGS-REQ is missing, or not in its place";
            assert_eq!(invalid(tgs_req(padata)), told);
        }
        for value in [&b""[..], &ap_req[..9], &[&ap_req[..], b"\0"].concat()] {
            let told = "PA-TGS-REQ is not what the specification says";
            assert_eq!(invalid(tgs_req(&[pa_data(1, value)])), told);
        }
        // In an AS-REQ it says nothing.
        valid(kdc_req(10, &[pa_data(1, b"")], REALM));
    }

    #[test]
    fn armor_is_looked_at_as_far_as_it_is_known() {
        let fast = |value: &[u8]| kdc_req(10, &[pa_data(136, value)], REALM);
        let ap_req = ap_req(REALM, &["krbtgt", REALM]);
        valid(fast(&fx_fast(1, Some(&ap_req))));
        valid(fast(&fx_fast(0, None)));
        valid(fast(&fx_fast(7, Some(b"of a kind to come"))));
        let told = "armor-value is not what the specification says";
        assert_eq!(invalid(fast(&fx_fast(1, Some(b"no AP-REQ")))), told);
        let missing = "armored-data is missing, or not in its place";
        assert_eq!(invalid(fast(b"")), missing);
        let extended = |more: &[u8]| {
            let whole = fx_fast(0, None);
            let fields = [&whole[4..], more].concat();
            fast(&field(0, &sequence(&[&fields])))
        };
        valid(extended(&field(3, b"of a version to come")));
        let told = "armored-data is not what the specification says";
        assert_eq!(invalid(extended(b"\xa3\x80")), told);
    }

    #[test]
    fn a_change_of_a_password_is_an_ap_req_and_a_krb_priv() {
        let ap_req = ap_req(REALM, &["kadmin", "changepw"]);
        let checked = |ap_req: &[u8], krb_priv: &[u8]| {
            let frame = kpasswd_frame(1, ap_req, krb_priv);
            checked(Service::Kpasswd, frame).map_err(|invalid| invalid.to_string())
        };
        assert_eq!(checked(&ap_req, &krb_priv()), Ok(()));
        let broken = |name| Err(format!("{name} is not what the specification says"));
        let missing = |name| Err(format!("{name} is missing, or not in its place"));
        assert_eq!(checked(&ap_req, &message(21, &[])), missing("pvno"));
        let trailed = [krb_priv(), vec![0]].concat();
        assert_eq!(checked(&ap_req, &trailed), broken("KRB-PRIV"));
        let trailed = [&ap_req[..], b"\0"].concat();
        assert_eq!(checked(&trailed, &krb_priv()), broken("AP-REQ"));
        let bare = ticket(REALM, &["kadmin", "changepw"]);
        let no_authenticator = message(
            14,
            &[
                &field(0, &integer(5)),
                &field(1, &integer(14)),
                &field(2, &flags()),
                &field(3, &bare),
            ],
        );
        let told = checked(&no_authenticator, &krb_priv());
        assert_eq!(told, missing("authenticator"));
        let other = message(
            14,
            &[
                &field(0, &integer(4)),
                &field(3, &bare),
                &field(4, &encrypted()),
            ],
        );
        assert_eq!(checked(&other, &krb_priv()), broken("pvno"));
    }
}
