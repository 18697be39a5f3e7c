//! Asking a daemon how it is.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::daemon::status_path::of_reader;
use crate::relay::failure::{Exit, Failure};
use crate::relay::status::{Report, SCHEMA, Text};

/// How long an answer may take, from the first connect to the last octet.
const PATIENCE: Duration = Duration::from_secs(4);
/// The most that is read: ten times what a daemon with a thousand realms has to say.
const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

/// What a daemon said.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The socket that it was said on.
    pub socket: PathBuf,
    /// The document as it came: JSON.
    pub document: String,
    /// What it says.
    pub report: Report,
}

/// Why nothing was heard that can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No daemon listens on any of these sockets.
    NoDaemon(Vec<PathBuf>),
    /// This user may not connect to the socket.
    Denied(PathBuf),
    /// Nothing came in time, or no end of it.
    TooLate(PathBuf),
    /// What came is no status, and why.
    NoStatus(PathBuf, String),
    /// The document is of a schema that is not known here.
    Newer {
        /// The socket.
        socket: PathBuf,
        /// The schema.
        schema: u32,
        /// The daemon's version, if it says one.
        version: Text,
        /// The document as it came: JSON.
        document: String,
    },
}

/// Asks the daemon at `socket`, or else at the usual places. Takes five seconds at most.
///
/// # Errors
/// Why nothing was heard that can be shown.
pub fn ask(socket: Option<&Path>) -> Result<Heard, Silence> {
    let until = Instant::now() + PATIENCE;
    let places = match socket {
        Some(socket) => vec![socket.to_owned()],
        None => of_reader(),
    };
    for place in &places {
        match connect(place, until) {
            Ok(stream) => return hear(place, stream, until),
            Err(error) if nobody_listens(&error) => {}
            Err(error) => return Err(unheard(place, &error)),
        }
    }
    Err(Silence::NoDaemon(places))
}

fn nobody_listens(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory
    )
}

fn unheard(place: &Path, error: &io::Error) -> Silence {
    let place = place.to_owned();
    match error.kind() {
        ErrorKind::PermissionDenied => Silence::Denied(place),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Silence::TooLate(place),
        _ => Silence::NoStatus(place, error.to_string()),
    }
}

/// A daemon whose backlog is full would hold up a connect without an end.
fn connect(place: &Path, until: Instant) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(left(until)?))?;
    socket.connect(&SockAddr::unix(place)?)?;
    Ok(socket)
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    // Zero would be no limit at all.
    (!left.is_zero())
        .then_some(left)
        .ok_or_else(|| ErrorKind::TimedOut.into())
}

fn hear(place: &Path, stream: Socket, until: Instant) -> Result<Heard, Silence> {
    let no_status = |why: String| Silence::NoStatus(place.to_owned(), why);
    let octets = read(stream, until).map_err(|error| unheard(place, &error))?;
    let Some(octets) = octets else {
        return Err(no_status(format!("more than {MAX_DOCUMENT} octets came")));
    };
    if octets.is_empty() {
        return Err(no_status(
            "the connection was closed without a word".to_owned(),
        ));
    }
    let document =
        String::from_utf8(octets).map_err(|_| no_status("it is not UTF-8".to_owned()))?;
    let head: Head =
        serde_json::from_str(&document).map_err(|error| no_status(error.to_string()))?;
    if head.schema > SCHEMA {
        return Err(Silence::Newer {
            socket: place.to_owned(),
            schema: head.schema,
            version: head.version,
            document,
        });
    }
    let report = serde_json::from_str(&document).map_err(|error| no_status(error.to_string()))?;
    Ok(Heard {
        socket: place.to_owned(),
        document,
        report,
    })
}

/// What every schema has.
#[derive(Deserialize)]
struct Head {
    schema: u32,
    #[serde(default)]
    version: Text,
}

/// All that comes, unless it is too much.
fn read(mut stream: Socket, until: Instant) -> io::Result<Option<Vec<u8>>> {
    let (mut octets, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        let length = match stream.read(&mut chunk) {
            Ok(0) => return Ok(Some(octets)),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        octets.extend_from_slice(chunk.get(..length).unwrap_or_default());
        if octets.len() > MAX_DOCUMENT {
            return Ok(None);
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDaemon(places) => {
                let places: Vec<_> = places
                    .iter()
                    .map(|place| place.display().to_string())
                    .collect();
                write!(f, "no daemon answers at {}", places.join(" or "))
            }
            Self::Denied(place) => {
                write!(
                    f,
                    "{} may not be connected to by this user",
                    place.display()
                )
            }
            Self::TooLate(place) => write!(f, "{} does not answer in time", place.display()),
            Self::NoStatus(place, why) => {
                write!(
                    f,
                    "what answers at {} is no loopkdc: {}",
                    place.display(),
                    Text::from(why.as_str())
                )
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

impl From<Silence> for Failure {
    fn from(silence: Silence) -> Self {
        let exit = match silence {
            Silence::Denied(_) => Exit::Permission,
            _ => Exit::Unavailable,
        };
        let failure = Self::new(exit, silence.to_string());
        match silence {
            Silence::NoDaemon(_) => failure
                .hint("is it to be started by its first client? systemctl status loopkdc.socket")
                .hint("to start one here: loopkdc run")
                .hint("to see what works without it: loopkdc doctor"),
            Silence::Denied(_) => {
                failure.hint("status-mode under [listen] says who may; or ask as root: sudo loopkdc status")
            }
            Silence::TooLate(_) => failure
                .hint("it hangs, or too many others ask: systemctl status loopkdc")
                .hint("to see what works without it: loopkdc doctor"),
            Silence::NoStatus(..) => {
                failure.hint("give the daemon's own socket, status-socket under [listen]: loopkdc status --socket PATH")
            }
            Silence::Newer { .. } => failure
                .hint("use the command that came with it: type -a loopkdc")
                .hint("or read the document yourself: loopkdc status --json"),
        }
    }
}
