//! From file to file and line to line: includes, sections, relations, and how much is read of them.

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use super::{FileLine, FileSystem, Include, Profile, ProfileError, ProfileErrorKind, Relation};

/// More levels of braces than any use has.
const MAX_DEPTH: usize = 32;
/// More octets of names, of the sections that are open at once, than any use has.
const MAX_NAMES: usize = 4096;
/// Files that include files, counted from the first one.
const MAX_INCLUDES: usize = 16;
/// Files and directories in all that are included.
const MAX_FILES: usize = 256;
/// MIT's buffer holds 2047 octets with the line's end: what is longer is read as several lines.
const MAX_LINE: usize = 2046;
/// What all files together may take, as text and as what is kept of it, in MiB.
const MAX_MIB: usize = 16;
/// Whoever has mended so many looks again.
const MAX_ERRORS: usize = 50;

/// Reads files, and those that they include.
pub(super) struct ProfileReader<'a> {
    pub(super) files: &'a mut dyn FileSystem,
    pub(super) profile: Profile,
    /// Sections and relations that are marked as final, by the path to them.
    finals: HashSet<Vec<String>>,
    /// The files being read, each included by the one before it.
    open: Vec<Arc<str>>,
    /// How far the last of them has been read.
    at: FileCursor,
    files_left: usize,
    octets_left: usize,
    /// Nothing more is read.
    pub(super) is_full: bool,
}

/// How far one file has been read. Included files stand for themselves: sections don't go on across their ends.
#[derive(Default)]
struct FileCursor {
    place: FileLine,
    /// Whether the first section has begun: what stands before it is no content.
    has_begun: bool,
    /// Whether the last line ended in `=`, so that `{` must follow.
    wants_brace: bool,
    sections: Vec<String>,
    /// From which level on relations are ignored, for a section that was marked as final before.
    ignored_from: Option<usize>,
}

/// A mistake in a line, for which MIT gives the configuration up.
type Mistake = &'static str;

impl<'a> ProfileReader<'a> {
    pub(super) fn new(files: &'a mut dyn FileSystem) -> Self {
        Self {
            files,
            profile: Profile::default(),
            finals: HashSet::new(),
            open: Vec::new(),
            at: FileCursor::default(),
            files_left: MAX_FILES,
            octets_left: MAX_MIB * 1024 * 1024,
            is_full: false,
        }
    }

    /// Reads the text of a file. `name`: what its places are called by.
    pub(super) fn file(&mut self, path: &str, name: Option<Arc<str>>, text: &str) {
        self.open.push(path.into());
        let inner = FileCursor {
            place: FileLine {
                file: name,
                line: 0,
            },
            ..FileCursor::default()
        };
        let outer = mem::replace(&mut self.at, inner);
        let is_whole = text.split('\n').zip(1..).all(|(line, number)| {
            self.at.place.line = number;
            let has_room = !self.is_full && (number > 1 || self.charge(text.len()));
            has_room && self.line(line)
        });
        if is_whole && self.at.sections.len() > 1 {
            let why = "a } is missing here, at the end";
            self.error(ProfileErrorKind::Unclosed, why);
        }
        self.at = outer;
        self.open.pop();
    }

    /// Reads a line; says whether the file goes on.
    fn line(&mut self, line: &str) -> bool {
        // To C, a string ends with its first NUL.
        let line = line.split('\0').next().unwrap_or_default();
        if line.len() > MAX_LINE {
            let why =
                format!("is longer than {MAX_LINE} octets, and MIT reads it as several lines");
            self.error(ProfileErrorKind::Mistake, why);
        } else if let Some(file) = directive(line, "include") {
            self.keep_include(file, false);
            self.include(file);
        } else if let Some(directory) = directive(line, "includedir") {
            self.keep_include(directory, true);
            self.include_directory(directory);
        } else if !self.at.has_begun && directive(line, "module").is_some() {
            let why = "takes the configuration from a module, which is not asked";
            self.error(ProfileErrorKind::Limit, why);
            return false;
        } else if self.at.has_begun || line.starts_with('[') {
            self.at.has_begun = true;
            if let Err(why) = self.content(line) {
                self.error(ProfileErrorKind::Mistake, why);
            }
            return self.is_shallow();
        }
        true
    }

    fn is_shallow(&mut self) -> bool {
        let names: usize = self.at.sections.iter().map(String::len).sum();
        let why = if self.at.sections.len() > MAX_DEPTH {
            format!("opens more than {MAX_DEPTH} levels of braces")
        } else if names > MAX_NAMES {
            format!("opens sections whose names have more than {MAX_NAMES} octets together")
        } else {
            return true;
        };
        self.error(ProfileErrorKind::Limit, why);
        false
    }

    fn keep_include(&mut self, path: &str, is_directory: bool) {
        if self.charge(size_of::<Include>() + path.len()) {
            self.profile.includes.push(Include {
                path: path.to_owned(),
                is_directory,
                place: self.at.place.clone(),
                is_late: self.at.has_begun,
            });
        }
    }

    fn include(&mut self, path: &str) {
        let (kind, why) = if self.open.iter().any(|open| **open == *path) {
            let why = "that file is being read already".to_owned();
            (ProfileErrorKind::Include, why)
        } else if self.open.len() > MAX_INCLUDES {
            let why = format!("more than {MAX_INCLUDES} files include one another");
            (ProfileErrorKind::Limit, why)
        } else if !self.is_one_more("include", path) {
            return;
        } else {
            match self.files.text(path) {
                Ok(text) => return self.file(path, Some(path.into()), &text),
                Err(why) => (ProfileErrorKind::Include, why),
            }
        };
        self.error(kind, format!("include {}: {why}", path.escape_debug()));
    }

    pub(super) fn include_directory(&mut self, path: &str) {
        if !self.is_one_more("includedir", path) {
            return;
        }
        let mut names = match self.files.names(path) {
            Ok(names) => names,
            Err(why) => {
                let why = format!("includedir {}: {why}", path.escape_debug());
                return self.error(ProfileErrorKind::Include, why);
            }
        };
        names.retain(|name| is_included(name));
        names.sort_unstable();
        let directory = path.trim_end_matches('/');
        for name in names {
            if self.is_full || self.files_left == 0 {
                self.is_one_more("includedir", path);
                return;
            }
            self.include(&format!("{directory}/{name}"));
        }
    }

    /// Whether one more file, or directory, may be read.
    fn is_one_more(&mut self, word: &str, path: &str) -> bool {
        if self.is_full {
            return false;
        }
        let left = self.files_left.checked_sub(1);
        self.files_left = left.unwrap_or_default();
        if left.is_none() {
            let shown = path.escape_debug();
            let why = format!("{word} {shown}: more than {MAX_FILES} files are included");
            self.error(ProfileErrorKind::Limit, why);
        }
        left.is_some()
    }

    /// Reads a line that is no directive.
    fn content(&mut self, line: &str) -> Result<(), Mistake> {
        let line = line.trim_start_matches(is_blank);
        if mem::take(&mut self.at.wants_brace) {
            if line.starts_with('{') {
                return Ok(());
            }
            self.close();
            let why = "a { is missing here, or a value in the line before";
            self.error(ProfileErrorKind::Mistake, why);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        match line.chars().next() {
            None | Some('#' | ';') => Ok(()),
            Some('[') => self.section(line),
            Some('}') if self.at.sections.len() < 2 => Err("there is no { for this }"),
            Some('}') => {
                if line.starts_with("}*") && self.at.ignored_from.is_none() {
                    self.finals.insert(self.at.sections.clone());
                }
                self.close();
                Ok(())
            }
            Some(_) => self.relation(line),
        }
    }

    /// `[name]` or `[name]*`.
    fn section(&mut self, line: &str) -> Result<(), Mistake> {
        let was_open = self.at.sections.len() > 1;
        self.at.sections.clear();
        self.at.ignored_from = None;
        let named = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (name, rest) = named.ok_or("the ] of a section is missing")?;
        let is_final = rest.starts_with('*');
        self.open(name, is_final);
        let rest = rest.strip_prefix('*').unwrap_or(rest);
        match (was_open, rest.trim_start_matches(is_blank)) {
            (true, _) => Err("a section begins before the } of the last one"),
            (false, "") => Ok(()),
            (false, _) => Err("nothing may stand behind the name of a section"),
        }
    }

    /// `name = value`, `name = {`, or `name =` with `{` in the next line.
    fn relation(&mut self, line: &str) -> Result<(), Mistake> {
        let (tag, value) = line.split_once('=').ok_or("has no =")?;
        let tag = tag.trim_end_matches(is_blank);
        if tag.is_empty() || tag.contains(is_blank) {
            return Err("one word must stand before the =");
        }
        let is_final = tag.contains('*');
        let name = tag.split('*').next().unwrap_or_default();
        let value = value.trim_start_matches(is_blank);
        let bare = value.trim_end_matches(is_blank);
        if bare.is_empty() || bare == "{" {
            self.at.wants_brace = bare.is_empty();
            self.open(name, is_final);
        } else {
            self.keep(name, unquoted(value), is_final);
        }
        Ok(())
    }

    fn open(&mut self, name: &str, is_final: bool) {
        self.at.sections.push(name.to_owned());
        self.charge(octets(&self.at.sections));
        if self.at.ignored_from.is_some() {
            return;
        }
        if self.finals.contains(&self.at.sections) {
            self.at.ignored_from = Some(self.at.sections.len());
        }
        if is_final {
            self.finals.insert(self.at.sections.clone());
        }
    }

    fn close(&mut self) {
        self.at.sections.pop();
        let level = self.at.sections.len();
        self.at.ignored_from = self.at.ignored_from.filter(|from| *from <= level);
    }

    fn keep(&mut self, name: &str, value: String, is_final: bool) {
        let mut path = self.at.sections.clone();
        path.push(name.to_owned());
        if !self.charge(size_of::<Relation>() + octets(&path) + value.len()) {
            return;
        }
        let is_ignored = self.at.ignored_from.is_some() || self.finals.contains(&path);
        if is_final && !is_ignored {
            self.finals.insert(path);
        }
        self.profile.relations.push(Relation {
            sections: self.at.sections.clone(),
            name: name.to_owned(),
            value,
            place: self.at.place.clone(),
            is_ignored,
        });
    }

    /// Takes note of what is about to be held; says whether there is room for it.
    fn charge(&mut self, octets: usize) -> bool {
        match self.octets_left.checked_sub(octets) {
            _ if self.is_full => {}
            Some(left) => self.octets_left = left,
            None => {
                self.is_full = true;
                self.tell(ProfileErrorKind::Limit, format!("takes more than {MAX_MIB} MiB with all that is read before it: nothing is read from here on"));
            }
        }
        !self.is_full
    }

    fn error(&mut self, kind: ProfileErrorKind, why: impl Into<String>) {
        match self.profile.errors.len() {
            MAX_ERRORS => {
                let why = format!("more than {MAX_ERRORS} mistakes: the others are not told");
                self.tell(ProfileErrorKind::Limit, why);
            }
            told if told > MAX_ERRORS => {}
            _ => self.tell(kind, why.into()),
        }
    }

    fn tell(&mut self, kind: ProfileErrorKind, why: String) {
        let place = self.at.place.clone();
        self.profile.errors.push(ProfileError { place, why, kind });
    }
}

/// What stands behind `word` at the very beginning of a line.
fn directive<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?.strip_prefix(is_blank)?;
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

/// What a path takes in memory.
fn octets(path: &[String]) -> usize {
    path.iter()
        .map(|name| size_of::<String>() + name.len())
        .sum()
}

/// isspace(3) in the C locale.
fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}
