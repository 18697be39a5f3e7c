//! From file to file and line to line: includes, sections, relations, and how much is read of them.

use std::fmt;
use std::mem;
use std::sync::Arc;

use super::{FileLine, FileSystem, Include, Profile, ProfileError, ProfileErrorKind, Relation};

/// Files and directories in all that are included.
const MAX_FILES: usize = 256;
/// MIT's buffer holds 2047 octets with the line's end: what is longer is read as several lines.
const MAX_LINE: usize = 2046;
/// What all lines together may take, as text and as what is kept of them, in MiB.
const MAX_MIB: usize = 16;
/// What a line takes besides its own octets and the names of the sections around it.
const KEPT: usize = size_of::<Relation>();
/// Whoever has mended so many looks again.
const MAX_ERRORS: usize = 50;

/// Reads files, and those that they include.
pub(super) struct ProfileReader<'a> {
    pub(super) files: &'a mut dyn FileSystem,
    pub(super) profile: Profile,
    /// The files being read, each included by the one before it.
    open: Vec<Arc<str>>,
    /// How far the last of them has been read.
    at: FileCursor,
    files_read: usize,
    octets_left: usize,
    /// Nothing more is read.
    pub(super) is_full: bool,
}

/// How far one file has been read. Included files stand for themselves: sections don't go on across their ends.
#[derive(Default)]
struct FileCursor {
    place: FileLine,
    /// The first section has begun: what stands before it is no content.
    has_begun: bool,
    /// The last line ended in `=`, so that `{` must follow.
    wants_brace: bool,
    sections: Vec<String>,
}

/// A mistake in a line, for which MIT gives the configuration up.
type SyntaxMistake = &'static str;

impl<'a> ProfileReader<'a> {
    pub(super) fn new(files: &'a mut dyn FileSystem) -> Self {
        Self {
            files,
            profile: Profile::default(),
            open: Vec::new(),
            at: FileCursor::default(),
            files_read: 0,
            octets_left: MAX_MIB * 1024 * 1024,
            is_full: false,
        }
    }

    /// Reads the text of a file.
    pub(super) fn file(&mut self, path: &str, text: &str) {
        let mut inner = FileCursor::default();
        inner.place.file = path.into();
        self.open.push(inner.place.file.clone());
        let outer = mem::replace(&mut self.at, inner);
        for (line, number) in text.split('\n').zip(1..) {
            self.at.place.line = number;
            let sections = self.at.sections.iter();
            let names = sections.map(|name| size_of::<String>() + name.len());
            let taken = KEPT + line.len() + names.sum::<usize>();
            match self.octets_left.checked_sub(taken) {
                Some(left) => self.octets_left = left,
                None => self.give_up(format!("takes more than {MAX_MIB} MiB with all before it")),
            }
            if self.is_full {
                break;
            }
            self.line(line);
        }
        if !self.is_full && self.at.sections.len() > 1 {
            let why = "a } is missing here, at the end";
            self.error(ProfileErrorKind::Unclosed, why);
        }
        self.at = outer;
        self.open.pop();
    }

    fn line(&mut self, line: &str) {
        // To C, a string ends with its first NUL.
        let line = line.split('\0').next().unwrap_or_default();
        if line.len() > MAX_LINE {
            let longer = format!("is longer than {MAX_LINE} octets");
            let why = format!("{longer}, and MIT reads it as several lines");
            self.error(ProfileErrorKind::Mistake, why);
        } else if let Some(file) = directive(line, "include") {
            self.keep_include(file, false);
            self.include(file);
        } else if let Some(directory) = directive(line, "includedir") {
            self.keep_include(directory, true);
            self.include_directory(directory);
        } else if !self.at.has_begun && directive(line, "module").is_some() {
            let why = "has a module say what libkrb5 is to know";
            self.error(ProfileErrorKind::Module, why);
            self.profile.relations.clear();
            self.is_full = true;
        } else if self.at.has_begun || line.starts_with('[') {
            self.at.has_begun = true;
            if let Err(why) = self.content(line) {
                self.error(ProfileErrorKind::Mistake, why);
            }
        } else {
            self.before_sections(line);
        }
    }

    /// Tells what was meant for a section, or an include. The next one after it is no better, and so the first is told alone.
    fn before_sections(&mut self, line: &str) {
        let marked = line.strip_prefix('\u{feff}');
        let is_include = |line| {
            ["include", "includedir"]
                .iter()
                .any(|word| directive(line, word).is_some())
        };
        let (kind, why) = match marked {
            Some(line) if line.starts_with('[') || is_include(line) => (
                ProfileErrorKind::ByteOrderMark,
                "begins with a byte order mark",
            ),
            None if line.trim_start_matches(is_blank).starts_with('[') => {
                (ProfileErrorKind::Indented, "has blanks before the [")
            }
            _ => return,
        };
        let is_told =
            |error: &ProfileError| error.kind == kind && error.place.file == self.at.place.file;
        if !self.profile.errors.iter().any(is_told) {
            self.error(kind, why);
        }
    }

    fn keep_include(&mut self, path: &str, is_directory: bool) {
        self.profile.includes.push(Include {
            path: path.to_owned(),
            is_directory,
            place: self.at.place.clone(),
            is_late: self.at.has_begun,
        });
    }

    fn include(&mut self, path: &str) {
        if !self.is_one_more() {
            return;
        }
        let text = if self.open.iter().any(|open| **open == *path) {
            Err("that file is being read already".to_owned())
        } else {
            self.files.text(path)
        };
        match text {
            Ok(text) => self.file(path, &text),
            Err(why) => self.not_included("include", path, &why),
        }
    }

    pub(super) fn include_directory(&mut self, path: &str) {
        if !self.is_one_more() {
            return;
        }
        let mut names = match self.files.names(path) {
            Ok(names) => names,
            Err(why) => return self.not_included("includedir", path, &why),
        };
        names.retain(|name| is_included(name));
        names.sort_unstable();
        let directory = path.trim_end_matches('/');
        for name in names {
            self.include(&format!("{directory}/{name}"));
        }
    }

    fn not_included(&mut self, word: &str, path: &str, why: &str) {
        let why = format!("{word} {}: {why}", path.escape_debug());
        self.error(ProfileErrorKind::Include, why);
    }

    /// Counts one more file or directory. False: it is one too many.
    fn is_one_more(&mut self) -> bool {
        if self.is_full {
            return false;
        }
        self.files_read += 1;
        if self.files_read == MAX_FILES + 1 {
            let why = format!("more than {MAX_FILES} files are included");
            self.error(ProfileErrorKind::Limit, why);
        }
        self.files_read <= MAX_FILES
    }

    /// Reads a line that is no directive.
    fn content(&mut self, line: &str) -> Result<(), SyntaxMistake> {
        let line = line.trim_start_matches(is_blank);
        if mem::take(&mut self.at.wants_brace) {
            if line.starts_with('{') {
                return Ok(());
            }
            self.at.sections.pop();
            let why = "a { is missing here, or a value in the line before";
            self.error(ProfileErrorKind::Mistake, why);
        }
        let line = line.trim_end_matches(['\r', '\n']);
        match line.chars().next() {
            None | Some('#' | ';') => Ok(()),
            Some('[') => self.section(line),
            Some('}') if self.at.sections.len() < 2 => Err("there is no { for this }"),
            Some('}') => {
                self.at.sections.pop();
                Ok(())
            }
            Some(_) => self.relation(line),
        }
    }

    /// `[name]` or `[name]*`.
    fn section(&mut self, line: &str) -> Result<(), SyntaxMistake> {
        let was_open = self.at.sections.len() > 1;
        self.at.sections.clear();
        let named = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (name, rest) = named.ok_or("the ] of a section is missing")?;
        self.at.sections.push(name.to_owned());
        let unmarked = rest.strip_prefix('*');
        if unmarked.is_some() {
            self.mark_final();
        }
        let rest = unmarked.unwrap_or(rest);
        match (was_open, rest.trim_start_matches(is_blank)) {
            (true, _) => Err("a section begins before the } of the last one"),
            (false, "") => Ok(()),
            (false, _) => Err("nothing may stand behind the name of a section"),
        }
    }

    /// `name = value`, `name = {`, or `name =` with `{` in the next line.
    fn relation(&mut self, line: &str) -> Result<(), SyntaxMistake> {
        let (tag, value) = line.split_once('=').ok_or("has no =")?;
        let tag = tag.trim_end_matches(is_blank);
        if tag.is_empty() || tag.contains(is_blank) {
            return Err("one word must stand before the =");
        }
        let name = tag.split('*').next().unwrap_or_default().to_owned();
        if name != tag {
            self.mark_final();
        }
        let value = value.trim_start_matches(is_blank);
        let bare = value.trim_end_matches(is_blank);
        if bare.is_empty() || bare == "{" {
            self.at.wants_brace = bare.is_empty();
            self.at.sections.push(name);
        } else {
            if bare.starts_with('{') {
                self.error(
                    ProfileErrorKind::OneLine,
                    "has a { and what it is about in one line",
                );
            }
            self.profile.relations.push(Relation {
                sections: self.at.sections.clone(),
                name,
                value: unquoted(value),
                place: self.at.place.clone(),
            });
        }
        Ok(())
    }

    /// MIT adds nothing to what a * stands behind (krb5.conf(5)); here the first is told, and all is read.
    fn mark_final(&mut self) {
        let kind = ProfileErrorKind::Final;
        if !self.profile.errors.iter().any(|error| error.kind == kind) {
            self.error(kind, "a * marks this part as final");
        }
    }

    /// Tells of something wrong, unless there is too much of it.
    fn error(&mut self, kind: ProfileErrorKind, why: impl Into<String>) {
        if self.profile.errors.len() >= MAX_ERRORS {
            return self.give_up(format!("more than {MAX_ERRORS} mistakes"));
        }
        let (place, why) = (self.at.place.clone(), why.into());
        self.profile.errors.push(ProfileError { place, why, kind });
    }

    /// Reads no more, and tells why.
    fn give_up(&mut self, why: impl fmt::Display) {
        if !mem::replace(&mut self.is_full, true) {
            self.profile.errors.push(ProfileError {
                place: self.at.place.clone(),
                why: format!("{why}: nothing is read from here on"),
                kind: ProfileErrorKind::Limit,
            });
        }
    }
}

/// What stands behind `word` at the very beginning of a line.
fn directive<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?.strip_prefix(is_blank)?;
    let rest = rest.trim_start_matches(is_blank);
    Some(rest.trim_end_matches(['\r', '\n']))
}

/// A file of a directory is included unless it has the name of an editor's or a packager's copy.
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
