//! From file to file: includes, and how much is read of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::content::{FileCursor, is_blank};
use super::{FileSystem, Include, Profile, ProfileError, ProfileErrorKind};

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
const MAX_FAULTS: usize = 50;

/// Reads files, and those that they include.
pub(super) struct ProfileReader<'a> {
    pub(super) files: &'a mut dyn FileSystem,
    pub(super) profile: Profile,
    /// Sections and relations that are marked as final, by the path to them.
    pub(super) finals: HashSet<Vec<String>>,
    /// The files being read, each included by the one before it.
    open: Vec<Arc<str>>,
    files_left: usize,
    octets_left: usize,
    /// Nothing more is read.
    pub(super) is_full: bool,
}

impl<'a> ProfileReader<'a> {
    pub(super) fn new(files: &'a mut dyn FileSystem) -> Self {
        Self {
            files,
            profile: Profile::default(),
            finals: HashSet::new(),
            open: Vec::new(),
            files_left: MAX_FILES,
            octets_left: MAX_MIB * 1024 * 1024,
            is_full: false,
        }
    }

    /// Reads the text of a file that no other includes. `name`: what its places are called by.
    pub(super) fn first(&mut self, path: &str, name: Option<Arc<str>>, text: &str) {
        self.open.push(path.into());
        self.file(name, text);
        self.open.pop();
    }

    fn file(&mut self, name: Option<Arc<str>>, text: &str) {
        let mut state = FileCursor::new(name);
        for (index, line) in text.split('\n').enumerate() {
            state.place.line = index + 1;
            if index == 0 {
                self.charge(text.len(), &state);
            }
            if self.is_full {
                return;
            }
            // To C, a string ends with its first NUL.
            let line = line.split('\0').next().unwrap_or_default();
            if line.len() > MAX_LINE {
                let why =
                    format!("is longer than {MAX_LINE} octets, and MIT reads it as several lines");
                self.fault(&state, ProfileErrorKind::Mistake, why);
            } else if !self.line(line, &mut state) {
                return;
            }
        }
        if state.sections.len() > 1 {
            let why = "a } is missing here, at the end";
            self.fault(&state, ProfileErrorKind::Unclosed, why);
        }
    }

    /// Reads a line; says whether the file goes on.
    fn line(&mut self, line: &str, state: &mut FileCursor) -> bool {
        if let Some(file) = directive(line, "include") {
            self.met(file, false, state);
            self.include(file, state);
        } else if let Some(directory) = directive(line, "includedir") {
            self.met(directory, true, state);
            self.include_directory(directory, state);
        } else if !state.has_begun && directive(line, "module").is_some() {
            let why = "takes the configuration from a module, which is not asked";
            self.fault(state, ProfileErrorKind::Limit, why);
            return false;
        } else if state.has_begun || line.starts_with('[') {
            state.has_begun = true;
            if let Err(why) = self.content(line, state) {
                self.fault(state, ProfileErrorKind::Mistake, why);
            }
            return self.is_shallow(state);
        }
        true
    }

    fn is_shallow(&mut self, state: &FileCursor) -> bool {
        let names: usize = state.sections.iter().map(String::len).sum();
        let why = if state.sections.len() > MAX_DEPTH {
            format!("opens more than {MAX_DEPTH} levels of braces")
        } else if names > MAX_NAMES {
            format!("opens sections whose names have more than {MAX_NAMES} octets together")
        } else {
            return true;
        };
        self.fault(state, ProfileErrorKind::Limit, why);
        false
    }

    fn met(&mut self, path: &str, is_directory: bool, state: &FileCursor) {
        if self.charge(size_of::<Include>() + path.len(), state) {
            self.profile.includes.push(Include {
                path: path.to_owned(),
                is_directory,
                place: state.place.clone(),
                is_late: state.has_begun,
            });
        }
    }

    fn include(&mut self, path: &str, state: &FileCursor) {
        let shown = path.escape_debug();
        if self.open.iter().any(|open| **open == *path) {
            let why = format!("include {shown}: that file is being read already");
            return self.fault(state, ProfileErrorKind::Include, why);
        }
        if self.open.len() > MAX_INCLUDES {
            let why =
                format!("include {shown}: more than {MAX_INCLUDES} files include one another");
            return self.fault(state, ProfileErrorKind::Limit, why);
        }
        if !self.is_one_more("include", path, state) {
            return;
        }
        match self.files.text(path) {
            Ok(text) => {
                let name: Arc<str> = path.into();
                self.open.push(Arc::clone(&name));
                self.file(Some(name), &text);
                self.open.pop();
            }
            Err(why) => {
                let why = format!("include {shown}: {why}");
                self.fault(state, ProfileErrorKind::Include, why);
            }
        }
    }

    pub(super) fn include_directory(&mut self, path: &str, state: &FileCursor) {
        if !self.is_one_more("includedir", path, state) {
            return;
        }
        match self.files.names(path) {
            Ok(mut names) => {
                names.retain(|name| is_included(name));
                names.sort_unstable();
                let directory = path.trim_end_matches('/');
                for name in names {
                    if self.is_full || self.files_left == 0 {
                        self.is_one_more("includedir", path, state);
                        return;
                    }
                    self.include(&format!("{directory}/{name}"), state);
                }
            }
            Err(why) => {
                let why = format!("includedir {}: {why}", path.escape_debug());
                self.fault(state, ProfileErrorKind::Include, why);
            }
        }
    }

    /// Whether one more file, or directory, may be read.
    fn is_one_more(&mut self, word: &str, path: &str, state: &FileCursor) -> bool {
        if self.is_full {
            return false;
        }
        let left = self.files_left.checked_sub(1);
        self.files_left = left.unwrap_or_default();
        if left.is_none() {
            let shown = path.escape_debug();
            let why = format!("{word} {shown}: more than {MAX_FILES} files are included");
            self.fault(state, ProfileErrorKind::Limit, why);
        }
        left.is_some()
    }

    /// Takes note of what is about to be held; says whether there is room for it.
    pub(super) fn charge(&mut self, octets: usize, state: &FileCursor) -> bool {
        match self.octets_left.checked_sub(octets) {
            _ if self.is_full => {}
            Some(left) => self.octets_left = left,
            None => {
                self.is_full = true;
                let why = format!(
                    "takes more than {MAX_MIB} MiB with all that is read before it: nothing is read from here on"
                );
                self.tell(state, ProfileErrorKind::Limit, why);
            }
        }
        !self.is_full
    }

    pub(super) fn fault(
        &mut self,
        state: &FileCursor,
        kind: ProfileErrorKind,
        why: impl Into<String>,
    ) {
        match self.profile.errors.len() {
            MAX_FAULTS => {
                let why = format!("more than {MAX_FAULTS} mistakes: the others are not told");
                self.tell(state, ProfileErrorKind::Limit, why);
            }
            told if told > MAX_FAULTS => {}
            _ => self.tell(state, kind, why.into()),
        }
    }

    fn tell(&mut self, state: &FileCursor, kind: ProfileErrorKind, why: String) {
        let place = state.place.clone();
        self.profile.errors.push(ProfileError { place, why, kind });
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
