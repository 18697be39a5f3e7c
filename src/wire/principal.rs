//! Names of principals: as we send them, and as text for people.

use super::asn1::{Element, GeneralString, elements, field, inside};
use super::message::Service;
use der::{Sequence, Tag};

/// NT-PRINCIPAL and NT-SRV-INST (RFC 4120 6.2); the latter for krbtgt/REALM and kadmin/changepw alike.
pub(super) const NT_PRINCIPAL: i32 = 1;
const NT_SRV_INST: i32 = 2;

/// Most octets of a name's text: as many as a realm may have. Nobody's is as long.
pub(super) const MAX_NAME: usize = 255;
/// What ends a name that was cut to that.
const CUT: &str = "...";

/// RFC 4120 5.2.2.
#[derive(Sequence)]
pub(super) struct PrincipalName<'a> {
    #[asn1(context_specific = "0")]
    name_type: i32,
    #[asn1(context_specific = "1")]
    name_string: Vec<GeneralString<'a>>,
}

impl<'a> PrincipalName<'a> {
    pub(super) fn new(name_type: i32, names: &[&'a [u8]]) -> Self {
        Self {
            name_type,
            name_string: names.iter().map(|name| GeneralString::new(name)).collect(),
        }
    }
}

/// krbtgt/REALM (RFC 4120 7.3), or kadmin/changepw (RFC 3244 2).
pub(super) fn server_name(service: Service, realm: &[u8]) -> PrincipalName<'_> {
    let names = match service {
        Service::Kdc => [&b"krbtgt"[..], realm],
        Service::Kpasswd => [&b"kadmin"[..], b"changepw"],
    };
    PrincipalName::new(NT_SRV_INST, &names)
}

/// The text of the PrincipalName (RFC 4120 5.2.2) that `input` holds: its components with slashes between them, escaped as
/// in RFC 1964 2.1.1, so that no two names read alike. Nothing if it holds none.
pub(super) fn text(input: &[u8]) -> Option<String> {
    let name = inside(input, Tag::Sequence)?;
    let components = inside(field(name, 1)?, Tag::Sequence)?;
    let mut text = None;
    for component in elements(components) {
        let component = component?.inside(Tag::GeneralString)?;
        let text = match &mut text {
            None => text.insert(String::new()),
            Some(text) => {
                text.push('/');
                text
            }
        };
        for character in characters(component) {
            escape(character, text);
            if text.len() > MAX_NAME {
                break;
            }
        }
        if text.len() > MAX_NAME {
            cut(text);
            break;
        }
    }
    text
}

/// The same for comparing: nothing is escaped, cut or replaced. Nothing if the name has more than 255 octets, none, or one that
/// readers may take for something else: what is no UTF-8, and controls, such as the NUL at which some of them stop.
pub(super) fn unescaped(input: &[u8]) -> Option<String> {
    let name = inside(input, Tag::Sequence)?;
    let components = inside(field(name, 1)?, Tag::Sequence)?;
    if components.is_empty() || components.len() > 2 * MAX_NAME {
        return None;
    }
    let component = |component: Option<Element<'_>>| {
        let component = component?.inside(Tag::GeneralString)?;
        let text = str::from_utf8(component).ok()?;
        (!text.contains(char::is_control)).then(|| text.to_owned())
    };
    let text: Option<Vec<_>> = elements(components).map(component).collect();
    text.map(|names| names.join("/"))
        .filter(|name| name.len() <= MAX_NAME)
}

/// The characters of a KerberosString: IA5 by RFC 4120 5.2.1, and UTF-8 in practice. What is neither is replaced.
fn characters(octets: &[u8]) -> impl Iterator<Item = char> {
    octets.utf8_chunks().flat_map(|chunk| {
        let replaced = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(replaced)
    })
}

/// RFC 1964 2.1.1.
fn escape(character: char, text: &mut String) {
    let escaped = match character {
        '\0' => '0',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '/' | '@' | '\\' => character,
        _ => return text.push(character),
    };
    text.extend(['\\', escaped]);
}

/// Makes room for what says so.
fn cut(text: &mut String) {
    while text.len() > MAX_NAME - CUT.len() {
        text.pop();
    }
    text.push_str(CUT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::handmade::{field, integer, octets, principal, sequence, string, tlv};

    fn shown(components: &[&str]) -> Option<String> {
        text(&principal(1, components))
    }

    #[test]
    fn components_stand_between_slashes() {
        assert_eq!(shown(&["alice"]).unwrap(), "alice");
        assert_eq!(shown(&["alice", "admin"]).unwrap(), "alice/admin");
        assert_eq!(shown(&["", ""]).unwrap(), "/");
        assert_eq!(shown(&[""]).unwrap(), "");
        assert_eq!(shown(&[]), None);
    }

    #[test]
    fn what_means_something_in_a_name_is_escaped() {
        assert_eq!(shown(&["a/b", "c@d"]).unwrap(), r"a\/b/c\@d");
        assert_eq!(shown(&["\0\x08\t\n\\"]).unwrap(), r"\0\b\t\n\\");
        // RFC 1964 knows no others; who writes lines escapes for them.
        assert_eq!(shown(&["\r \u{7f}\""]).unwrap(), "\r \u{7f}\"");
    }

    #[test]
    fn names_are_utf_8_whatever_was_sent() {
        assert_eq!(shown(&["jürgen"]).unwrap(), "jürgen");
        let latin_1 = tlv(0x1b, &[b"j\xfcrgen"]);
        let name = sequence(&[&field(1, &sequence(&[&latin_1]))]);
        assert_eq!(text(&name).unwrap(), "j\u{fffd}rgen");
    }

    #[test]
    fn a_long_name_is_cut_and_says_so() {
        let longest = "ü".repeat(127);
        assert_eq!(shown(&[&longest]).unwrap(), longest);
        for long in [
            &["x".repeat(256).as_str()][..],
            &["ü".repeat(128).as_str()],
            &["\n".repeat(100_000).as_str()],
            &[""; 300],
        ] {
            let text = shown(long).unwrap();
            assert!((MAX_NAME - 1..=MAX_NAME).contains(&text.len()), "{text}");
            assert!(text.ends_with(CUT), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_has_no_text() {
        let other_type = sequence(&[&field(1, &sequence(&[&octets(b"alice")]))]);
        let half = sequence(&[&field(1, &sequence(&[&string("alice"), b"\x1b\x05a"]))]);
        let no_names = sequence(&[&field(0, &integer(1))]);
        for name in [&other_type[..], &half, &no_names, &string("alice"), b""] {
            assert_eq!(text(name), None);
        }
    }
}
