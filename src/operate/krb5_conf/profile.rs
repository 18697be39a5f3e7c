//! The syntax of krb5.conf: sections, relations and includes, as MIT krb5 1.22's profile library reads them.
//!
//! That library gives a file up at its first mistake. Here each mistake is told, and what stands behind it is still read.

mod reader;

use std::sync::Arc;

use crate::relay::finding::FilePosition;
use crate::relay::text;
use reader::ProfileReader;

/// The relations of a stanza that name the realm's servers. An `admin_server` is kadmin's, which is not tunnelled.
pub(crate) const SERVER_NAMES: [&str; 4] = ["kdc", "primary_kdc", "master_kdc", "kpasswd_server"];
/// The schemes of KDC proxies; the second is how Apple's Kerberos writes the first.
const PROXY_SCHEMES: [&str; 2] = ["https://", "kkdcp://"];

/// What a line of such a proxy costs beside ours (MIT krb5 1.20, measured).
pub(crate) const PROXY_COST: &str =
    "libkrb5 may show that proxy a password once more, and waits 24 s more for it if it is silent";

/// Where the text of included files comes from.
pub(crate) trait FileSystem {
    /// The text of a file, or why it can't be had.
    fn text(&mut self, path: &str) -> Result<String, String>;
    /// The names in a directory, or why they can't be had.
    fn names(&mut self, directory: &str) -> Result<Vec<String>, String>;
}

/// A line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileLine {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
}

impl FileLine {
    /// As findings have it.
    pub(crate) fn position(&self) -> FilePosition {
        FilePosition {
            path: text::line(&self.file).into_owned(),
            line: Some(self.line),
            column: None,
        }
    }
}

/// `name = value`, below the sections it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) sections: Vec<String>,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) place: FileLine,
}

impl Relation {
    /// `kdc = 127.0.0.1`.
    pub(crate) fn shown(&self) -> String {
        format!("{} = {}", self.name, self.value.escape_debug())
    }

    /// What stands behind the scheme, if the value is the URL of a KDC proxy.
    pub(crate) fn proxy(&self) -> Option<&str> {
        let mut schemes = PROXY_SCHEMES.iter();
        schemes.find_map(|scheme| self.value.strip_prefix(scheme))
    }
}

/// An `include` or an `includedir`.
#[derive(Clone, Debug)]
pub(crate) struct Include {
    pub(crate) path: String,
    pub(crate) is_directory: bool,
    pub(crate) place: FileLine,
    /// It stands behind the beginning of a section: nothing to MIT, and a mistake to Java.
    pub(crate) is_late: bool,
}

/// What is wrong with a line, or with what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileError {
    pub(crate) place: FileLine,
    pub(crate) why: String,
    pub(crate) kind: ProfileErrorKind,
}

/// What it means to who reads the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProfileErrorKind {
    /// MIT gives the configuration up for it.
    Mistake,
    /// So it does for what can't be included.
    Include,
    /// The one mistake that MIT passes by, and Java and Heimdal do not: a } is missing at the end.
    Unclosed,
    /// MIT reads it, and passes over what other parts say of the same.
    Final,
    /// MIT may take it: it is more than is read here.
    Limit,
    /// What MIT passes by, though it was meant: a file that begins with a byte order mark.
    ByteOrderMark,
    /// Sections with blanks before them.
    Indented,
    /// A stanza in one line.
    OneLine,
    /// All of a file, for the sake of a module's word.
    Module,
}

impl ProfileErrorKind {
    /// What may have been meant to lead here is not read.
    pub(crate) fn is_passed_by(self) -> bool {
        matches!(
            self,
            Self::ByteOrderMark | Self::Indented | Self::OneLine | Self::Module
        )
    }
}

/// What files say, in their order, and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) relations: Vec<Relation>,
    pub(crate) includes: Vec<Include>,
    pub(crate) errors: Vec<ProfileError>,
}

impl Profile {
    /// Relations of this name in these sections, in their order.
    pub(crate) fn relations<'a>(&'a self, sections: &[&str], name: &str) -> Vec<&'a Relation> {
        let is_one = |relation: &&Relation| relation.name == name && relation.sections == sections;
        self.relations.iter().filter(is_one).collect()
    }
}

/// Reads the text of the file `path`, and the files that it includes.
pub(crate) fn read(path: &str, text: &str, files: &mut dyn FileSystem) -> Profile {
    let mut reader = ProfileReader::new(files);
    reader.file(path, text);
    reader.profile
}

/// Reads these files, the first before the others, as KRB5_CONFIG may list them: what is not there, or can't be read, is
/// told with why.
pub(crate) fn read_all(
    paths: &[String],
    files: &mut dyn FileSystem,
) -> (Profile, Vec<(String, String)>) {
    let mut reader = ProfileReader::new(files);
    let mut missing = Vec::new();
    for path in paths {
        if reader.is_full {
            break;
        }
        match reader.files.text(path) {
            Ok(text) => reader.file(path, &text),
            // A directory counts as what an includedir of it would bring (MIT 1.14).
            Err(_) if reader.files.names(path).is_ok() => {
                reader.include_directory(path);
            }
            Err(why) => missing.push((path.clone(), why)),
        }
    }
    (reader.profile, missing)
}
