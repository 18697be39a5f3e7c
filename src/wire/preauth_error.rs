//! What a KDC says to a client that has not proved itself, or in vain, said to one that does not exist.
//!
//! What tells them apart besides the code is the e-text and the METHOD-DATA in the e-data (RFC 4120 7.5.9), in which a salt stands
//! for each type of key: by default the realm and the components of the name (RFC 4120 4).

use der::{Encode, Tag};

use super::asn1::{Element, context, elements, exactly, field};
use super::krb_error::{self, KDC_ERR_PREAUTH_FAILED, KDC_ERR_PREAUTH_REQUIRED};
use super::message::{KerberosMessage, Resend, Service, body, read_kdc_req};
use super::principal::MAX_NAME;
use super::reply::Reply;

/// Most octets of one that is kept: MIT's have 250.
const MAX_KEPT: usize = 4096;
/// How deep a salt may stand: in ETYPE-INFO2 (RFC 4120 5.2.7.5) eight levels below its field.
const MAX_DEPTH: usize = 10;

/// KDC_ERR_PREAUTH_REQUIRED or KDC_ERR_PREAUTH_FAILED, and whom it was said to.
#[derive(Clone, Debug)]
pub struct PreauthError {
    asked: ClientAndEtypes,
    code: i32,
    error: Vec<u8>,
}

/// What such an answer goes by: of the request, the client and the encryption types.
#[derive(Clone, Debug)]
struct ClientAndEtypes {
    /// The part of a salt that is the client's.
    name: Vec<u8>,
    /// `etype [8]` of the body.
    etypes: Vec<u8>,
}

impl PreauthError {
    /// What `reply` says to `request`. Nothing if it is something else, or has another salt than the default: that is one
    /// principal's alone.
    #[must_use]
    pub fn read(request: &KerberosMessage, reply: &Reply) -> Option<Self> {
        let code = reply.error_code()?;
        let read = Self {
            asked: ClientAndEtypes::read(request)?,
            code,
            error: reply.bytes().to_vec(),
        };
        let is_one = matches!(code, KDC_ERR_PREAUTH_REQUIRED | KDC_ERR_PREAUTH_FAILED);
        let is_short = read.error.len() + read.asked.etypes.len() <= MAX_KEPT;
        (is_one && is_short && read.has_salt()?).then_some(read)
    }

    /// True if `other` was said to the same question.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.code, &self.asked.etypes) == (other.code, &other.asked.etypes)
    }

    /// What the KDC would say to `request`, to which it has said `unknown`, if there were such a client, by the last of `known` that
    /// was said to the same question, or else to another.
    #[must_use]
    pub fn imitate(known: &[Self], request: &KerberosMessage, unknown: &Reply) -> Option<Reply> {
        let asked = ClientAndEtypes::read(request)?;
        let code = match request.resend() {
            Resend::Once => KDC_ERR_PREAUTH_FAILED,
            Resend::Harmless => KDC_ERR_PREAUTH_REQUIRED,
        };
        let likeness = |known: &&Self| (known.code == code, known.asked.etypes == asked.etypes);
        let model = known.iter().max_by_key(likeness)?;
        let mut fields = Vec::new();
        for element in elements(krb_error::fields(unknown.bytes())?) {
            let element = element?;
            let is = |number| element.inside(context(number)).is_some();
            if is(6) {
                element.with(&code.to_der().ok()?).encode(&mut fields)?;
            } else if !is(11) && !is(12) {
                element.encode(&mut fields)?;
            }
        }
        for number in [11, 12] {
            if let Some(value) = field(krb_error::fields(&model.error)?, number) {
                let value = model.salted(value, &asked.name, 0)?;
                Element::new(context(number), &value).encode(&mut fields)?;
            }
        }
        let error = krb_error::from_fields(&fields)?;
        Reply::parse(Service::Kdc, error.into()).ok()
    }

    fn has_salt(&self) -> Option<bool> {
        let fields = krb_error::fields(&self.error)?;
        Some(self.salted(fields, b"\0", 0)? != fields)
    }

    /// The elements in `der` with `name` in their salts.
    fn salted(&self, der: &[u8], name: &[u8], depth: usize) -> Option<Vec<u8>> {
        let mut salted = Vec::new();
        for element in elements(der) {
            let element = element.filter(|_| depth < MAX_DEPTH)?;
            let value = element.value();
            let replaced = self.salt(value, name);
            let replaced = replaced.or_else(|| self.salted(value, name, depth + 1));
            let value = replaced.as_deref().unwrap_or(value);
            element.with(value).encode(&mut salted)?;
        }
        Some(salted)
    }

    /// The salt of `name`, if `value` is the one of whom this was said to.
    fn salt(&self, value: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let realm = field(krb_error::fields(&self.error)?, 9)?;
        let realm = exactly(realm, Tag::GeneralString)?;
        let (prefix, rest) = value.split_at_checked(realm.len())?;
        let is_salt = prefix.eq_ignore_ascii_case(realm) && rest == self.asked.name;
        is_salt.then(|| [prefix, name].concat())
    }
}

impl ClientAndEtypes {
    fn read(request: &KerberosMessage) -> Option<Self> {
        let (_, kdc_req) = read_kdc_req(request.bytes())?;
        let body = body(kdc_req)?;
        let cname = exactly(field(body, 1)?, Tag::Sequence)?;
        let components = elements(exactly(field(cname, 1)?, Tag::Sequence)?);
        let components: Option<Vec<_>> = components.map(|name| Some(name?.value())).collect();
        let mut name = components?.concat();
        // An enterprise name (RFC 6806 5) is mostly the account's with a domain after it.
        if let Some(at) = name.iter().rposition(|octet| *octet == b'@') {
            name.truncate(at);
        }
        let etypes = field(body, 8)?.to_vec();
        (name.len() <= MAX_NAME).then_some(Self { name, etypes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! recorded {
        ($name:literal) => {{
            let request = include_bytes!(concat!("../../tests/vectors/", $name, ".request"));
            let reply = include_bytes!(concat!("../../tests/vectors/", $name, ".reply"));
            let request = KerberosMessage::parse(Service::Kdc, request[..].into()).unwrap();
            (
                request,
                Reply::parse(Service::Kdc, reply[..].into()).unwrap(),
            )
        }};
    }

    type Recorded = (KerberosMessage, Reply);

    fn read((request, reply): &Recorded) -> PreauthError {
        PreauthError::read(request, reply).unwrap()
    }

    fn parsed(fields: &[u8]) -> Reply {
        let error = krb_error::from_fields(fields).unwrap();
        Reply::parse(Service::Kdc, error.into()).unwrap()
    }

    /// What the KDC would have said at this moment, if it had not known the client.
    fn unknown(reply: &Reply) -> Reply {
        let mut fields = Vec::new();
        for element in elements(krb_error::fields(reply.bytes()).unwrap()).flatten() {
            let is = |number| element.inside(context(number)).is_some();
            let unknown = match (is(6), is(11), is(12)) {
                (true, ..) => element.with(b"\x02\x01\x06"),
                (_, true, _) => element.with(b"\x1b\x10CLIENT_NOT_FOUND"),
                (.., true) => continue,
                _ => element,
            };
            unknown.encode(&mut fields).unwrap();
        }
        parsed(&fields)
    }

    fn octets(reply: &Reply, number: u32) -> Option<&[u8]> {
        field(krb_error::fields(reply.bytes()).unwrap(), number)
    }

    #[test]
    fn an_imitation_is_what_the_kdc_says_of_somebody_octet_by_octet() {
        let plain = [
            recorded!("mit-plain"),
            recorded!("java-plain"),
            recorded!("heimdal-plain"),
        ];
        let failed = [recorded!("mit-wrong-password")];
        let known: Vec<_> = plain.iter().chain(&failed).map(read).collect();
        for (request, reply) in plain.iter().chain(&failed) {
            let imitated = PreauthError::imitate(&known, request, &unknown(reply)).unwrap();
            assert_eq!(imitated.bytes(), reply.bytes());
        }
    }

    #[test]
    fn nobody_has_a_salt_of_its_own() {
        let known = [read(&recorded!("gokrb5-plain"))];
        let (request, reply) = recorded!("mit-unknown-client");
        let imitated = PreauthError::imitate(&known, &request, &reply).unwrap();
        assert_eq!(imitated.error_code(), Some(25));
        let name = request.client_name().unwrap();
        let salt = format!("EXAMPLE.COM{name}");
        let e_data = octets(&imitated, 12).unwrap();
        let has = |text: &str| {
            e_data
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(has(&salt) && !has("alice"));
        for number in [0, 1, 2, 3, 4, 5, 7, 8, 9, 10] {
            assert_eq!(octets(&imitated, number), octets(&reply, number));
        }
        assert_eq!(octets(&imitated, 11), octets(&recorded!("mit-plain").1, 11));
    }

    #[test]
    fn the_last_one_who_asked_with_the_same_types_is_imitated_first() {
        let marked = |(request, reply): Recorded, text: &str| {
            let mut error = read(&(request, reply));
            let text_at = error.error.windows(7).position(|it| it == b"PREAUTH");
            let text_at = text_at.unwrap();
            error.error[text_at..text_at + 7].copy_from_slice(text.as_bytes());
            error
        };
        let (mit, java) = (recorded!("mit-plain"), recorded!("java-plain"));
        let failed = recorded!("mit-wrong-password");
        let known = [
            marked(mit.clone(), "OF MIT."),
            marked(java.clone(), "OF JAVA"),
        ];
        let told = |(request, reply): &Recorded| {
            let imitated = PreauthError::imitate(&known, request, &unknown(reply)).unwrap();
            let text = octets(&imitated, 11).unwrap().to_vec();
            (imitated.error_code().unwrap(), text.ends_with(b"OF MIT."))
        };
        assert_eq!(told(&mit), (25, true));
        assert_eq!(told(&java), (25, false));
        assert_eq!(told(&recorded!("impacket-plain")), (25, false));
        // Until somebody's password was wrong.
        assert_eq!(told(&failed), (24, true));
        let again = read(&mit);
        assert!(again.is_like(&known[0]) && !again.is_like(&known[1]));
        assert!(!again.is_like(&read(&failed)));
    }

    #[test]
    fn what_fits_no_other_name_is_not_kept() {
        let (request, reply) = recorded!("mit-unknown-client");
        let (alice, told) = recorded!("mit-plain");
        for (request, reply) in [(&request, &reply), (&request, &told)] {
            assert!(PreauthError::read(request, reply).is_none());
        }
        assert!(PreauthError::read(&alice, &told).is_some());
        assert!(PreauthError::imitate(&[], &request, &reply).is_none());
    }
}
