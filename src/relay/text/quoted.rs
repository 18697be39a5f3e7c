//! Values that somebody else chose, as logs have them.

use std::fmt::{self, Display, Write};

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
        f.write_char('"')?;
        for character in text.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => f.write_char(character)?,
                _ => escape(character, f)?,
            }
        }
        f.write_char('"')
    }
}

/// As RFC 8259 7 has it, outside the basic plane too.
fn escape(character: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut units = [0; 2];
    let mut units = character.encode_utf16(&mut units).iter();
    units.try_for_each(|unit| write!(f, "\\u{unit:04x}"))
}
