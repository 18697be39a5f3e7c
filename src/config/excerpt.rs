//! The line of a file that an error shows. Errors end up in journals and with help desks: what may be a secret has an asterisk for
//! each of its characters. The key at the line's beginning alone says what is shown; a line without one is masked.

use std::ops::Range;
use std::path::Path;

use super::keys::{CLIENT_PARTS, ConfigKey, KDC_PARTS, LISTEN_PARTS, Mark, REMOVED};
use crate::relay::finding::FilePosition;
use crate::relay::text::urls::without_secrets;

/// Where `span` begins, and the line there with carets under the value. Lines and columns count from 1, columns in characters.
pub(super) fn of(path: &Path, text: &str, span: &Range<usize>) -> (FilePosition, String) {
    let before = text.get(..span.start).unwrap_or(text);
    let (_, before_on_line) = before.rsplit_once('\n').unwrap_or(("", before));
    let line = before.matches('\n').count() + 1;
    let shown = self::line(text.lines().nth(line - 1).unwrap_or_default());
    let marked = text
        .get(span.clone())
        .and_then(|value| value.lines().next());
    let carets = "^".repeat(marked.unwrap_or_default().chars().count().max(1));
    // A tab is as wide as the terminal likes: repeating it keeps the caret under the value.
    let pad: String = before_on_line.replace(|character| character != '\t', " ");
    let gutter = " ".repeat(line.to_string().len());
    let excerpt = format!("{gutter} |\n{line} | {shown}\n{gutter} | {pad}{carets}");
    let position = FilePosition {
        path: path.display().to_string(),
        line: Some(line),
        column: Some(before_on_line.chars().count() + 1),
    };
    (position, excerpt)
}

/// What may be shown of `line`, with as many characters as it has.
pub(super) fn line(line: &str) -> String {
    let shown = without_secrets(line);
    let (name, value) = line.split_once('=').unwrap_or_default();
    let is_shown = match ConfigKey::named(name.trim()) {
        Some(key) if key.is(Mark::Masked) => false,
        Some(key) => !has_other_keys(value) && (!key.is(Mark::ShowsHosts) || are_hosts(&shown)),
        None => is_header(line) || REMOVED.contains(&name.trim()),
    };
    if is_shown { shown } else { masked(line) }
}

/// `[table]` and nothing else.
fn is_header(line: &str) -> bool {
    let name = line
        .trim_end()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    name.is_some_and(|name| name.starts_with(is_of_key) && !name.contains(']'))
}

/// Of URLs, `line` tells no more than the host; nothing else in it may be more than that.
fn are_hosts(line: &str) -> bool {
    let mut words = line.split(['"', '\'', ' ', '\t', ',', '[', ']']);
    words.all(|word| word.contains("://") || !word.contains(['/', '\\', '@', '?', '#']))
}

/// A key stands outside of quotes in `value`, other than those of the tables that a value may be made of.
fn has_other_keys(value: &str) -> bool {
    let unquoted: String = value.split('"').step_by(2).collect();
    let is_part = |before: &str| {
        let tables = [&KDC_PARTS, &LISTEN_PARTS, &CLIENT_PARTS];
        let mut parts = tables.into_iter().flat_map(|table| table.keys);
        parts.any(|key| before.trim_end().ends_with(key.name))
    };
    !unquoted.split('=').rev().skip(1).all(is_part)
}

/// The key, if there is one, and asterisks.
fn masked(line: &str) -> String {
    let (name, value) = line.split_once('=').unwrap_or_default();
    let has_value = !value.trim_matches(['=', ' ']).is_empty();
    let is_key = has_value && name.trim().chars().all(is_of_key);
    let (key, rest) = line.split_at(if is_key { name.len() } else { 0 });
    let is_shown = |c: char| c.is_whitespace() || "=:[]{}\"',#".contains(c);
    key.to_owned() + &rest.replace(|c| !is_shown(c), "*")
}

fn is_of_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}
