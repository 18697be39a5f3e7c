//! The line of a file that an error shows. Errors end up in journals and with help desks: what may be a secret has an asterisk for
//! each of its characters. Whether it is one is told by the key alone, as what is wrong may be the rest.

use std::ops::Range;
use std::path::Path;

use super::keys::{ConfigKey, Disclosure, REMOVED};
use crate::relay::finding::FilePosition;
use crate::relay::text::urls::without_secrets;

/// What stands in a table of `kdcs`.
const PARTS_OF_ADDRESSES: [&str; 2] = ["address", "primary"];

/// Where `span` begins, and the line there with carets under the value. Lines and columns count from 1, columns in characters.
pub(super) fn of(path: &Path, text: &str, span: &Range<usize>) -> (FilePosition, String) {
    let before = text.get(..span.start).unwrap_or(text);
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(begin..).unwrap_or_default().chars().count() + 1;
    let whole = text.get(begin..).and_then(|rest| rest.lines().next());
    let marked = text
        .get(span.clone())
        .and_then(|value| value.lines().next());
    let carets = "^".repeat(marked.unwrap_or_default().chars().count().max(1));
    // A tab is as wide as the terminal likes: repeating it keeps the caret under the value.
    let pad = |character| if character == '\t' { '\t' } else { ' ' };
    let before = whole.unwrap_or_default().chars().take(column - 1);
    let pad: String = before.map(pad).collect();
    let gutter = " ".repeat(line.to_string().len());
    let shown = self::line(text, line - 1);
    let excerpt = format!("{gutter} |\n{line} | {shown}\n{gutter} | {pad}{carets}");
    let position = FilePosition {
        path: path.display().to_string(),
        line: Some(line),
        column: Some(column),
    };
    (position, excerpt)
}

/// What of a line may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LinePart {
    All,
    /// URLs without what stands in them beside the host.
    Hosts,
    /// What stands before its equals sign.
    Key,
    /// The name of a table.
    Table,
    /// Whatever may be shown of the line that it goes on with.
    AsBefore,
}

/// The line of `text` of this number, counted from 0, with as many characters as it has.
pub(super) fn line(text: &str, number: usize) -> String {
    let mut lines: Vec<_> = text.lines().take(number + 1).collect();
    let line = if lines.len() > number {
        lines.pop().unwrap_or_default()
    } else {
        ""
    };
    let before = || {
        let mut before = lines.iter().rev().map(|line| part(line));
        before.find(|shown| *shown != LinePart::AsBefore)
    };
    let shown = match part(line) {
        LinePart::AsBefore => before()
            .filter(|shown| *shown != LinePart::Table)
            .unwrap_or(LinePart::Key),
        shown => shown,
    };
    let hosts = without_secrets(line);
    match shown {
        LinePart::All | LinePart::Table => hosts,
        LinePart::Hosts if are_hosts(&hosts) => hosts,
        LinePart::Hosts | LinePart::Key | LinePart::AsBefore => masked(line),
    }
}

fn part(line: &str) -> LinePart {
    let begin = line.trim_start();
    let keys: Vec<_> = keys(line).collect();
    let are_all = |shown| keys.iter().all(|key| shown_of(key) == Some(shown));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '[';
    match begin.strip_prefix('[') {
        Some(name) if keys.is_empty() && name.starts_with(is_name) => return LinePart::Table,
        _ => {}
    }
    match keys.is_empty() {
        true if begin.is_empty()
            || begin.starts_with(['"', '\'', '[', ']', '{', '}', ',', '#']) =>
        {
            LinePart::AsBefore
        }
        false if are_all(Disclosure::All) || is_meant(begin) => LinePart::All,
        false if are_all(Disclosure::Hosts) => LinePart::Hosts,
        _ => LinePart::Key,
    }
}

/// What may be shown of the value of a key; nothing is known of others than ours.
fn shown_of(key: &str) -> Option<Disclosure> {
    let is_public = PARTS_OF_ADDRESSES.contains(&key) || REMOVED.contains(&key);
    match ConfigKey::named(key) {
        Some(key) => Some(key.shown),
        None => is_public.then_some(Disclosure::All),
    }
}

/// Whether the value is none that somebody has taken the key for, as of one that names a file or a kind: a credential of systemd's
/// by its name, or a word.
fn is_meant(line: &str) -> bool {
    let Some((key, value)) = line.split_once(" = \"") else {
        return false;
    };
    match key {
        "auth" => value
            .bytes()
            .all(|octet| octet.is_ascii_lowercase() || octet == b'"'),
        _ => key.ends_with("-file") && value.starts_with("credential:"),
    }
}

/// The words before equals signs, those in quotes aside: a key in quotes is none of ours.
fn keys(line: &str) -> impl Iterator<Item = &str> {
    let mut quote = None;
    let signs = line.char_indices().filter(move |(_, character)| {
        match (quote, *character) {
            (None, '"' | '\'') => quote = Some(*character),
            (Some(open), character) if open == character => quote = None,
            _ => {}
        }
        quote.is_none() && *character == '='
    });
    signs.map(|(sign, _)| {
        let before = line.get(..sign).unwrap_or_default().trim_end();
        let begin = before
            .rfind(|c: char| !is_of_key(c))
            .map_or(0, |begin| begin + 1);
        before.get(begin..).unwrap_or_default()
    })
}

fn is_of_key(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether `line`, of which URLs tell no more than the host, holds nothing else that could be more than that.
fn are_hosts(line: &str) -> bool {
    let (_, values) = line.split_once('=').unwrap_or(("", line));
    let mut words = values.split(['"', '\'', ' ', '\t', ',', '[', ']']);
    words.all(|word| {
        let host = match word.split_once('/') {
            Some((host, path)) if path.eq_ignore_ascii_case("KdcProxy") => host,
            _ => word,
        };
        word.contains("://") || !host.contains(['/', '\\', '@', '?', '#'])
    })
}

/// The key, if there is one, and asterisks.
fn masked(line: &str) -> String {
    let is_key = |rest: &str| {
        let rest = rest.trim_start_matches([' ', '\t']);
        let value = rest.strip_prefix(['=', ':']);
        value.is_some_and(|value| !value.trim_start().is_empty() && !value.starts_with('='))
    };
    let begin = line.len() - line.trim_start().len();
    let word = line.get(begin..).unwrap_or_default();
    let end = word.find(|c: char| !is_of_key(c)).unwrap_or(word.len());
    let rest = word.get(end..).unwrap_or_default();
    let end = if is_key(rest) { begin + end } else { begin };
    let (shown, rest) = line.split_at(end);
    let is_shown = |c: char| c.is_whitespace() || "=:[]{}\"',#".contains(c);
    let mask = |c| if is_shown(c) { c } else { '*' };
    shown.chars().chain(rest.chars().map(mask)).collect()
}
