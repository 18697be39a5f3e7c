//! JSON (RFC 8259) that may be shown on a terminal: what nobody would see there is escaped.

use serde::Serialize;

use super::{escaped, is_unseen};

/// `value` as a document of several lines, without a newline at its end.
///
/// # Errors
/// Those of [`serde_json::to_string_pretty`].
pub(crate) fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(shown(&serde_json::to_string_pretty(value)?))
}

/// The same document as `document`, which is valid. Outside of strings JSON has nothing that is not ASCII, and of its controls
/// three, none of which means more than a space; inside of them it has all but controls below the space.
pub(crate) fn shown(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            '\r' => shown.push(' '),
            character if is_unseen(character) => shown.push_str(&escaped(character)),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn it_says_the_same_and_gives_no_orders() {
        let said = "\x1b[2J\x7f\u{9b}2J\u{202e}x\u{200b}\u{e0041}\n\"ü\u{fffd}";
        let value = json!({ said: [said, 1] });
        let raw = serde_json::to_string(&value).unwrap();
        for document in [shown(&raw), pretty(&value).unwrap()] {
            let is_seen = |c: char| c == '\n' || !is_unseen(c);
            assert!(document.chars().all(is_seen), "{document:?}");
            assert_eq!(serde_json::from_str::<Value>(&document).unwrap(), value);
        }
        assert!(
            pretty(&value)
                .unwrap()
                .contains("\\u009b2J\\u202ex\\u200b\\udb40\\udc41")
        );
    }

    #[test]
    fn space_between_is_of_one_kind_or_another() {
        let raw = "{\r\n\t\"a\":\r1}\n";
        assert_eq!(shown(raw), "{ \n\t\"a\": 1}\n");
    }
}
