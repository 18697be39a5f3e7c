//! RFC 4120's ASN.1 as data, and what RFC 6113 adds to it in the clear.

use der::Tag;
use der::asn1::{AnyRef, BitStringRef};

use crate::wire::asn1::Element;

/// What an element must be.
pub(super) enum Shape {
    Primitive(fn(Element<'_>) -> bool),
    /// An INTEGER with this value.
    Exactly(i32),
    SequenceOf(&'static Self),
    Sequence(&'static [Field]),
    /// A SEQUENCE that may have more fields after these, in versions to come.
    Extensible(&'static [Field]),
    /// `[APPLICATION n]` around a SEQUENCE.
    Application(u32, &'static [Field]),
}

const INT32: Shape = Shape::Primitive(|element| is_within(element, i32::MIN, i32::MAX.into()));

/// UInt32 (RFC 4120 5.2.4), which Windows and MIT krb5 may write as a signed number.
const UINT32: Shape = Shape::Primitive(|element| is_within(element, i32::MIN, u32::MAX.into()));

fn is_within(element: Element<'_>, least: i32, most: i64) -> bool {
    let number = element.integer();
    number.is_some_and(|number| (least.into()..=most).contains(&number))
}

/// KerberosFlags (RFC 4120 5.2.8), of any length: old clients send fewer than 32.
const FLAGS: Shape = Shape::Primitive(|element| {
    let bits = element.inside(Tag::BitString);
    let bits = bits.and_then(|bits| AnyRef::new(Tag::BitString, bits).ok());
    bits.is_some_and(|bits| bits.decode_as::<BitStringRef<'_>>().is_ok())
});

const OCTETS: Shape = Shape::Primitive(|element| element.inside(Tag::OctetString).is_some());

/// KerberosString and Realm (RFC 4120 5.2.1).
const STRING: Shape = Shape::Primitive(|element| element.inside(Tag::GeneralString).is_some());

/// KerberosTime (RFC 4120 5.2.3): without fractions of a second, in UTC. Of any year: `der` knows those since 1970 alone, and
/// the epoch of Windows is 1601.
const TIME: Shape = Shape::Primitive(|element| {
    let is_time = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit) && digits.len() == 14;
    let time = element.inside(Tag::GeneralizedTime);
    time.and_then(|time| time.strip_suffix(b"Z"))
        .is_some_and(is_time)
});

/// A field of a SEQUENCE.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) is_optional: bool,
    pub(super) shape: Shape,
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
pub(super) static AS_REQ: Shape = Shape::Application(10, &AS_REQ_FIELDS);
pub(super) static TGS_REQ: Shape = Shape::Application(12, &TGS_REQ_FIELDS);

/// RFC 4120 5.5.1.
pub(super) static AP_REQ: Shape = Shape::Application(
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
pub(super) static KRB_PRIV: Shape = Shape::Application(
    21,
    &[
        required(0, "pvno", Shape::Exactly(5)),
        required(1, "msg-type", Shape::Exactly(21)),
        required(3, "enc-part", ENCRYPTED_DATA),
    ],
);

/// The one alternative of PA-FX-FAST-REQUEST that there is (RFC 6113 5.4.2).
pub(super) static PA_FX_FAST_REQUEST: [Field; 1] = [required(
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
