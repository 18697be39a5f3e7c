//! Values that somebody else chose, as logs have them.

use std::fmt::{self, Display};

use super::escaped;

/// A value that somebody else chose: quoted and escaped as in JSON unless it is plain, so that it can look like no other
/// value, no second line, and no order to a terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
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
