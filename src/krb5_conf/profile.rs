//! The syntax of krb5.conf: sections, relations and includes, as MIT krb5 1.22's profile library reads them.
//!
//! That library gives a file up at its first mistake. Here each mistake is told, and what stands behind it is still read.

use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

/// More levels of braces than any use has.
const MAX_DEPTH: usize = 32;
/// Files that include files, counted from the first one.
const MAX_INCLUDES: usize = 16;
/// Files in all.
const MAX_FILES: usize = 256;
/// MIT's buffer holds 2047 octets with the line's end: what is longer is read as several lines.
const MAX_LINE: usize = 2046;

/// Where the text of included files comes from.
pub(crate) trait Files {
    /// The text of a file, or why it can't be had.
    fn text(&mut self, path: &str) -> Result<String, String>;
    /// The names in a directory, or why they can't be had.
    fn names(&mut self, directory: &str) -> Result<Vec<String>, String>;
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file, if it is an included one.
    pub(crate) file: Option<Rc<str>>,
    pub(crate) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}, line {}", file.escape_debug(), self.line),
            None => write!(f, "line {}", self.line),
        }
    }
}

/// `name = value`, below the sections it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) sections: Vec<String>,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) place: Place,
    /// Whether an earlier one of the name, or of its section's, is marked as final: MIT 1.22 ignores this one.
    pub(crate) is_ignored: bool,
}

/// An `include` or an `includedir`.
#[derive(Clone, Debug)]
pub(crate) struct Include {
    pub(crate) path: String,
    pub(crate) is_directory: bool,
    pub(crate) place: Place,
    /// Whether a section has begun before it: nothing to MIT, and a mistake to Java.
    pub(crate) is_late: bool,
}

/// What files say, in their order, and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) relations: Vec<Relation>,
    pub(crate) includes: Vec<Include>,
    pub(crate) faults: Vec<(Place, String)>,
}

impl Profile {
    /// Relations of this name in these sections, in their order; ignored ones too.
    pub(crate) fn relations<'a>(&'a self, sections: &[&str], name: &str) -> Vec<&'a Relation> {
        let is_one = |relation: &&Relation| relation.name == name && relation.sections == sections;
        self.relations.iter().filter(is_one).collect()
    }
}

/// The one mistake that MIT passes by, and Java and Heimdal do not.
pub(crate) const UNCLOSED: &str = "a } is missing here, at the end";

/// Reads the text of the file `path`, and the files that it includes.
pub(crate) fn read(path: &str, text: &str, files: &mut dyn Files) -> Profile {
    let mut reader = Reader::new(files);
    reader.open.push(path.into());
    reader.file(None, text);
    reader.profile
}

/// Reads these files, the first before the others, as KRB5_CONFIG may list them: what is not there, or can't be read, is
/// told with why.
pub(crate) fn read_all(
    paths: &[String],
    files: &mut dyn Files,
) -> (Profile, Vec<(String, String)>) {
    let mut reader = Reader::new(files);
    let mut missing = Vec::new();
    for path in paths {
        match reader.files.text(path) {
            Ok(text) => {
                let name: Rc<str> = path.as_str().into();
                reader.open.push(Rc::clone(&name));
                reader.file(Some(name), &text);
                reader.open.pop();
            }
            // A directory counts as what an includedir of it would bring (MIT 1.14).
            Err(_) if reader.files.names(path).is_ok() => {
                reader.include_directory(path, &State::new(None));
            }
            Err(why) => missing.push((path.clone(), why)),
        }
    }
    (reader.profile, missing)
}

struct Reader<'a> {
    files: &'a mut dyn Files,
    profile: Profile,
    /// Sections and relations that are marked as final, by the path to them.
    finals: HashSet<Vec<String>>,
    /// The files being read, each included by the one before it.
    open: Vec<Rc<str>>,
    files_left: usize,
}

/// How far one file has been read. Included files stand for themselves: sections don't go on across their ends.
struct State {
    place: Place,
    /// Whether the first section has begun: what stands before it is no content.
    has_begun: bool,
    /// Whether the last line ended in `=`, so that `{` must follow.
    wants_brace: bool,
    sections: Vec<String>,
    /// From which level on relations are ignored, for a section that was marked as final before.
    ignored_from: Option<usize>,
}

impl State {
    fn new(file: Option<Rc<str>>) -> Self {
        Self {
            place: Place { file, line: 0 },
            has_begun: false,
            wants_brace: false,
            sections: Vec::new(),
            ignored_from: None,
        }
    }
}

impl<'a> Reader<'a> {
    fn new(files: &'a mut dyn Files) -> Self {
        Self {
            files,
            profile: Profile::default(),
            finals: HashSet::new(),
            open: Vec::new(),
            files_left: MAX_FILES,
        }
    }

    fn file(&mut self, name: Option<Rc<str>>, text: &str) {
        let mut state = State::new(name);
        for line in text.split('\n') {
            state.place.line += 1;
            // To C, a string ends with its first NUL.
            let line = line.split('\0').next().unwrap_or_default();
            if line.len() > MAX_LINE {
                self.fault(
                    &state,
                    format!("is longer than {MAX_LINE} octets, and MIT reads it as several lines"),
                );
            } else if !self.line(line, &mut state) {
                return;
            }
        }
        if state.sections.len() > 1 {
            self.fault(&state, UNCLOSED.to_owned());
        }
    }

    /// Reads a line; says whether the file goes on.
    fn line(&mut self, line: &str, state: &mut State) -> bool {
        if let Some(file) = directive(line, "include") {
            self.met(file, false, state);
            self.include(file, state);
        } else if let Some(directory) = directive(line, "includedir") {
            self.met(directory, true, state);
            self.include_directory(directory, state);
        } else if !state.has_begun && directive(line, "module").is_some() {
            let why = "takes the configuration from a module, which is not asked";
            self.fault(state, why.to_owned());
            return false;
        } else if state.has_begun || line.starts_with('[') {
            state.has_begun = true;
            if let Err(fault) = self.content(line, state) {
                self.fault(state, fault);
            }
            if state.sections.len() > MAX_DEPTH {
                let why = format!("opens more than {MAX_DEPTH} levels of braces");
                self.fault(state, why);
                return false;
            }
        }
        true
    }

    fn content(&mut self, line: &str, state: &mut State) -> Result<(), String> {
        let line = line.trim_start_matches(is_blank);
        if std::mem::take(&mut state.wants_brace) {
            if line.starts_with('{') {
                return Ok(());
            }
            self.close(state);
            let why = "a { is missing here, or a value in the line before";
            self.fault(state, why.to_owned());
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
    fn section(&mut self, line: &str, state: &mut State) -> Result<(), String> {
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
    fn relation(&mut self, line: &str, state: &mut State) -> Result<(), String> {
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

    fn open(&mut self, name: &str, is_final: bool, state: &mut State) {
        state.sections.push(name.to_owned());
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

    fn close(&self, state: &mut State) {
        state.sections.pop();
        let level = state.sections.len();
        state.ignored_from = state.ignored_from.filter(|from| *from <= level);
    }

    fn keep(&mut self, name: &str, value: String, is_final: bool, state: &State) {
        let mut path = state.sections.clone();
        path.push(name.to_owned());
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

    fn met(&mut self, path: &str, is_directory: bool, state: &State) {
        self.profile.includes.push(Include {
            path: path.to_owned(),
            is_directory,
            place: state.place.clone(),
            is_late: state.has_begun,
        });
    }

    fn include(&mut self, path: &str, state: &State) {
        let shown = path.escape_debug();
        if self.open.iter().any(|open| **open == *path) {
            let why = format!("include {shown}: that file is being read already");
            return self.fault(state, why);
        }
        if self.open.len() > MAX_INCLUDES {
            let why =
                format!("include {shown}: more than {MAX_INCLUDES} files include one another");
            return self.fault(state, why);
        }
        let Some(left) = self.files_left.checked_sub(1) else {
            let why = format!("include {shown}: more than {MAX_FILES} files are included");
            return self.fault(state, why);
        };
        self.files_left = left;
        match self.files.text(path) {
            Ok(text) => {
                let name: Rc<str> = path.into();
                self.open.push(Rc::clone(&name));
                self.file(Some(name), &text);
                self.open.pop();
            }
            Err(why) => self.fault(state, format!("include {shown}: {why}")),
        }
    }

    fn include_directory(&mut self, path: &str, state: &State) {
        let Some(left) = self.files_left.checked_sub(1) else {
            let why = format!(
                "includedir {}: more than {MAX_FILES} files are included",
                path.escape_debug()
            );
            return self.fault(state, why);
        };
        self.files_left = left;
        match self.files.names(path) {
            Ok(mut names) => {
                names.sort_unstable();
                for name in names.iter().filter(|name| is_included(name)) {
                    self.include(&format!("{}/{name}", path.trim_end_matches('/')), state);
                }
            }
            Err(why) => {
                let shown = path.escape_debug();
                self.fault(state, format!("includedir {shown}: {why}"));
            }
        }
    }

    fn fault(&mut self, state: &State, why: String) {
        self.profile.faults.push((state.place.clone(), why));
    }
}

/// What stands behind `word` at the very beginning of a line.
fn directive<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    let rest = rest.strip_prefix(is_blank)?;
    let rest = rest.trim_start_matches(is_blank);
    Some(rest.trim_end_matches(['\r', '\n']))
}

/// Whether a file of a directory is included: names of editors' and packagers' copies are not.
fn is_included(name: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
    !name.starts_with('.') && (name.ends_with(".conf") || name.bytes().all(is_plain))
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

/// isspace(3) in the C locale.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}
