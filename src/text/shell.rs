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

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_needs_no_quotes_has_none() {
        for plain in [
            "/etc/loopkdc/config.toml",
            "https://kdcproxy.example.com:8443/",
            "a",
        ] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(path(Path::new("/tmp/my file")), "'/tmp/my file'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn a_shell_reads_it_as_the_word_that_it_is() {
        for text in [
            "",
            "a b",
            "it's",
            "''",
            "$(false) `false` $HOME",
            "~",
            "a;b&c|d>e<f",
            "[::1]",
            "*",
            "\\",
            "\"#!{}",
            "ünï",
            "a\nb",
        ] {
            let script = format!("printf %s {}", word(text));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
