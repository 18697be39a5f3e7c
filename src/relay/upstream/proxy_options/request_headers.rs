//! The headers that each request shows: those of the configuration, and those of files, which may change.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::relay::sync::lock;

/// A field of HTTP. Its value is taken for a secret: it is in no text, and HTTP/2 leaves it out of its tables.
pub type Header = (HeaderName, HeaderValue);

/// What a file holds.
type ParseFile = fn(&str) -> Result<Vec<Header>, String>;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    /// Headers as the configuration has them.
    pub fixed: Vec<Header>,
    /// A file with a header on each line.
    pub headers_file: Option<PathBuf>,
    /// A file that holds a bearer token (RFC 6750).
    pub bearer_token_file: Option<PathBuf>,
}

/// The headers on the lines of `text`, each `Name: value`; empty lines and those that begin with `#` are left out.
///
/// # Errors
/// The first line that is none, and why.
pub fn parse_headers(text: &str) -> Result<Vec<Header>, String> {
    let numbered = text.lines().enumerate();
    let lines = numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            parse_header(line).map_err(|error| format!("line {}: {error}", index + 1))
        })
        .collect()
}

/// The header `Name: value`.
///
/// # Errors
/// It is none, and why.
pub fn parse_header(line: &str) -> Result<Header, &'static str> {
    let (name, value) = line.split_once(':').ok_or("a header is \"Name: value\"")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| "no header can have this name")?;
    if OURS.contains(&name.as_str()) {
        return Err("this header is for HTTP itself to say");
    }
    Ok((name, value_of(value.trim())?))
}

fn value_of(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "no header can have this value")?;
    value.set_sensitive(true);
    Ok(value)
}

/// The Authorization header for the token in `text`.
///
/// # Errors
/// There is no token in it, or more than one.
pub fn parse_token(text: &str) -> Result<Vec<Header>, String> {
    let token = text.trim();
    // RFC 6750 2.1: b64token.
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    if token.is_empty() || !token.bytes().all(is_token) {
        return Err("a token is one word of letters, digits and -._~+/=".to_owned());
    }
    Ok(vec![(AUTHORIZATION, value_of(&format!("Bearer {token}"))?)])
}

/// Gives each request its headers.
#[derive(Debug)]
pub(in crate::relay::upstream) struct HeaderSource {
    fixed: HeaderMap,
    files: Arc<[HeaderFile]>,
}

impl HeaderSource {
    pub(in crate::relay::upstream) fn new(configured: &RequestHeaders) -> Self {
        let mut fixed = HeaderMap::new();
        for (name, value) in &configured.fixed {
            fixed.append(name.clone(), value.clone());
        }
        let files = [
            (&configured.headers_file, parse_headers as ParseFile),
            (&configured.bearer_token_file, parse_token),
        ];
        let files = files.into_iter().filter_map(|(path, parse)| {
            Some(HeaderFile {
                path: path.clone()?,
                parse,
                last: Mutex::default(),
            })
        });
        Self {
            fixed,
            files: files.collect(),
        }
    }

    /// The headers for one request. Files are read for each; while that fails, what they held counts.
    ///
    /// # Errors
    /// A file could not be read even once, and why.
    pub(in crate::relay::upstream) async fn headers(&self) -> Result<HeaderMap, String> {
        let (mut headers, files) = (self.fixed.clone(), Arc::clone(&self.files));
        if files.is_empty() {
            return Ok(headers);
        }
        // A file may be on a disk that sleeps, or a server that is away.
        let read = tokio::task::spawn_blocking(move || {
            for file in files.iter() {
                for (name, value) in file.headers()? {
                    headers.insert(name, value);
                }
            }
            Ok(headers)
        });
        read.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// A file with headers.
struct HeaderFile {
    path: PathBuf,
    parse: ParseFile,
    last: Mutex<LastRead>,
}

/// What a file held when it was last of use, and what is wrong with it since.
#[derive(Default)]
struct LastRead {
    headers: Option<Vec<Header>>,
    error: Option<String>,
}

impl HeaderFile {
    fn headers(&self) -> Result<Vec<Header>, String> {
        let mut last = lock(&self.last);
        match self.read() {
            Ok(headers) => {
                let before = last.headers.replace(headers);
                if before.is_some() && before != last.headers {
                    tracing::info!(file = %self.path.display(), "read again");
                }
                last.error = None;
            }
            // Once for each, and in no words of the file.
            Err(why) if last.error.as_ref() != Some(&why) => {
                tracing::warn!(file = %self.path.display(), %why, "what it held before is used");
                last.error = Some(why);
            }
            Err(_) => {}
        }
        let unread = || format!("{} could not be read", self.path.display());
        last.headers.clone().ok_or_else(unread)
    }

    fn read(&self) -> Result<Vec<Header>, String> {
        (self.parse)(&text_of(&self.path).map_err(|error| error.to_string())?)
    }
}

impl fmt::Debug for HeaderFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderFile({})", self.path.display())
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is longer than 64 KiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
