//! Text that a terminal can be shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Text without anything that a terminal obeys: whoever wrote it, no order and no second line is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `text` without what stands in URLs beside scheme, host and port: paths may be secrets, and passwords are.
    #[must_use]
    pub fn of_origins(text: &str) -> Self {
        let mut kept = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("://") {
            let end = after.find(|c: char| c.is_whitespace() || "\"'<>,;".contains(c));
            let (url, after) = after.split_at(end.unwrap_or(after.len()));
            let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rsplit('@').next().unwrap_or_default();
            kept.extend([before, "://", host]);
            rest = after;
        }
        kept.push_str(rest);
        kept.into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        match text.chars().any(is_order) {
            true => Self(text.chars().map(shown).collect()),
            false => Self(text),
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Controls, and what changes the direction of writing (Unicode's bidirectional controls) or has no width.
fn is_order(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

fn shown(character: char) -> char {
    match is_order(character) {
        true => char::REPLACEMENT_CHARACTER,
        false => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_urls_nothing_but_the_origin_is_left() {
        for (text, expected) in [
            ("no URL", "no URL"),
            ("https://p.example/secret", "https://p.example"),
            ("https://u:p@[::1]:8443?q=1 and", "https://[::1]:8443 and"),
            ("\"http://a/b\", http://c/d: x", "\"http://a\", http://c x"),
        ] {
            assert_eq!(Text::of_origins(text).as_str(), expected);
        }
    }

    #[test]
    fn no_order_to_a_terminal_is_left() {
        for (text, expected) in [
            ("plain, ünïcode", "plain, ünïcode"),
            ("a\x1b[31mb\nc", "a\u{fffd}[31mb\u{fffd}c"),
            ("\u{9b}2J\u{202e}x", "\u{fffd}2J\u{fffd}x"),
        ] {
            assert_eq!(Text::from(text).as_str(), expected);
            let json = serde_json::to_string(text).unwrap();
            let read: Text = serde_json::from_str(&json).unwrap();
            assert_eq!(read.as_str(), expected);
        }
    }
}
