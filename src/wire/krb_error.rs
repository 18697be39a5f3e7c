//! KRB-ERROR (RFC 4120 5.9.1): written for our own verdicts, read from upstream.

use super::asn1::{Element, GeneralString, application, exactly, field, well_ordered};
use super::message::{NotKerberos, Service};
use super::principal::{PrincipalName, server_name};
use super::realm::Realm;
use der::asn1::{ApplicationRef, GeneralizedTime, OctetStringRef};
use der::{Decode, Encode, Sequence, Tag, TagMode, TagNumber};
use std::fmt;
use std::time::{Duration, SystemTime};

/// KDC_ERR_C_PRINCIPAL_UNKNOWN: the client is not in the database; from some of Active Directory's KDCs a referral too (RFC 4120 7.5.9).
pub const KDC_ERR_C_PRINCIPAL_UNKNOWN: i32 = 6;
/// KDC_ERR_POLICY: a proxy that refuses the request ([MS-KKDCP] 3.1.5.3; RFC 4120 7.5.9).
pub const KDC_ERR_POLICY: i32 = 12;
/// KDC_ERR_CLIENT_REVOKED: the client's credentials are revoked, or it is locked out (RFC 4120 7.5.9).
pub const KDC_ERR_CLIENT_REVOKED: i32 = 18;
/// KDC_ERR_PREAUTH_FAILED: a wrong password, or a wrong code (RFC 4120 7.5.9).
pub const KDC_ERR_PREAUTH_FAILED: i32 = 24;
/// KDC_ERR_PREAUTH_REQUIRED: the client is to prove itself, and by what it may (RFC 4120 7.5.9).
pub const KDC_ERR_PREAUTH_REQUIRED: i32 = 25;
/// KDC_ERR_SVC_UNAVAILABLE: this KDC did not serve the request (RFC 4120 7.5.9). `relay/routes/resend.rs` decides what follows.
pub const KDC_ERR_SVC_UNAVAILABLE: i32 = 29;
/// KRB_AP_ERR_TKT_EXPIRED: a ticket has expired, by the KDC's clock (RFC 4120 7.5.9).
pub const KRB_AP_ERR_TKT_EXPIRED: i32 = 32;
/// KRB_AP_ERR_TKT_NYV: a ticket is not valid yet, by the KDC's clock (RFC 4120 7.5.9).
pub const KRB_AP_ERR_TKT_NYV: i32 = 33;
/// KRB_AP_ERR_REPEAT: the authenticator was seen before (RFC 4120 7.5.9).
pub const KRB_AP_ERR_REPEAT: i32 = 34;
/// KRB_AP_ERR_SKEW: the client's clock is too far from the KDC's (RFC 4120 7.5.9).
pub const KRB_AP_ERR_SKEW: i32 = 37;
/// KRB_ERR_RESPONSE_TOO_BIG: ask again over TCP (RFC 4120 7.2.1).
pub const KRB_ERR_RESPONSE_TOO_BIG: i32 = 52;
/// KRB_ERR_GENERIC: an error that only its text tells (RFC 4120 7.5.9).
pub const KRB_ERR_GENERIC: i32 = 60;
/// KRB_ERR_FIELD_TOOLONG: a length that isn't accepted (RFC 4120 7.2.2).
pub const KRB_ERR_FIELD_TOOLONG: i32 = 61;
/// KDC_ERR_WRONG_REALM: the client's realm is another one, a referral (RFC 6806 7).
pub const KDC_ERR_WRONG_REALM: i32 = 68;
/// KRB_AP_ERR_IAKERB_KDC_NOT_FOUND: no way to a KDC of the realm is known (draft-ietf-kitten-iakerb 5).
pub const KRB_AP_ERR_IAKERB_KDC_NOT_FOUND: i32 = 85;
/// KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE: the KDC did not answer (draft-ietf-kitten-iakerb 5).
pub const KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE: i32 = 86;

/// A code for people: by its name, if it has one, and its number (RFC 4120 7.5.9, RFC 4556 3.1.3, RFC 6113 5.3).
#[derive(Clone, Copy, Debug)]
pub struct NamedCode(pub i32);

impl fmt::Display for NamedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(code, _)| *code == self.0) {
            Some((code, name)) => write!(f, "{name} ({code})"),
            None => write!(f, "KRB-ERROR {}", self.0),
        }
    }
}

/// Those that users of today's KDCs meet.
const NAMES: &[(i32, &str)] = &[
    (KDC_ERR_C_PRINCIPAL_UNKNOWN, "KDC_ERR_C_PRINCIPAL_UNKNOWN"),
    (7, "KDC_ERR_S_PRINCIPAL_UNKNOWN"),
    (9, "KDC_ERR_NULL_KEY"),
    (KDC_ERR_POLICY, "KDC_ERR_POLICY"),
    (13, "KDC_ERR_BADOPTION"),
    (14, "KDC_ERR_ETYPE_NOSUPP"),
    (16, "KDC_ERR_PADATA_TYPE_NOSUPP"),
    (KDC_ERR_CLIENT_REVOKED, "KDC_ERR_CLIENT_REVOKED"),
    (23, "KDC_ERR_KEY_EXPIRED"),
    (KDC_ERR_PREAUTH_FAILED, "KDC_ERR_PREAUTH_FAILED"),
    (KDC_ERR_PREAUTH_REQUIRED, "KDC_ERR_PREAUTH_REQUIRED"),
    (KDC_ERR_SVC_UNAVAILABLE, "KDC_ERR_SVC_UNAVAILABLE"),
    (31, "KRB_AP_ERR_BAD_INTEGRITY"),
    (KRB_AP_ERR_TKT_EXPIRED, "KRB_AP_ERR_TKT_EXPIRED"),
    (KRB_AP_ERR_TKT_NYV, "KRB_AP_ERR_TKT_NYV"),
    (KRB_AP_ERR_REPEAT, "KRB_AP_ERR_REPEAT"),
    (KRB_AP_ERR_SKEW, "KRB_AP_ERR_SKEW"),
    (41, "KRB_AP_ERR_MODIFIED"),
    (KRB_ERR_RESPONSE_TOO_BIG, "KRB_ERR_RESPONSE_TOO_BIG"),
    (KRB_ERR_GENERIC, "KRB_ERR_GENERIC"),
    (KRB_ERR_FIELD_TOOLONG, "KRB_ERR_FIELD_TOOLONG"),
    (KDC_ERR_WRONG_REALM, "KDC_ERR_WRONG_REALM"),
    (
        KRB_AP_ERR_IAKERB_KDC_NOT_FOUND,
        "KRB_AP_ERR_IAKERB_KDC_NOT_FOUND",
    ),
    (
        KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE,
        "KRB_AP_ERR_IAKERB_KDC_NO_RESPONSE",
    ),
    (91, "KDC_ERR_MORE_PREAUTH_DATA_REQUIRED"),
];

/// `[APPLICATION 30]`.
pub(super) const NUMBER: u32 = 30;

/// The realm of an error about a message whose realm could not be read or is none: the field is not optional.
/// No domain is called that, and Java, which refuses the colon of RFC 6111's names, takes it.
const NO_REALM: &str = "-";

/// How the e-text of what loopkdc answers by itself begins: a KDC has some of its codes too, such as [`KDC_ERR_POLICY`].
pub const OWN_TEXT: &str = "loopkdc: ";

/// Most octets of an e-text.
const MAX_E_TEXT: usize = 255;

/// The last second that a GeneralizedTime has four digits of year for.
const END_OF_9999: Duration = Duration::from_secs(253_402_300_799);

/// The fields that we send; the client's name and time are in no error that nothing authenticates.
#[derive(Sequence)]
struct Fields<'a> {
    #[asn1(context_specific = "0")]
    pvno: u8,
    #[asn1(context_specific = "1")]
    msg_type: u8,
    #[asn1(context_specific = "4")]
    stime: GeneralizedTime,
    #[asn1(context_specific = "5")]
    susec: u32,
    #[asn1(context_specific = "6")]
    error_code: i32,
    #[asn1(context_specific = "9")]
    realm: GeneralString<'a>,
    #[asn1(context_specific = "10")]
    sname: PrincipalName<'a>,
    #[asn1(context_specific = "11", optional = "true")]
    e_text: Option<GeneralString<'a>>,
    #[asn1(context_specific = "12", optional = "true")]
    e_data: Option<&'a OctetStringRef>,
}

/// The KRB-ERROR that tells a client `code`, without a stream's length. `service` decides the server's name; `e_text`, for
/// the user, is cut at 255 octets, and what isn't ASCII becomes `?` (RFC 4120 5.2.1); clients may correct their clock by
/// `now`.
pub fn encode(
    code: i32,
    realm: Option<&Realm>,
    service: Service,
    e_text: Option<&str>,
    now: SystemTime,
) -> Vec<u8> {
    encode_with_data(code, realm, service, (e_text, None), now)
}

/// The same with what the code's e-data is defined to be.
pub(super) fn encode_with_data(
    code: i32,
    realm: Option<&Realm>,
    service: Service,
    (e_text, e_data): (Option<&str>, Option<&[u8]>),
    now: SystemTime,
) -> Vec<u8> {
    let realm = realm.filter(|realm| !realm.key().is_nobodys());
    let realm = realm.map_or(NO_REALM, Realm::as_str).as_bytes();
    let e_text = e_text.map(ia5);
    let encoded = kerberos_time(now).and_then(|(stime, susec)| {
        let value = &Fields {
            pvno: 5,
            msg_type: 30,
            stime,
            susec,
            error_code: code,
            realm: GeneralString::new(realm),
            sname: server_name(service, realm),
            e_text: e_text.as_deref().map(GeneralString::new),
            e_data: e_data.map(OctetStringRef::new).transpose()?,
        };
        let (tag_number, tag_mode) = (TagNumber(NUMBER), TagMode::Explicit);
        ApplicationRef {
            tag_number,
            tag_mode,
            value,
        }
        .to_der()
    });
    // Fails on lengths beyond 32 bits and on years beyond 9999 only; neither gets as far.
    encoded.unwrap_or_default()
}

/// KerberosTime and Microseconds (RFC 4120 5.2.3, 5.2.4), within the years that they can write.
fn kerberos_time(now: SystemTime) -> der::Result<(GeneralizedTime, u32)> {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    let since_1970 = since_1970.unwrap_or_default().min(END_OF_9999);
    let seconds = Duration::from_secs(since_1970.as_secs());
    let stime = GeneralizedTime::from_unix_duration(seconds)?;
    Ok((stime, since_1970.subsec_micros()))
}

/// KerberosString as RFC 4120 5.2.1 wants it sent.
fn ia5(text: &str) -> Vec<u8> {
    let octet = |c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?');
    text.chars().map(octet).take(MAX_E_TEXT).collect()
}

/// What a KRB-ERROR from upstream says.
pub(super) struct Received<'a> {
    /// `error-code [6]`.
    pub(super) code: i32,
    /// `e-data [12]`.
    pub(super) e_data: Option<&'a [u8]>,
}

impl<'a> Received<'a> {
    /// Reads `input`, which must be one KRB-ERROR and nothing else.
    pub(super) fn parse(input: &'a [u8]) -> Result<Self, NotKerberos> {
        const BROKEN: NotKerberos = NotKerberos("a KRB-ERROR that can't be read");
        let content = exactly(input, application(NUMBER)).ok_or(BROKEN)?;
        let fields = exactly(content, Tag::Sequence).ok_or(BROKEN)?;
        if !well_ordered(fields) {
            return Err(BROKEN);
        }
        let code = field(fields, 6).ok_or(BROKEN)?;
        let e_data = match field(fields, 12) {
            Some(data) => Some(exactly(data, Tag::OctetString).ok_or(BROKEN)?),
            None => None,
        };
        Ok(Self {
            code: i32::from_der(code).map_err(|_| BROKEN)?,
            e_data,
        })
    }
}

/// `crealm [7]` of the KRB-ERROR that `input` is. Nothing if there is none that can be read.
pub(super) fn client_realm(input: &[u8]) -> Option<Realm> {
    realm_in(input, 7)
}

/// `realm [9]`, likewise: the server's.
pub(super) fn realm(input: &[u8]) -> Option<Realm> {
    realm_in(input, 9)
}

fn realm_in(input: &[u8], number: u32) -> Option<Realm> {
    Realm::parse(exactly(field(fields(input)?, number)?, Tag::GeneralString)?).ok()
}

/// `stime [4]` with `susec [5]` of the KRB-ERROR that `input` is: the server's clock. Nothing if there is none that can be read.
pub(super) fn server_time(input: &[u8]) -> Option<SystemTime> {
    let fields = fields(input)?;
    let stime = GeneralizedTime::from_der(field(fields, 4)?).ok()?;
    let micros = field(fields, 5).and_then(|susec| u32::from_der(susec).ok());
    // RFC 4120 5.2.4: at most 999999.
    let micros = micros.filter(|micros| *micros < 1_000_000).unwrap_or(0);
    Some(stime.to_system_time() + Duration::from_micros(micros.into()))
}

/// The KRB-ERROR that `input` is has [`OWN_TEXT`] in its `e-text [11]`.
pub(super) fn is_of_loopkdc(input: &[u8]) -> bool {
    let e_text = fields(input).and_then(|fields| exactly(field(fields, 11)?, Tag::GeneralString));
    e_text.is_some_and(|text| text.starts_with(OWN_TEXT.as_bytes()))
}

/// The fields of the KRB-ERROR that `input` is.
pub(super) fn fields(input: &[u8]) -> Option<&[u8]> {
    exactly(exactly(input, application(NUMBER))?, Tag::Sequence)
}

/// The KRB-ERROR of these `fields`.
pub(super) fn from_fields(fields: &[u8]) -> Option<Vec<u8>> {
    let (mut sequence, mut error) = (Vec::new(), Vec::new());
    Element::new(Tag::Sequence, fields).encode(&mut sequence)?;
    Element::new(application(NUMBER), &sequence).encode(&mut error)?;
    Some(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::handmade;
    use crate::wire::{Reply, ReplyKind};

    #[test]
    fn an_error_is_encoded_as_rfc_4120_has_it() {
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        let bytes = encode(86, Some(&realm), Service::Kdc, Some("no \u{e4}nswer"), now);
        let sname = handmade::sequence(&[
            &handmade::field(0, &handmade::integer(2)),
            &handmade::field(
                1,
                &handmade::sequence(&[
                    &handmade::string("krbtgt"),
                    &handmade::string("EXAMPLE.COM"),
                ]),
            ),
        ]);
        let expected = handmade::message(
            30,
            &[
                &handmade::field(0, &handmade::integer(5)),
                &handmade::field(1, &handmade::integer(30)),
                &handmade::field(4, &handmade::tlv(0x18, &[b"20231114221320Z"])),
                &handmade::field(5, &handmade::integer(123_456)),
                &handmade::field(6, &handmade::integer(86)),
                &handmade::field(9, &handmade::string("EXAMPLE.COM")),
                &handmade::field(10, &sname),
                &handmade::field(11, &handmade::string("no ?nswer")),
            ],
        );
        // The tag number 30 is the last one that fits one octet, as `handmade` writes them.
        assert_eq!(bytes, expected);
        let reply = Reply::parse(Service::Kdc, bytes.into()).unwrap();
        assert_eq!(reply.kind(), ReplyKind::KrbError);
        assert_eq!(reply.error_code(), Some(86));
    }

    #[test]
    fn a_code_is_shown_by_its_name() {
        assert_eq!(NamedCode(24).to_string(), "KDC_ERR_PREAUTH_FAILED (24)");
        assert_eq!(NamedCode(-7).to_string(), "KRB-ERROR -7");
        assert!(NAMES.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn an_error_of_our_own_is_known_by_its_text() {
        for (text, expected) in [
            (None, false),
            (Some("POLICY"), false),
            (Some("not by loopkdc: no"), false),
            (Some("loopkdc: no"), true),
        ] {
            let bytes = encode(12, None, Service::Kdc, text, SystemTime::UNIX_EPOCH);
            let reply = Reply::parse(Service::Kdc, bytes.into()).unwrap();
            assert_eq!(reply.is_of_loopkdc(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_error_without_a_realm_names_a_placeholder() {
        let bytes = encode(61, None, Service::Kpasswd, None, SystemTime::UNIX_EPOCH);
        let fields = exactly(&bytes, application(NUMBER)).unwrap();
        let fields = exactly(fields, Tag::Sequence).unwrap();
        assert_eq!(field(fields, 9).unwrap(), handmade::string("-"));
        let changepw = [handmade::string("kadmin"), handmade::string("changepw")].concat();
        assert!(field(fields, 10).unwrap().ends_with(&changepw));
        assert_eq!(field(fields, 11), None);
    }

    #[test]
    fn any_clock_makes_an_error() {
        let day = Duration::from_secs(86_400);
        for now in [
            SystemTime::UNIX_EPOCH - day,
            SystemTime::UNIX_EPOCH + END_OF_9999 + day,
        ] {
            let bytes = encode(52, None, Service::Kdc, None, now);
            assert!(Reply::parse(Service::Kdc, bytes.into()).is_ok());
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = "x".repeat(100_000);
        let bytes = encode(60, None, Service::Kdc, Some(&text), SystemTime::UNIX_EPOCH);
        assert!(bytes.len() < 512);
        assert!(Reply::parse(Service::Kdc, bytes.into()).is_ok());
    }

    #[test]
    fn an_error_tells_the_time_on_its_servers_clock() {
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_000);
        let error = encode(6, None, Service::Kdc, None, now);
        let reply = Reply::parse(Service::Kdc, error.clone().into()).unwrap();
        assert_eq!(reply.server_time(), Some(now));
        let timeless = handmade::message(30, &[&handmade::field(6, &handmade::integer(6))]);
        let reply = Reply::parse(Service::Kdc, timeless.into()).unwrap();
        assert_eq!(reply.server_time(), None);
        assert_eq!(server_time(&error[1..]), None);
    }
}
