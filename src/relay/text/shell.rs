//! Words of a command that is to be typed.

use std::borrow::Cow;
use std::path::Path;

/// `text` as one word of a command that people type or copy into a shell: as it is, if every shell takes that for one word.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@%+=,".contains(c);
    if text.chars().all(is_plain) && !text.is_empty() {
        return text.into();
    }
    // Between such quotes nothing but they themselves means anything (POSIX.1-2024, Shell Command Language, 2.2.2).
    format!("'{}'", text.replace('\'', "'\\''")).into()
}

/// The same of a file's name.
pub(crate) fn path(path: &Path) -> String {
    word(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests;
