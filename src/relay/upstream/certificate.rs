//! What a certificate says of itself (RFC 5280 4.1), for people: whether it is to be believed is for others to say.

use std::time::SystemTime;

use der::asn1::{AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{DateTime, Decode, Tag, Tagged};

use crate::relay::text::short;

/// The attributes of a name that people know it by, the best first: commonName, organizationName, organizationalUnitName
/// (RFC 5280 4.1.2.4).
const KNOWN_BY: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.5.4.3"),
    ObjectIdentifier::new_unwrap("2.5.4.10"),
    ObjectIdentifier::new_unwrap("2.5.4.11"),
];
/// rsaEncryption (RFC 3279 2.3.1).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// So many octets has the modulus of the shortest RSA key that rustls verifies with.
const MIN_MODULUS: usize = 2048 / 8;
/// As much of a name is shown.
const MAX_NAME: usize = 64;

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before: DateTime,
    not_after: DateTime,
}

impl Validity {
    /// The validity of a certificate in DER. What else is in it is for those to check who rely on it.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let certificate = AnyRef::from_der(certificate).ok()?;
        let mut fields = next(&mut certificate.value())?.value();
        let fields = &mut fields;
        // The version may be absent; then come serialNumber, signature and issuer (RFC 5280 4.1).
        if matches!(next(fields)?.tag(), Tag::ContextSpecific { .. }) {
            next(fields)?;
        }
        next(fields)?;
        next(fields)?;
        Self::read(&mut next(fields)?.value())
    }

    /// From when to when a list of revoked certificates in DER says which ones are (RFC 5280 5.1: thisUpdate, nextUpdate).
    pub(crate) fn of_revocation_list(list: &[u8]) -> Option<Self> {
        let list = AnyRef::from_der(list).ok()?;
        let mut fields = next(&mut list.value())?.value();
        let fields = &mut fields;
        // The version may be absent; then come signature and issuer.
        if next(fields)?.tag() == Tag::Integer {
            next(fields)?;
        }
        next(fields)?;
        Self::read(fields)
    }

    /// The two times that come first in `fields`.
    fn read(fields: &mut &[u8]) -> Option<Self> {
        Some(Self {
            not_before: time(next(fields)?)?,
            not_after: time(next(fields)?)?,
        })
    }

    /// The first moment at which it is valid.
    pub(crate) fn not_before(&self) -> SystemTime {
        self.not_before.to_system_time()
    }

    /// The last moment at which it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after.to_system_time()
    }

    /// The same, for the log.
    pub(crate) fn until(&self) -> String {
        self.not_after.to_string()
    }

    /// What is wrong with it at `now`, in words.
    pub(crate) fn warning(&self, now: SystemTime) -> Option<String> {
        if now > self.not_after() {
            Some(format!("the certificate expired at {}", self.not_after))
        } else if now < self.not_before() {
            Some(format!(
                "the certificate is valid from {} only",
                self.not_before
            ))
        } else {
            None
        }
    }
}

/// What people call whom the Name (RFC 5280 4.1.2.4) speaks of whose content is `name`. As the other side chose it:
/// what is not to be seen is replaced, and what is long is cut.
pub(crate) fn called(mut name: &[u8]) -> Option<String> {
    let name = &mut name;
    let mut found: Vec<(ObjectIdentifier, String)> = Vec::new();
    while let Some(mut set) = next(name).map(|set| set.value()) {
        let Some(mut attribute) = next(&mut set).map(|attribute| attribute.value()) else {
            continue;
        };
        let kind = next(&mut attribute).and_then(|kind| kind.decode_as().ok());
        if let (Some(kind), Some(text)) = (kind, next(&mut attribute)) {
            let text = String::from_utf8_lossy(text.value());
            found.push((kind, short(&text, MAX_NAME)));
        }
    }
    let by = |kind: &ObjectIdentifier| found.iter().find(|(known, _)| known == kind);
    KNOWN_BY.iter().find_map(by).map(|(_, text)| text.clone())
}

/// By which octets a token is bound to a connection to who presents `certificate` (RFC 5929 4, with the prefix of RFC 5056 2.1): the
/// certificate's hash by the algorithm that signed it, and by SHA-256 for MD5 and SHA-1. Nothing if that has no one hash.
pub(super) fn channel_bindings(certificate: &[u8]) -> Option<Vec<u8>> {
    use sha2::{Digest as _, Sha256, Sha384, Sha512};
    let fields = AnyRef::from_der(certificate).ok()?;
    let fields = &mut fields.value();
    next(fields)?;
    let algorithm: ObjectIdentifier = next(&mut next(fields)?.value())?.decode_as().ok()?;
    // PKCS #1 (RFC 8017 A.2.4), and ECDSA (RFC 5758 3.2).
    let hash = match &*algorithm.to_string() {
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.10045.4.1"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.3.2" => Sha256::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
        _ => return None,
    };
    Some([b"tls-server-end-point:", &*hash].concat())
}

/// The SubjectPublicKeyInfo (RFC 5280 4.1) whose content is `spki` has an RSA key that is too short for rustls; `None` if it cannot
/// be read.
pub(super) fn is_short_rsa(mut spki: &[u8]) -> Option<bool> {
    let spki = &mut spki;
    let algorithm = next(spki)?;
    if next(&mut algorithm.value())?.decode_as::<ObjectIdentifier>() != Ok(RSA) {
        return Some(false);
    }
    let key = next(spki)?.decode_as::<BitStringRef<'_>>().ok()?;
    let key = AnyRef::from_der(key.as_bytes()?).ok()?;
    let modulus = next(&mut key.value())?.value();
    let significant = modulus.iter().skip_while(|octet| **octet == 0);
    Some(significant.count() < MIN_MODULUS)
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<AnyRef<'a>> {
    let (element, after) = AnyRef::from_der_partial(rest).ok()?;
    *rest = after;
    Some(element)
}

fn time(element: AnyRef<'_>) -> Option<DateTime> {
    match element.tag() {
        Tag::UtcTime => Some(element.decode_as::<UtcTime>().ok()?.to_date_time()),
        _ => Some(element.decode_as::<GeneralizedTime>().ok()?.to_date_time()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use webpki::EndEntityCert;

    use super::*;

    fn named(names: &[(DnType, &str)]) -> Option<String> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let read = EndEntityCert::try_from(certificate.der()).unwrap();
        called(read.subject())
    }

    #[test]
    fn a_name_is_what_people_know_it_by() {
        let both = [
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "R11"),
        ];
        assert_eq!(named(&both).unwrap(), "R11");
        assert_eq!(named(&both[..1]).unwrap(), "Example");
        assert_eq!(named(&[(DnType::CountryName, "DE")]), None);
        assert_eq!(named(&[]), None);
        assert_eq!(called(b"\x31\x05\x30"), None);
    }

    /// Of each algorithm by which certificates are signed (RFC 5929 4.1).
    #[test]
    fn tokens_are_bound_by_the_hash_that_signed_the_certificate() {
        for (algorithm, octets) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            let bindings = channel_bindings(certificate.der());
            let hash = bindings.as_deref().map(|octets| {
                let hash = octets.strip_prefix(b"tls-server-end-point:");
                hash.unwrap().len()
            });
            assert_eq!(hash, octets, "{algorithm:?}");
        }
        assert_eq!(channel_bindings(b"\x30\x02\x30"), None);
    }

    #[test]
    fn no_name_writes_to_a_terminal_what_it_likes() {
        let shown = named(&[(DnType::CommonName, "\u{1b}[2Jhello\n")]).unwrap();
        assert_eq!(shown, "\u{fffd}[2Jhello\u{fffd}");
        let long = named(&[(DnType::CommonName, &"x".repeat(64))]).unwrap();
        assert_eq!(long.len(), 64);
    }
}
