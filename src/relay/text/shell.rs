//! Words of a command that is to be typed.

use std::borrow::Cow;
use std::path::Path;

/// `text` as one word for the shell that people have, who are to type or to copy it: as it is, if every shell takes that for one.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@%+=,".contains(c);
    match text.chars().all(is_plain) && !text.is_empty() {
        true => text.into(),
        false => quoted(text).into(),
    }
}

/// The same of a file's name.
pub(crate) fn path(path: &Path) -> String {
    word(&path.to_string_lossy()).into_owned()
}

/// Between such quotes nothing but they themselves means anything (POSIX.1-2024, Shell Command Language, 2.2.2).
#[cfg(not(windows))]
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// No file's name has such quotes in it, and backslashes need none.
#[cfg(windows)]
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@+=\\".contains(c);
    match text.chars().all(is_plain) && !text.is_empty() {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "")),
    }
}

#[cfg(test)]
mod tests;
