//! Realm names: checked once, kept as sent.

use std::fmt;
use std::sync::Arc;

/// Longest realm that is read, in octets. RFC 4120 sets no bound; a realm names a DNS domain (RFC
/// 4120 6.1), and those end at 255 octets (RFC 1035 2.3.4).
const MAX_REALM: usize = 255;

/// What RFC 6111 3.1 writes in place of a realm that the client keeps to itself.
const ANONYMOUS: &str = "WELLKNOWN:ANONYMOUS";

const UNPRINTABLE: RealmError =
    RealmError("the realm holds a character that is not printable ASCII");

/// A realm as its sender spelled it: 1 to 255 graphic IA5 characters.
///
/// Two spellings can mean one realm, so there is no equality here: compare [`Realm::key`].
#[derive(Clone)]
pub struct Realm {
    text: Arc<str>,
    /// Made once, as each request is compared with others many times.
    key: RealmKey,
}

impl Realm {
    /// Takes the octets of a realm, from a message or from a configuration.
    ///
    /// # Errors
    /// Empty, longer than 255 octets, or an octet outside 0x20 to 0x7e. RFC 4120 5.2.1 allows IA5
    /// control characters with a warning; nobody uses them, and they would reach logs and terminals.
    pub fn parse(octets: &[u8]) -> Result<Self, RealmError> {
        if octets.is_empty() {
            return Err(RealmError("the realm is empty"));
        }
        if octets.len() > MAX_REALM {
            return Err(RealmError("the realm is longer than 255 octets"));
        }
        let text = std::str::from_utf8(octets).ok();
        let text = text.filter(|text| text.bytes().all(|octet| (0x20..=0x7e).contains(&octet)));
        let text: Arc<str> = text.ok_or(UNPRINTABLE)?.into();
        let key = RealmKey::of(&text);
        Ok(Self { text, key })
    }

    /// The spelling that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What equal realms have in common: the one place where letter case is decided.
    ///
    /// RFC 4120 6.1 compares realms with regard to case; [MS-KKDCP] 2.2.2 and Active Directory do
    /// not, and no two realms that differ in case only are known to exist.
    pub fn key(&self) -> RealmKey {
        self.key.clone()
    }

    /// True if this is the name that stands for no realm in particular (RFC 6111 3.1).
    pub(super) fn is_anonymous(&self) -> bool {
        self.text.eq_ignore_ascii_case(ANONYMOUS)
    }
}

impl fmt::Display for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Realm({:?})", self.text)
    }
}

/// A realm for comparing and for looking up: upper case.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RealmKey(Arc<str>);

impl RealmKey {
    fn of(text: &Arc<str>) -> Self {
        if text.bytes().any(|octet| octet.is_ascii_lowercase()) {
            return Self(text.to_ascii_uppercase().into());
        }
        Self(Arc::clone(text))
    }

    /// The realm in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RealmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why octets are not a realm: the sentence that says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RealmError(pub(super) &'static str);

impl fmt::Display for RealmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RealmError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realm_is_kept_as_sent_and_compared_without_case() {
        let realm = Realm::parse(b"Example.COM").unwrap();
        assert_eq!(realm.as_str(), "Example.COM");
        assert_eq!(realm.to_string(), "Example.COM");
        assert_eq!(realm.key(), Realm::parse(b"eXAMPLE.com").unwrap().key());
        assert_eq!(realm.key().to_string(), "EXAMPLE.COM");
        assert_ne!(realm.key(), Realm::parse(b"EXAMPLE.ORG").unwrap().key());
    }

    #[test]
    fn a_realm_has_1_to_255_printable_octets() {
        let kind = |octets: &[u8]| Realm::parse(octets).map(|_| ()).unwrap_err();
        assert_eq!(kind(b"").to_string(), "the realm is empty");
        assert_ne!(kind(&[b'A'; 256]), UNPRINTABLE);
        assert!(Realm::parse(&[b'A'; 255]).is_ok());
        for octet in 0..=255 {
            let parsed = Realm::parse(&[b'A', octet]).map(|_| ());
            let expected = match octet {
                0x20..=0x7e => Ok(()),
                _ => Err(UNPRINTABLE),
            };
            assert_eq!(parsed, expected, "{octet:#x}");
        }
    }
}
