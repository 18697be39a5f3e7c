//! A rule that the configuration breaks, and the line of the file that shows where. Errors end up in journals and with help desks:
//! what may be a secret has an asterisk for each of its characters. The key at the line's beginning alone says what is shown; a line
//! without one is masked.

use std::net::Ipv6Addr;
use std::ops::Range;
use std::path::Path;

use super::document::ConfigSection;
use super::keys::{CLIENT_PARTS, ConfigKey, KDC_PARTS, LISTEN_PARTS, Mark, REMOVED};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{FilePosition, Finding, Hint, Layer};
use crate::relay::text::urls::{without_passwords, without_secrets};

/// A rule that is broken. The first place that is told of it is the closest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    rule: String,
    hints: Vec<Hint>,
    pub(super) place: ConfigPlace,
    exit: Exit,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConfigPlace {
    /// Nowhere in particular: it was left out, or it is a default.
    File,
    /// Bytes of the file.
    Span(Range<usize>),
    /// The value of this key of the service's table.
    Key(&'static ConfigKey),
    /// An option of the command line, with its value.
    Option(String),
}

impl ConfigPlace {
    pub(crate) fn option(option: &str, value: &str) -> Self {
        Self::Option(without_passwords(&format!("{option} {value}")))
    }
}

/// A value, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) place: ConfigPlace,
}

impl Located<String> {
    /// The value of an option of the command line.
    pub(crate) fn option(option: &str, value: &str) -> Self {
        Self {
            value: value.to_owned(),
            place: ConfigPlace::option(option, value),
        }
    }
}

impl<T> Located<T> {
    /// A rule that this value breaks.
    pub(crate) fn error(&self, rule: impl Into<String>) -> ConfigError {
        ConfigError::new(rule).at(&self.place)
    }

    /// What `parse` makes of it; its errors stand at this place.
    pub(crate) fn parse<U>(
        &self,
        parse: impl FnOnce(&T) -> Result<U, ConfigError>,
    ) -> Result<U, ConfigError> {
        parse(&self.value).map_err(|error| error.at(&self.place))
    }
}

impl ConfigError {
    pub(crate) fn new(rule: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            hints: Vec::new(),
            place: ConfigPlace::File,
            exit: Exit::Config,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<Hint>) -> Self {
        let hint = match hint.into() {
            Hint::Text(text) => Hint::Text(without_passwords(&text)),
            hint => hint,
        };
        self.hints.push(hint);
        self
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Says where, unless a closer place is known already.
    pub(crate) fn at(mut self, place: &ConfigPlace) -> Self {
        if self.place == ConfigPlace::File {
            self.place = place.clone();
        }
        self
    }

    /// Says where in `table` the key stands that is to blame.
    pub(super) fn in_table(mut self, table: &ConfigSection) -> Self {
        if let ConfigPlace::Key(key) = self.place {
            self.place = table.place(key);
        }
        self
    }

    /// What the user reads. `source`: the file that spans refer to, with its text.
    pub(crate) fn into_failure(self, source: Option<(&Path, &str)>) -> Failure {
        let rule = without_passwords(&self.rule);
        let finding = match (self.place, source) {
            (ConfigPlace::Span(span), Some((path, text))) => {
                let (position, shown) = excerpt(path, text, &span);
                Finding::fault(format!("{rule}\n{shown}")).in_file(position)
            }
            (ConfigPlace::Option(option), _) => Finding::fault(format!("{option}: {rule}")),
            (_, Some((path, _))) => Finding::fault(rule).in_file(FilePosition {
                path: path.display().to_string(),
                line: None,
                column: None,
            }),
            (_, None) => Finding::fault(rule),
        };
        let finding = finding.on(Layer::Configuration).hints(self.hints);
        Failure::of(self.exit, finding)
    }
}

/// Where `span` begins, and the line there with carets under the value. Lines and columns count from 1, columns in characters.
pub(super) fn excerpt(path: &Path, text: &str, span: &Range<usize>) -> (FilePosition, String) {
    let before = text.get(..span.start).unwrap_or(text);
    let (_, before_on_line) = before.rsplit_once('\n').unwrap_or(("", before));
    let line = before.matches('\n').count() + 1;
    let shown = shown_line(text.lines().nth(line - 1).unwrap_or_default());
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
pub(super) fn shown_line(line: &str) -> String {
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
    words.all(|word| {
        word.contains("://")
            || !word.contains(['/', '\\', '@', '?', '#']) && !has_windows_path(word)
    })
}

/// It has a path as `host:port:path`.
fn has_windows_path(word: &str) -> bool {
    let path = word.splitn(3, ':').nth(2);
    path.is_some_and(|path| !path.eq_ignore_ascii_case("KdcProxy"))
        && word.parse::<Ipv6Addr>().is_err()
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
