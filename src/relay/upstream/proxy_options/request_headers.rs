//! The headers that each request shows: those of the configuration, and those of files, which are read again when they change.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::relay::sync::lock;

/// A field of HTTP. Its value is taken for a secret: it is in no text, and HTTP/2 leaves it out of its tables.
pub type Header = (HeaderName, HeaderValue);

/// Most octets of such a file.
const MAX_FILE: u64 = 64 * 1024;
/// What HTTP itself says with each request, or this program does.
const OURS: [&str; 14] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "accept-encoding",
];

/// What each request shows of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestHeaders {
    /// Headers as the configuration has them.
    pub fixed: Vec<Header>,
    /// A file with a header on each line.
    pub headers_file: Option<PathBuf>,
    /// A file that holds a bearer token (RFC 6750).
    pub bearer_token_file: Option<PathBuf>,
}

/// Why text is no header, or no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError(&'static str);

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for HeaderError {}

/// The headers on the lines of `text`, each `Name: value`; empty lines and those that begin with `#` are left out.
///
/// # Errors
/// The first line that is none, from 1, and why.
pub fn parse_headers(text: &str) -> Result<Vec<Header>, (usize, HeaderError)> {
    let numbered = text.lines().enumerate();
    let lines = numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| header(line).map_err(|error| (index + 1, error)))
        .collect()
}

fn header(line: &str) -> Result<Header, HeaderError> {
    let (name, value) = line
        .split_once(':')
        .ok_or(HeaderError("a header is \"Name: value\""))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| HeaderError("no header can have this name"))?;
    if OURS.contains(&name.as_str()) {
        return Err(HeaderError("this header is for HTTP itself to say"));
    }
    Ok((name, value_of(value.trim())?))
}

fn value_of(text: &str) -> Result<HeaderValue, HeaderError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| HeaderError("no header can have this value"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The Authorization header for the token in `text`.
///
/// # Errors
/// There is no token in it, or more than one.
pub fn parse_token(text: &str) -> Result<Header, HeaderError> {
    let token = text.trim();
    // RFC 6750 2.1: b64token.
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    if token.is_empty() || !token.bytes().all(is_token) {
        return Err(HeaderError(
            "a token is one word of letters, digits and -._~+/=",
        ));
    }
    Ok((AUTHORIZATION, value_of(&format!("Bearer {token}"))?))
}

/// What a file is for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Headers,
    Token,
}

/// Gives each request what it shows.
#[derive(Debug)]
pub(in crate::relay::upstream) struct HeaderSource {
    fixed: HeaderMap,
    files: Arc<[Watched]>,
}

impl HeaderSource {
    pub(in crate::relay::upstream) fn new(configured: &RequestHeaders) -> Self {
        let mut fixed = HeaderMap::new();
        for (name, value) in &configured.fixed {
            fixed.append(name.clone(), value.clone());
        }
        let headers = configured
            .headers_file
            .iter()
            .map(|file| (Kind::Headers, file));
        let token = configured
            .bearer_token_file
            .iter()
            .map(|file| (Kind::Token, file));
        Self {
            fixed,
            files: headers.chain(token).map(Watched::new).collect(),
        }
    }

    /// The headers for one request. A file that has changed is read again; while that fails, what it held counts.
    ///
    /// # Errors
    /// A file could not be read even once, and why.
    pub(in crate::relay::upstream) async fn headers(&self) -> Result<HeaderMap, String> {
        if self.files.is_empty() {
            return Ok(self.fixed.clone());
        }
        let (mut headers, files) = (self.fixed.clone(), Arc::clone(&self.files));
        // A file may be on a disk that sleeps, or a server that is away.
        let looked = tokio::task::spawn_blocking(move || {
            for file in files.iter() {
                for (name, value) in file.look()? {
                    headers.insert(name, value);
                }
            }
            Ok(headers)
        });
        looked.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// A file, and what it held when it was last read.
struct Watched {
    kind: Kind,
    file: PathBuf,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    headers: Option<Vec<Header>>,
    /// What was read, or failed to be.
    stamp: Option<Stamp>,
}

impl Watched {
    fn new((kind, file): (Kind, &PathBuf)) -> Self {
        Self {
            kind,
            file: file.clone(),
            read: Mutex::default(),
        }
    }

    fn look(&self) -> Result<Vec<Header>, String> {
        let mut read = lock(&self.read);
        let stamp = Stamp::of_path(&self.file);
        if read.stamp.as_ref() != Some(&stamp) {
            let is_first = read.stamp.is_none();
            match self.read() {
                Ok((headers, stamp)) => {
                    *read = Read {
                        headers: Some(headers),
                        stamp: Some(stamp),
                    };
                    if !is_first {
                        tracing::info!(file = %self.file.display(), "read again");
                    }
                }
                Err(why) => {
                    // Once for each state of the file, and in no words of its own.
                    tracing::warn!(file = %self.file.display(), %why, "what it held before is used");
                    read.stamp = Some(stamp);
                }
            }
        }
        let unread = || format!("{} could not be read", self.file.display());
        read.headers.clone().ok_or_else(unread)
    }

    fn read(&self) -> Result<(Vec<Header>, Stamp), String> {
        let (text, stamp) = text_of(&self.file).map_err(|error| error.to_string())?;
        let headers = match self.kind {
            Kind::Headers => {
                parse_headers(&text).map_err(|(line, error)| format!("line {line}: {error}"))
            }
            Kind::Token => parse_token(&text)
                .map(|header| vec![header])
                .map_err(|error| error.to_string()),
        };
        Ok((headers?, stamp))
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched({:?}, {})", self.kind, self.file.display())
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    Unreadable,
    Of {
        length: u64,
        modified: Option<SystemTime>,
        /// Inode, and when that changed: another file may have the length and the time of the one before.
        node: [i64; 3],
    },
}

impl Stamp {
    fn of_path(path: &Path) -> Self {
        fs::metadata(path).map_or(Self::Unreadable, |metadata| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        Self::Of {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            node: [
                metadata.ino().cast_signed(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
        }
    }
}

fn text_of(path: &Path) -> io::Result<(String, Stamp)> {
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is longer than 64 KiB"));
    }
    Ok((text, stamp))
}

#[cfg(test)]
mod tests;
