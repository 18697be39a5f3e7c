//! The lines of a file: sections, and relations in them.

use std::sync::Arc;

use super::reader::ProfileReader;
use super::{FileLine, ProfileErrorKind, Relation};

/// How far one file has been read. Included files stand for themselves: sections don't go on across their ends.
pub(super) struct FileCursor {
    pub(super) place: FileLine,
    /// Whether the first section has begun: what stands before it is no content.
    pub(super) has_begun: bool,
    /// Whether the last line ended in `=`, so that `{` must follow.
    pub(super) wants_brace: bool,
    pub(super) sections: Vec<String>,
    /// From which level on relations are ignored, for a section that was marked as final before.
    pub(super) ignored_from: Option<usize>,
}

impl FileCursor {
    pub(super) fn new(file: Option<Arc<str>>) -> Self {
        Self {
            place: FileLine { file, line: 0 },
            has_begun: false,
            wants_brace: false,
            sections: Vec::new(),
            ignored_from: None,
        }
    }
}

impl ProfileReader<'_> {
    /// Reads a line that is no directive.
    ///
    /// # Errors
    /// The mistake in it.
    pub(super) fn content(&mut self, line: &str, state: &mut FileCursor) -> Result<(), String> {
        let line = line.trim_start_matches(is_blank);
        if std::mem::take(&mut state.wants_brace) {
            if line.starts_with('{') {
                return Ok(());
            }
            self.close(state);
            let why = "a { is missing here, or a value in the line before";
            self.fault(state, ProfileErrorKind::Mistake, why);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        match line.chars().next() {
            None | Some('#' | ';') => Ok(()),
            Some('[') => self.section(line, state),
            Some('}') if state.sections.len() < 2 => Err("there is no { for this }".to_owned()),
            Some('}') => {
                if line.starts_with("}*") && state.ignored_from.is_none() {
                    self.finals.insert(state.sections.clone());
                }
                self.close(state);
                Ok(())
            }
            Some(_) => self.relation(line, state),
        }
    }

    /// `[name]` or `[name]*`.
    fn section(&mut self, line: &str, state: &mut FileCursor) -> Result<(), String> {
        let was_open = state.sections.len() > 1;
        state.sections.clear();
        state.ignored_from = None;
        let named = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((name, rest)) = named else {
            return Err("the ] of a section is missing".to_owned());
        };
        state.sections.push(name.to_owned());
        if self.finals.contains(&state.sections) {
            state.ignored_from = Some(1);
        }
        let rest = match rest.strip_prefix('*') {
            Some(rest) => {
                self.charge(octets(&state.sections), state);
                self.finals.insert(state.sections.clone());
                rest
            }
            None => rest,
        };
        match (was_open, rest.trim_start_matches(is_blank)) {
            (true, _) => Err("a section begins before the } of the last one".to_owned()),
            (false, "") => Ok(()),
            (false, _) => Err("nothing may stand behind the name of a section".to_owned()),
        }
    }

    /// `name = value`, `name = {`, or `name =` with `{` in the next line.
    fn relation(&mut self, line: &str, state: &mut FileCursor) -> Result<(), String> {
        let Some((tag, value)) = line.split_once('=') else {
            return Err("has no =".to_owned());
        };
        let tag = tag.trim_end_matches(is_blank);
        if tag.is_empty() || tag.contains(is_blank) {
            return Err("one word must stand before the =".to_owned());
        }
        let (name, is_final) = match tag.split_once('*') {
            Some((name, _)) => (name, true),
            None => (tag, false),
        };
        let value = value.trim_start_matches(is_blank);
        let opens = |brace: &str| brace.trim_end_matches(is_blank).is_empty();
        if value.is_empty() || value.strip_prefix('{').is_some_and(opens) {
            state.wants_brace = value.is_empty();
            self.open(name, is_final, state);
        } else {
            self.keep(name, unquoted(value), is_final, state);
        }
        Ok(())
    }

    fn open(&mut self, name: &str, is_final: bool, state: &mut FileCursor) {
        state.sections.push(name.to_owned());
        self.charge(octets(&state.sections), state);
        if state.ignored_from.is_some() {
            return;
        }
        if self.finals.contains(&state.sections) {
            state.ignored_from = Some(state.sections.len());
        }
        if is_final {
            self.finals.insert(state.sections.clone());
        }
    }

    fn close(&self, state: &mut FileCursor) {
        state.sections.pop();
        let level = state.sections.len();
        state.ignored_from = state.ignored_from.filter(|from| *from <= level);
    }

    fn keep(&mut self, name: &str, value: String, is_final: bool, state: &FileCursor) {
        let mut path = state.sections.clone();
        path.push(name.to_owned());
        if !self.charge(size_of::<Relation>() + octets(&path) + value.len(), state) {
            return;
        }
        let is_ignored = state.ignored_from.is_some() || self.finals.contains(&path);
        if is_final && !is_ignored {
            self.finals.insert(path);
        }
        self.profile.relations.push(Relation {
            sections: state.sections.clone(),
            name: name.to_owned(),
            value,
            place: state.place.clone(),
            is_ignored,
        });
    }
}

/// A value without its quotes, if it begins with one: then it ends with the next one, whatever follows.
fn unquoted(value: &str) -> String {
    let Some(quoted) = value.strip_prefix('"') else {
        return value.trim_end_matches(is_blank).to_owned();
    };
    let mut plain = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next().filter(|character| *character != '"') {
        plain.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('t') => '\t',
                Some('b') => '\x08',
                Some(other) => other,
                None => '\\',
            },
            other => other,
        });
    }
    plain
}

/// What a path takes in memory.
fn octets(path: &[String]) -> usize {
    path.iter()
        .map(|name| size_of::<String>() + name.len())
        .sum()
}

/// isspace(3) in the C locale.
pub(super) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}
