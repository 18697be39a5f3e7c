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
pub(super) const DIRECTORY_MADE: &str = "# There was no directory.";

/// What --remove is to know, in comments behind the first marker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The file was made for our part, so that it goes with it.
    pub(super) file_made: bool,
    /// The directory of the includedir was.
    pub(super) directory_made: bool,
}

/// How our part has libkrb5 read the stanzas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartForm {
    /// By an includedir.
    Include,
    /// They stand there themselves.
    Inline,
}

/// A krb5.conf, by our part of it.
#[derive(Debug)]
pub(super) struct SplitFile {
    before: Vec<u8>,
    after: Vec<u8>,
    /// What stands between the markers. Empty: there is no part of ours.
    pub(super) part: Vec<u8>,
    /// None: there is none.
    pub(super) form: Option<PartForm>,
    pub(super) origin: Origin,
}

impl SplitFile {
    /// # Errors
    /// The line, from 1 on, of a marker that has no other, or of a second part.
    pub(super) fn parse(text: &[u8]) -> Result<Self, usize> {
        let (mut before, mut part, mut after) = (Vec::new(), None, Vec::new());
        // The part that is being read, and the line in which it began.
        let mut open: Option<(usize, Vec<u8>)> = None;
        for (line, number) in text.split_inclusive(|octet| *octet == b'\n').zip(1..) {
            match (&mut open, line.starts_with(BEGINS), line.starts_with(ENDS)) {
                (None, true, _) if part.is_none() => open = Some((number, Vec::new())),
                (Some(_), _, true) => part = open.take().map(|(_, part)| part),
                (_, true, _) | (_, _, true) => return Err(number),
                (Some((_, part)), ..) => part.extend_from_slice(line),
                (None, ..) if part.is_none() => before.extend_from_slice(line),
                (None, ..) => after.extend_from_slice(line),
            }
        }
        if let Some((begin, _)) = open {
            return Err(begin);
        }
        let text = String::from_utf8_lossy(part.as_deref().unwrap_or_default());
        let says = |words: &str| text.lines().any(|line| line == words);
        let form = if says("[realms]") {
            PartForm::Inline
        } else {
            PartForm::Include
        };
        let origin = Origin {
            file_made: says(FILE_MADE),
            directory_made: says(DIRECTORY_MADE),
        };
        Ok(Self {
            before,
            after,
            form: part.as_ref().map(|_| form),
            part: part.unwrap_or_default(),
            origin,
        })
    }

    /// The file without the part: as it was, but for what was changed outside of it.
    pub(super) fn rest(&self) -> Vec<u8> {
        [&*self.before, &self.after].concat()
    }
}

/// The file, which has no part, with one.
///
/// It goes before all: what is read first is asked first, Java takes an includedir for one before the first section alone, and
/// Heimdal reads nothing from an include on. But sections go right before the file's first section if anything but comments and
/// includes stands before that, which would be read as a part of ours.
pub(super) fn insert(text: &[u8], form: PartForm, part: &str) -> Vec<u8> {
    let lines = text.split_inclusive(|octet| *octet == b'\n');
    let head: Vec<_> = lines.take_while(|line| !line.starts_with(b"[")).collect();
    let stays = |line: &&[u8]| is_comment(line) || is_include(line);
    let is_first = form == PartForm::Include || head.iter().all(stays);
    let at = if is_first { 0 } else { head.concat().len() };
    let (before, after) = text.split_at(at);
    let is_whole = before.is_empty() || before.ends_with(b"\n");
    let newline = if is_whole { "" } else { "\n" };
    [before, newline.as_bytes(), part.as_bytes(), after].concat()
}

/// An `include` or an `includedir`, which a section ends before.
fn is_include(line: &[u8]) -> bool {
    let words = [&b"include"[..], b"includedir"];
    let mut rest = words.iter().filter_map(|word| line.strip_prefix(*word));
    rest.any(|rest| rest.starts_with(b" ") || rest.starts_with(b"\t"))
}

fn is_comment(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), None | Some(b'#' | b';'))
}

/// Our part: `content` between the markers, with what --remove is to know.
pub(super) fn part(origin: Origin, content: &str) -> String {
    let notes = [
        (origin.file_made, FILE_MADE),
        (origin.directory_made, DIRECTORY_MADE),
    ];
    let notes = notes.into_iter().filter(|(is_so, _)| *is_so);
    let notes: String = notes.map(|(_, note)| format!("{note}\n")).collect();
    format!("{BEGIN}\n{notes}{content}{END}\n")
}
