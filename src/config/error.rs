//! A broken rule, shown at the place in the file that breaks it.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::excerpt;
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::urls::without_passwords;

/// A rule that a value breaks. Where the value stands is added by whoever knows the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    rule: String,
    hint: Option<String>,
    place: Option<Place>,
    exit: Exit,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Bytes of the file.
    Span(Range<usize>),
    /// An option of the command line, with its value.
    Option(String),
}

impl Place {
    pub(crate) fn option(option: &str, value: &str) -> Self {
        Self::Option(without_passwords(&format!("{option} {value}")))
    }
}

/// A value as it was written, and where.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) place: Place,
}

impl ConfigError {
    pub(crate) fn new(rule: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            hint: None,
            place: None,
            exit: Exit::Config,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Says where in the file, unless a closer place is known already.
    pub(crate) fn at(self, span: Range<usize>) -> Self {
        self.placed(Place::Span(span))
    }

    /// As [`ConfigError::at`], for a place of either kind.
    pub(crate) fn placed(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    /// What the user reads. `source`: the file that spans refer to, with its text.
    pub(crate) fn into_failure(self, source: Option<(&Path, &str)>) -> Failure {
        let rule = without_passwords(&self.rule);
        let message = match (self.place, source) {
            (Some(Place::Span(span)), Some((path, text))) => point_at(path, text, &span, &rule),
            (Some(Place::Option(option)), _) => format!("{option}: {rule}"),
            (None, Some((path, _))) => format!("{}: {rule}", path.display()),
            (_, None) => rule,
        };
        let failure = Failure::new(self.exit, message);
        match self.hint {
            Some(hint) => failure.hint(without_passwords(&hint)),
            None => failure,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)
    }
}

/// Where a span begins. Lines and columns count from 1, columns in characters.
struct Position<'a> {
    line: usize,
    column: usize,
    /// The whole line.
    text: &'a str,
}

impl<'a> Position<'a> {
    fn of(text: &'a str, span: &Range<usize>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(start..).unwrap_or_default().chars().count() + 1,
            text: line,
        }
    }
}

/// `file:line:column: rule`, the line itself, and carets under the value.
fn point_at(path: &Path, text: &str, span: &Range<usize>, rule: &str) -> String {
    let Position {
        line,
        column,
        text: shown,
    } = Position::of(text, span);
    let marked = text
        .get(span.clone())
        .and_then(|value| value.lines().next())
        .unwrap_or_default();
    let carets = "^".repeat(marked.chars().count().max(1));
    // A tab is as wide as the terminal likes: repeating it keeps the caret under the value.
    let pad: String = shown
        .chars()
        .take(column - 1)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let gutter = " ".repeat(line.to_string().len());
    let path = path.display();
    let excerpt = excerpt::line(text, line - 1);
    format!(
        "{path}:{line}:{column}: {rule}\n{gutter} |\n{line} | {excerpt}\n{gutter} | {pad}{carets}"
    )
}
