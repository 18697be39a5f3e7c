//! Reading the status of a daemon from its socket.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::daemon::status_path::of_reader;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::status::{SCHEMA, StatusDocument, Text};

/// How long an answer may take, from the first connect to the last octet.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The most that is read: ten times what a daemon with a thousand realms has to say.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// What a daemon wrote.
#[derive(Clone, Debug)]
pub struct StatusReply {
    /// The document as it came: JSON.
    pub json: String,
    /// What it says.
    pub document: StatusDocument,
}

/// Why there is no status to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// No daemon listens on any of these sockets.
    NoDaemon(Vec<PathBuf>),
    /// This user may not connect to the socket.
    Denied(PathBuf),
    /// Nothing came in time, or no end of it.
    TimedOut(PathBuf),
    /// What came is no status document, and why.
    NoStatus(PathBuf, String),
    /// The document is of a schema that is not known here.
    Newer {
        /// The schema.
        schema: u32,
        /// The daemon's version, if it says one.
        version: Text,
        /// The document as it came: JSON.
        json: String,
    },
}

/// Asks the daemon at `socket`, or else at the usual places. Takes five seconds at most.
///
/// # Errors
/// Why there is no status to show.
pub async fn ask(socket: Option<&Path>) -> Result<StatusReply, StatusError> {
    let deadline = Instant::now() + TIMEOUT;
    let paths = socket.map_or_else(of_reader, |socket| vec![socket.to_owned()]);
    for path in &paths {
        match timeout_at(deadline, read(path)).await {
            Ok(Ok(octets)) => return parse(path, octets),
            Ok(Err(error)) if nobody_listens(&error) => {}
            Ok(Err(error)) => return Err(failed(path, &error)),
            Err(_) => return Err(StatusError::TimedOut(path.clone())),
        }
    }
    Err(StatusError::NoDaemon(paths))
}

/// All that comes, but no more than an octet too much.
async fn read(path: &Path) -> io::Result<Vec<u8>> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    let mut octets = Vec::new();
    let mut stream = stream.take(MAX_DOCUMENT as u64 + 1);
    stream.read_to_end(&mut octets).await?;
    Ok(octets)
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory
    )
}

fn failed(path: &Path, error: &io::Error) -> StatusError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied => StatusError::Denied(path),
        // Its backlog is full.
        ErrorKind::WouldBlock => StatusError::TimedOut(path),
        _ => StatusError::NoStatus(path, error.to_string()),
    }
}

fn parse(path: &Path, octets: Vec<u8>) -> Result<StatusReply, StatusError> {
    let no_status = |why: String| StatusError::NoStatus(path.to_owned(), why);
    if octets.is_empty() {
        let why = "the connection was closed without a document";
        return Err(no_status(why.to_owned()));
    }
    if octets.len() > MAX_DOCUMENT {
        return Err(no_status(format!("more than {MAX_DOCUMENT} octets came")));
    }
    let json = String::from_utf8(octets).map_err(|_| no_status("it is not UTF-8".to_owned()))?;
    let not_json = |error: serde_json::Error| no_status(error.to_string());
    let DocumentHead { schema, version } = serde_json::from_str(&json).map_err(not_json)?;
    if schema > SCHEMA {
        return Err(StatusError::Newer {
            schema,
            version,
            json,
        });
    }
    let document = serde_json::from_str(&json).map_err(not_json)?;
    Ok(StatusReply { json, document })
}

/// What every schema has.
#[derive(Deserialize)]
struct DocumentHead {
    schema: u32,
    #[serde(default)]
    version: Text,
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon(paths) => {
                let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
                write!(f, "no daemon answers at {}", paths.join(" or "))
            }
            Self::Denied(path) => {
                write!(f, "{} may not be connected to by this user", path.display())
            }
            Self::TimedOut(path) => write!(f, "{} does not answer in time", path.display()),
            Self::NoStatus(path, why) => {
                let why = Text::from(why.as_str());
                write!(f, "what answers at {} is no loopkdc: {why}", path.display())
            }
            Self::Newer {
                schema, version, ..
            } => write!(
                f,
                "the daemon is loopkdc {version}, whose status (schema {schema}) is newer than this command"
            ),
        }
    }
}

impl From<StatusError> for Failure {
    fn from(error: StatusError) -> Self {
        let exit = match error {
            StatusError::Denied(_) => Exit::Permission,
            _ => Exit::Unavailable,
        };
        let fault = Finding::fault(error.to_string());
        let doctor = ["loopkdc", "doctor"];
        let fault = match error {
            StatusError::NoDaemon(_) => fault
                .command(
                    "if its first client is to start it, see whether the socket is there",
                    ["systemctl", "status", "loopkdc.socket"],
                )
                .command("to start one here", ["loopkdc", "run"])
                .command("to see what works without it", doctor),
            StatusError::Denied(_) => fault.command(
                "status-mode under [listen] says who may; or ask as root",
                ["sudo", "loopkdc", "status"],
            ),
            StatusError::TimedOut(_) => fault
                .command(
                    "it hangs, or too many others ask",
                    ["systemctl", "status", "loopkdc"],
                )
                .command("to see what works without it", doctor),
            StatusError::NoStatus(..) => fault.command(
                "give the daemon's own socket, status-socket under [listen]",
                ["loopkdc", "status", "--socket", "PATH"],
            ),
            StatusError::Newer { .. } => fault
                .command(
                    "use the command that came with it",
                    ["type", "-a", "loopkdc"],
                )
                .command(
                    "or read the document yourself",
                    ["loopkdc", "status", "--json"],
                ),
        };
        Self::of(exit, fault)
    }
}
