//! Our part of a krb5.conf that is somebody else's: lines between markers.
//!
//! Pure, and of octets: the rest of the file may be in any encoding, and is kept as it is.

const BEGIN: &str =
    "# >>> loopkdc: added by \"loopkdc krb5-conf --install\", taken out by --remove";
const END: &str = "# <<< loopkdc";
/// How lines of the markers are known, whatever is said behind.
const BEGINS: &[u8] = b"# >>> loopkdc";
const ENDS: &[u8] = b"# <<< loopkdc";

const FILE_MADE: &str = "# There was no file.";
const DIRECTORY_MADE: &str = "# There was no directory.";
const LINE_ENDED: &str = "# The line before had no end.";
const COPY: &str = "# The file as it was: ";

/// What --remove is to know, in comments behind the first marker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The file was made for our part, so that it goes with it.
    pub(super) file_made: bool,
    /// The directory of the includedir was.
    pub(super) directory_made: bool,
    /// The line before our part had no end, and got one.
    pub(super) line_ended: bool,
    /// Where the file is as it was before: for people.
    pub(super) copy: Option<String>,
}

/// A krb5.conf, by our part of it.
#[derive(Debug)]
pub(super) struct SplitFile {
    before: Vec<u8>,
    /// The markers, and what is between them. Empty: there is no part.
    part: Vec<u8>,
    after: Vec<u8>,
}

/// How our part has libkrb5 read the stanzas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartForm {
    /// By an includedir.
    Include,
    /// They stand there themselves.
    Inline,
}

impl SplitFile {
    /// # Errors
    /// The line, from 1 on, of a marker that has no other, or of a second part.
    pub(super) fn parse(text: &[u8]) -> Result<Self, usize> {
        let (mut begin, mut end, mut at) = (None, None, 0);
        for (line, number) in text.split_inclusive(|octet| *octet == b'\n').zip(1..) {
            let next = at + line.len();
            match (begin, end, line.starts_with(BEGINS), line.starts_with(ENDS)) {
                (None, _, true, _) => begin = Some((at, number)),
                (Some(_), None, _, true) => end = Some(next),
                (_, _, false, false) => {}
                _ => return Err(number),
            }
            at = next;
        }
        let range = match (begin, end) {
            (None, _) => text.len()..text.len(),
            (Some((begin, _)), Some(end)) => begin..end,
            (Some((_, number)), None) => return Err(number),
        };
        let (before, rest) = text.split_at(range.start);
        let (part, after) = rest.split_at(range.len());
        Ok(Self {
            before: before.to_vec(),
            part: part.to_vec(),
            after: after.to_vec(),
        })
    }

    /// None: there is no part.
    pub(super) fn form(&self) -> Option<PartForm> {
        if self.part.is_empty() {
            return None;
        }
        match self.lines().any(|line| line.starts_with("[realms]")) {
            true => Some(PartForm::Inline),
            false => Some(PartForm::Include),
        }
    }

    /// What is known of how the part came there.
    pub(super) fn origin(&self) -> Origin {
        let says = |words: &str| self.lines().any(|line| line == words);
        let copy = self.lines().find_map(|line| line.strip_prefix(COPY));
        Origin {
            file_made: says(FILE_MADE),
            directory_made: says(DIRECTORY_MADE),
            line_ended: says(LINE_ENDED),
            copy: copy.map(str::to_owned),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.part.split(|octet| *octet == b'\n');
        lines.filter_map(|line| std::str::from_utf8(line).ok())
    }

    /// The file without the part: as it was, but for what was changed outside of it.
    pub(super) fn rest(&self) -> Vec<u8> {
        let ended = self.before.strip_suffix(b"\n");
        let before = ended.filter(|_| self.origin().line_ended);
        [before.unwrap_or(&self.before), &self.after].concat()
    }

    /// The file with another part in the place of this one.
    pub(super) fn with(&self, part: &str) -> Vec<u8> {
        [&self.before, part.as_bytes(), &self.after].concat()
    }
}

/// Where a part goes in a file that has none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spot {
    at: usize,
    /// Whether the line before has no end.
    pub(super) wants_newline: bool,
}

impl Spot {
    /// An includedir goes before all: what is included first is asked first, and Java takes an includedir for one before the
    /// first section alone. Sections go there too if nothing but comments stands before the file's first section; else they go
    /// right before that, as what stands behind them would be read as a part of ours, and an include there is a mistake to Java.
    pub(super) fn find(text: &[u8], form: PartForm) -> Self {
        let lines = text.split_inclusive(|octet| *octet == b'\n');
        let head: Vec<_> = lines.take_while(|line| !line.starts_with(b"[")).collect();
        if form == PartForm::Include || head.iter().all(|line| is_comment(line)) {
            return Self {
                at: 0,
                wants_newline: false,
            };
        }
        Self {
            at: head.concat().len(),
            wants_newline: head.last().is_some_and(|line| !line.ends_with(b"\n")),
        }
    }

    /// The file with the part there.
    pub(super) fn with(&self, text: &[u8], part: &str) -> Vec<u8> {
        let (before, after) = text.split_at(self.at.min(text.len()));
        let newline: &[u8] = if self.wants_newline { b"\n" } else { b"" };
        [before, newline, part.as_bytes(), after].concat()
    }
}

fn is_comment(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#' | b';'))
}

/// The first line that belongs to no section, if the file has none: behind a section of ours it would be a mistake.
pub(super) fn stray_line(text: &[u8]) -> Option<usize> {
    let lines: Vec<_> = text.split(|octet| *octet == b'\n').collect();
    if lines.iter().any(|line| line.starts_with(b"[")) {
        return None;
    }
    let is_include = |line: &[u8]| line.trim_ascii_start().starts_with(b"include");
    let stray = lines
        .iter()
        .position(|line| !is_comment(line) && !is_include(line));
    stray.map(|index| index + 1)
}

/// Our part: `content` between the markers, with what --remove is to know.
pub(super) fn part(origin: &Origin, content: &str) -> String {
    let mut part = format!("{BEGIN}\n");
    for (is_so, words) in [
        (origin.file_made, FILE_MADE),
        (origin.directory_made, DIRECTORY_MADE),
        (origin.line_ended, LINE_ENDED),
    ] {
        if is_so {
            part += &format!("{words}\n");
        }
    }
    if let Some(copy) = &origin.copy {
        part += &format!("{COPY}{copy}\n");
    }
    part + content + END + "\n"
}
