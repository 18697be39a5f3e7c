//! Text that somebody else wrote, as people and programs are shown it: in errors, in the doctor's lines and in the status.
//!
//! | room | what it keeps from whom |
//! |---|---|
//! | here | from a terminal, what it would obey, and from people, what they would not see |
//! | `urls` | from everybody, what stands in a URL beside its origin |
//! | `json` | from a terminal, what JSON lets through |
//! | `shell` | from a shell, what it would read as more than a word |
//! | `toml` | from a configuration, what would end a string in it |

pub(crate) mod json;
pub(crate) mod shell;
pub(crate) mod toml;
pub(crate) mod urls;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::explain;
use super::upstream::Fault;
pub(crate) use crate::wire::is_unseen;

/// Letters that are wrong, missing, too much or in each other's place in a name that is misspelt.
const MAX_SLIPS: usize = 2;

/// `text` in one line, each character of which is seen.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    seen(text, is_unseen)
}

/// `text` in as many lines as it has, which may be indented by tabs.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    seen(text, |character| {
        is_unseen(character) && !matches!(character, '\n' | '\t')
    })
}

fn seen(text: &str, is_unseen: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.contains(&is_unseen) {
        return text.replace(is_unseen, "\u{fffd}").into();
    }
    text.into()
}

/// As a string of JSON has it, outside the basic plane too (RFC 8259 7).
fn escaped(character: char) -> String {
    let mut units = [0; 2];
    let units = character.encode_utf16(&mut units).iter();
    units.map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Names as a line of the log has them.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(","),
    }
}

/// At most `max` characters of `text`, and a sign if that is not all.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

/// At most `max` characters of `text` in one line, each of which is seen.
pub(crate) fn short(text: &str, max: usize) -> String {
    line(&cut(text, max)).into_owned()
}

/// The one of `known` that `written` is most likely a misspelling of.
pub(crate) fn closest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let known = known.into_iter().filter(|known| is_similar(written, known));
    known.min_by_key(|known| distance(written, known))
}

/// No more than a slip of the pen lies between two names. It is in no part that is too short for one, and in no number: whoever means
/// US.EXAMPLE.COM or LAB2.TEST has no EU.EXAMPLE.COM or LAB1.TEST in mind.
pub(crate) fn is_similar(one: &str, other: &str) -> bool {
    let is_close = |one: &str, other: &str| {
        let (length, other_length) = (one.chars().count(), other.chars().count());
        length.abs_diff(other_length) <= MAX_SLIPS
            && distance(one, other) <= MAX_SLIPS.min(length.max(other_length) / 3)
    };
    let digits = |name: &str| name.replace(|sign: char| !sign.is_ascii_digit(), "");
    if digits(one) != digits(other) {
        return false;
    }
    let (parts, others) = (one.split('.'), other.split('.'));
    if parts.clone().count() != others.clone().count() {
        return distance(&one.replace('.', ""), &other.replace('.', "")) == 0;
    }
    let mut pairs = parts.zip(others);
    is_close(one, other) && pairs.all(|(one, other)| is_close(one, other))
}

fn distance(one: &str, other: &str) -> usize {
    strsim::damerau_levenshtein(&one.to_ascii_lowercase(), &other.to_ascii_lowercase())
}

/// A value that somebody else chose: quoted and escaped as in JSON unless it is plain, so that it can look like no other
/// value, no second line, and no order to a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:/@$*[]".contains(&octet);
        let Self(text) = *self;
        // "-" stands where there is nothing to say.
        if text.bytes().all(is_plain) && !text.is_empty() && text != "-" {
            return f.write_str(text);
        }
        let quoted = text.chars().map(|character| match character {
            '"' | '\\' => format!("\\{character}"),
            ' '..='~' => character.into(),
            _ => escaped(character),
        });
        write!(f, "\"{}\"", quoted.collect::<String>())
    }
}

/// Text without anything that a terminal obeys or people don't see: whoever wrote it, no order and no second line is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Text(Cow<'static, str>);

impl Text {
    /// A word of this program's own.
    pub const fn fixed(word: &'static str) -> Self {
        Self(Cow::Borrowed(word))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `text` without what stands in URLs beside scheme, host and port: paths may be secrets, and passwords are.
    pub fn of_origins(text: &str) -> Self {
        urls::origins(text).into()
    }

    /// What a fault is, less what only the log may say: it may name principals.
    pub fn of_fault(fault: &Fault) -> Self {
        Self::of_origins(&explain::what(fault))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(line(text).into_owned().into())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind.
    const UNSEEN: &str = "\0\x1b\x7f\u{80}\u{9b}\u{ad}\u{61c}\u{115f}\u{180e}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\
    \u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{3164}\u{fe0f}\u{feff}\u{fffb}\u{1d173}\u{e0041}\u{e01ef}";

    #[test]
    fn what_nobody_sees_is_shown_as_something() {
        for character in UNSEEN.chars() {
            assert!(is_unseen(character), "{character:?}");
            assert_eq!(line(&format!("a{character}b")), "a\u{fffd}b");
            assert_eq!(lines(&format!("a{character}b")), "a\u{fffd}b");
        }
        for text in ["plain, ünïcode", "日本語", "עברית", "\u{fffd}", "e\u{301}"] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn a_misspelt_name_is_known() {
        for (written, expected) in [
            ("EXAMPEL.COM", Some("EXAMPLE.COM")),
            ("EXAMPLE.CO", Some("EXAMPLE.COM")),
            ("examplecom", Some("EXAMPLE.COM")),
            ("CROP", Some("CORP")),
            ("EXAMPLE.ORG", None),
            ("B.EXAMPLE.COM", None),
            ("EU.CORP", None),
            // Whoever numbers realms has several.
            ("CORP2", None),
            ("", None),
        ] {
            let known = ["CORP", "US.CORP", "A.EXAMPLE.COM", "EXAMPLE.COM"];
            assert_eq!(closest(written, known), expected, "{written}");
        }
    }

    #[test]
    fn a_line_is_one() {
        assert_eq!(line("a\n\tb\r"), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(lines("a\n\tb\r"), "a\n\tb\u{fffd}");
    }

    #[test]
    fn what_is_long_is_cut_between_characters() {
        assert_eq!(short("abc", 3), "abc");
        assert_eq!(short("äbcd", 3), "äbc...");
        assert_eq!(short("a\u{1b}[2J", 2), "a\u{fffd}...");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn what_is_read_is_as_harmless_as_what_is_written() {
        let (text, expected) = (
            "a\x1b[31mb\n\u{9b}2J\u{202e}x",
            "a\u{fffd}[31mb\u{fffd}\u{fffd}2J\u{fffd}x",
        );
        assert_eq!(Text::from(text).as_str(), expected);
        assert_eq!(Text::from(text.to_owned()).as_str(), expected);
        let json = serde_json::to_string(text).unwrap();
        let read: Text = serde_json::from_str(&json).unwrap();
        assert_eq!(read.as_str(), expected);
    }
}
