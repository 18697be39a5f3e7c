//! Our part of a krb5.conf that is somebody else's: lines between markers.
//!
//! Pure, and of octets: the rest of the file may be in any encoding, and is kept as it is.

use super::drop_in::DropIn;

const BEGIN: &str =
    "# >>> loopkdc: added by \"loopkdc krb5-conf --install\", taken out by --remove";
const END: &str = "# <<< loopkdc";
/// How lines of the markers are known, whatever is said behind.
const BEGINS: &[u8] = b"# >>> loopkdc";
const ENDS: &[u8] = b"# <<< loopkdc";

const FILE_MADE: &str = "# There was no file.";
const DIRECTORY_MADE: &str = "# There was no directory.";
const LINE_ENDED: &str = "# The line before had no end.";
const BACKUP: &str = "# The file as it was: ";

/// What stands between the markers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// An includedir of this directory.
    Include(String),
    /// The stanzas themselves.
    Inline(String),
}

/// What --remove is to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The file was made for it, so that it goes with it.
    pub(super) file_made: bool,
    /// The directory of the includedir was.
    pub(super) directory_made: bool,
    /// The line before it had no end, and got one.
    pub(super) line_ended: bool,
    /// Where the file is as it was before.
    pub(super) backup: Option<String>,
}

/// A krb5.conf in three parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Split<'a> {
    before: &'a [u8],
    /// The markers, and what is between them.
    ours: &'a [u8],
    after: &'a [u8],
}

/// Markers that are not one pair.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpaired {
    /// The line, from 1 on.
    pub(super) line: usize,
}

/// Finds our part.
///
/// # Errors
/// A marker that has no other, or a second part.
pub(super) fn find(text: &[u8]) -> Result<Option<Split<'_>>, Unpaired> {
    let (mut begin, mut end, mut at) = (None, None, 0);
    for (index, line) in text.split_inclusive(|octet| *octet == b'\n').enumerate() {
        let unpaired = Err(Unpaired { line: index + 1 });
        let next = at + line.len();
        match (begin, end, line.starts_with(BEGINS), line.starts_with(ENDS)) {
            (None, _, true, _) => begin = Some((at, index + 1)),
            (Some(_), None, _, true) => end = Some(next),
            (_, _, false, false) => {}
            _ => return unpaired,
        }
        at = next;
    }
    let (Some((begin, _)), Some(end)) = (begin, end) else {
        return begin.map_or(Ok(None), |(_, line)| Err(Unpaired { line }));
    };
    let (before, rest) = text.split_at(begin);
    let (ours, after) = rest.split_at(end - begin);
    Ok(Some(Split {
        before,
        ours,
        after,
    }))
}

impl Split<'_> {
    /// What is known of how the part came there.
    pub(super) fn origin(&self) -> Origin {
        let says = |words: &str| self.lines().any(|line| line == words);
        let backup = self
            .lines()
            .find_map(|line| line.strip_prefix(BACKUP).map(str::to_owned));
        Origin {
            file_made: says(FILE_MADE),
            directory_made: says(DIRECTORY_MADE),
            line_ended: says(LINE_ENDED),
            backup,
        }
    }

    /// Whether the stanzas stand here themselves.
    pub(super) fn is_inline(&self) -> bool {
        self.lines().any(|line| line.starts_with("[realms]"))
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.ours.split(|octet| *octet == b'\n');
        lines.filter_map(|line| std::str::from_utf8(line).ok())
    }

    /// The file without the part: as it was, but for what was changed outside of it.
    pub(super) fn rest(&self) -> Vec<u8> {
        let before = match self.origin().line_ended {
            true => self.before.strip_suffix(b"\n").unwrap_or(self.before),
            false => self.before,
        };
        [before, self.after].concat()
    }

    /// The file with another part in the place of this one.
    pub(super) fn with(&self, part: &str) -> Vec<u8> {
        [self.before, part.as_bytes(), self.after].concat()
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
    /// Before all: what is included first is asked first, and Java takes an includedir for one before the first section
    /// alone.
    pub(super) const TOP: Self = Self {
        at: 0,
        wants_newline: false,
    };

    /// For sections. Java knows no include behind the first of them, and what stands before it without being a comment
    /// would be read as a part of ours.
    pub(super) fn for_sections(text: &[u8]) -> Self {
        let mut at = 0;
        let mut is_bare = true;
        for line in text.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b"[") {
                break;
            }
            let content = line.trim_ascii_start().first();
            is_bare &= matches!(content, None | Some(b'#' | b';'));
            at += line.len();
        }
        if is_bare {
            return Self::TOP;
        }
        let wants_newline = text
            .get(..at)
            .is_some_and(|before| !before.ends_with(b"\n"));
        Self { at, wants_newline }
    }

    /// The file with the part there.
    pub(super) fn with(&self, text: &[u8], part: &str) -> Vec<u8> {
        let (before, after) = text.split_at(self.at.min(text.len()));
        let newline: &[u8] = if self.wants_newline { b"\n" } else { b"" };
        [before, newline, part.as_bytes(), after].concat()
    }
}

/// The first line that belongs to no section, if the file has none: behind a section of ours it would be a mistake.
pub(super) fn stray_line(text: &[u8]) -> Option<usize> {
    let mut lines = text.split(|octet| *octet == b'\n').enumerate();
    let has_section = text
        .split(|octet| *octet == b'\n')
        .any(|line| line.starts_with(b"["));
    let is_stray = |line: &[u8]| {
        let content = line.trim_ascii_start();
        !(content.is_empty()
            || content.starts_with(b"#")
            || content.starts_with(b";")
            || content.starts_with(b"include"))
    };
    match has_section {
        true => None,
        false => lines
            .find(|(_, line)| is_stray(line))
            .map(|(index, _)| index + 1),
    }
}

/// Our part, with its markers.
pub(super) fn part(content: &Content, origin: &Origin, made: &DropIn) -> String {
    let mut part = format!("{BEGIN}\n");
    let flags = [
        (origin.file_made, FILE_MADE),
        (origin.directory_made, DIRECTORY_MADE),
        (origin.line_ended, LINE_ENDED),
    ];
    for (_, words) in flags.iter().filter(|(is_so, _)| *is_so) {
        part += &format!("{words}\n");
    }
    if let Some(backup) = &origin.backup {
        part += &format!("{BACKUP}{backup}\n");
    }
    match content {
        Content::Include(directory) => part += &format!("includedir {directory}/\n"),
        Content::Inline(_) => {}
    }
    if origin.file_made {
        part += &format!("\n{}\n", made.defaults());
    }
    if let Content::Inline(sections) = content {
        part += sections;
    }
    part + END + "\n"
}
