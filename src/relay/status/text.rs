//! Text of a report.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::relay::explain;
use crate::relay::text::{line, urls};
use crate::relay::upstream::Fault;

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
