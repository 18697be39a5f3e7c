//! Realm names: checked once, kept as sent.

use std::fmt;
use std::sync::Arc;

/// Longest realm that is read, in octets. RFC 4120 sets no bound; a realm names a DNS domain (RFC
/// 4120 6.1), and those end at 255 octets (RFC 1035 2.3.4).
const MAX_REALM: usize = 255;

/// What RFC 6111 3.1 writes in place of a realm that the client keeps to itself.
const ANONYMOUS: &str = "WELLKNOWN:ANONYMOUS";

const UNSHOWN: RealmError = RealmError("the realm holds a character that cannot be shown");

/// A realm as its sender spelled it: 1 to 255 octets of UTF-8, each character of which can be shown.
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
    /// Empty, longer than 255 octets, no UTF-8, or a character that cannot be shown. RFC 4120 5.2.1 has IA5 alone, and names
    /// "8-bit characters" that are sent all the same, of which MIT krb5 and Heimdal make UTF-8; its control characters nobody
    /// uses, and they would reach logs and terminals.
    pub fn parse(octets: &[u8]) -> Result<Self, RealmError> {
        if octets.is_empty() {
            return Err(RealmError("the realm is empty"));
        }
        if octets.len() > MAX_REALM {
            return Err(RealmError("the realm is longer than 255 octets"));
        }
        let text = std::str::from_utf8(octets).ok();
        // U+FFFD stands for what could not be read.
        let text = text.filter(|text| !text.contains(|c| is_unseen(c) || c == '\u{fffd}'));
        let text: Arc<str> = text.ok_or(UNSHOWN)?.into();
        let key = RealmKey::of(&text);
        Ok(Self { text, key })
    }

    /// Takes the octets of a realm from a request, which is answered whatever they are: where they are no realm's they are one
    /// that nobody serves, shown in as much of their spelling as can be.
    pub(super) fn of_request(octets: &[u8]) -> Self {
        Self::parse(octets).unwrap_or_else(|_| {
            let octets = octets.get(..MAX_REALM).unwrap_or(octets);
            let text = String::from_utf8_lossy(octets).replace(is_unseen, "\u{fffd}");
            let key = RealmKey(Arc::from(""));
            Self {
                text: text.into(),
                key,
            }
        })
    }

    /// The spelling that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What equal realms have in common: the one place where letter case is decided.
    ///
    /// RFC 4120 6.1 compares realms with regard to case; [MS-KKDCP] 2.2.2 and Active Directory do
    /// not, and no two realms that differ in case only are known to exist. Beyond ASCII each octet counts: what one
    /// library takes for the same letter is another one to the next.
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

/// A realm for comparing and for looking up: ASCII letters in upper case.
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

    /// True of what a request had in a realm's place and is none: no route leads there, whatever its pattern is.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for RealmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// True if a terminal obeys `character` instead of showing it, or people don't see it: controls of ASCII and ISO 6429, what
/// turns the direction of writing (UAX #9), what begins a line, and what Unicode says is to be ignored where it cannot be
/// shown (Default_Ignorable_Code_Point in DerivedCoreProperties.txt), with the annotation marks.
pub(crate) fn is_unseen(character: char) -> bool {
    // Nearly all text is of these.
    if matches!(character, ' '..='~') {
        return false;
    }
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
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
    fn a_realm_has_1_to_255_octets_of_what_can_be_shown() {
        let kind = |octets: &[u8]| Realm::parse(octets).map(|_| ()).unwrap_err();
        assert_eq!(kind(b"").to_string(), "the realm is empty");
        assert_ne!(kind(&[b'A'; 256]), UNSHOWN);
        assert!(Realm::parse(&[b'A'; 255]).is_ok());
        for octet in 0..=255 {
            let parsed = Realm::parse(&[b'A', octet]).map(|_| ());
            let expected = match octet {
                0x20..=0x7e => Ok(()),
                _ => Err(UNSHOWN),
            };
            assert_eq!(parsed, expected, "{octet:#x}");
        }
        for hidden in [
            "M\u{9b}",
            "M\u{fffd}",
            "M\u{202e}",
            "M\u{200b}",
            "M\u{ad}",
            "\u{feff}M",
        ] {
            assert_eq!(kind(hidden.as_bytes()), UNSHOWN, "{hidden:?}");
        }
    }

    #[test]
    fn beyond_ascii_each_octet_counts() {
        let key = |text: &str| Realm::parse(text.as_bytes()).unwrap().key();
        assert_eq!(key("M\u{dc}nchen.lab"), key("m\u{dc}NCHEN.LAB"));
        assert_ne!(key("M\u{dc}NCHEN.LAB"), key("M\u{fc}NCHEN.LAB"));
        assert_ne!(key("M\u{dc}NCHEN.LAB"), key("MU\u{308}NCHEN.LAB"));
    }

    #[test]
    fn what_a_request_has_in_a_realms_place_is_shown_and_nobodys() {
        let long = [b'A'; 256];
        for (octets, shown) in [
            (&b""[..], ""),
            (b"M\xdcNCHEN.LAB", "M\u{fffd}NCHEN.LAB"),
            (b"A\x1b[2J", "A\u{fffd}[2J"),
            (&long, std::str::from_utf8(&long[1..]).unwrap()),
        ] {
            let realm = Realm::of_request(octets);
            assert_eq!(realm.as_str(), shown);
            assert!(realm.key().is_nobodys());
        }
    }
}
