//! `loopkdc status`: what a running `loopkdc run` or `loopkdc gateway` knows of itself, for people and for programs.
//!
//! The daemon writes one document to each who connects to its socket, and reads nothing ([`crate::daemon::status_socket`]).
//! [`crate::relay::status`] is that document, [`ask`] reads it, and `render` makes of it what a terminal shows.

pub mod render;

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::unix::UCred;
use tokio::time::timeout_at;

use crate::config::{Config, Sources, StatusSocket};
use crate::daemon::in_runtime;
use crate::daemon::status_socket::known_paths;
use crate::daemon::user;
use crate::daemon::{Signal, Signals};
use crate::operate::circumstances::Circumstances;
use crate::operate::doctor::ports::are_here;
use crate::operate::krb5_conf::host::{is_waited_for, systemd_is_at_work};
use crate::operate::terminal;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Hint};
use crate::relay::status::{DaemonKind, SCHEMA, StatusDocument, Text};
use crate::relay::text::json;
use render::render;

/// How often a watched status is drawn.
const REDRAW: Duration = Duration::from_secs(1);
/// Empties the screen, and goes to its first column of its first line (ECMA-48 8.3.39, 8.3.21).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows people once what `daemon` at `socket`, or else at the usual places, says of itself; or that systemd waits for its first client.
///
/// # Errors
/// There is none that answers.
pub fn print(daemon: DaemonKind, socket: Option<&Path>) -> Result<(), Failure> {
    in_runtime(1, async {
        match ask(daemon, socket).await {
            Ok(reply) => terminal::print(&render(&reply.document, terminal::width())),
            Err(StatusError::NoDaemon(_)) if socket.is_none() && is_waited_for(daemon) => {
                terminal::print("waiting: systemd starts it when the first client comes\n");
            }
            Err(error) => return Err(error.failure(daemon)),
        }
        Ok(())
    })
}

/// Prints the document for programs, whatever its schema: a program that reads it sees that.
///
/// # Errors
/// There is no daemon that answers.
pub fn print_json(daemon: DaemonKind, socket: Option<&Path>) -> Result<(), Failure> {
    in_runtime(1, async {
        match ask(daemon, socket).await {
            Ok(StatusReply { json, .. }) | Err(StatusError::Newer { json, .. }) => {
                terminal::print(&json::shown(&json));
                Ok(())
            }
            Err(error) => Err(error.failure(daemon)),
        }
    })
}

/// Draws it anew each second, on a terminal, until a signal says stop.
///
/// # Errors
/// There is no daemon that answers, or no terminal.
pub fn watch(daemon: DaemonKind, socket: Option<&Path>) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        let fault = Finding::fault("--watch draws on a terminal, and stdout is none")
            .command("for programs", daemon.command("status").chain(["--json"]));
        return Err(Failure::of(Exit::Config, fault));
    }
    in_runtime(1, async {
        // That there is no daemon is told at once; that it goes away later ends nothing.
        let reply = ask(daemon, socket).await;
        let reply = reply.map_err(|error| error.failure(daemon))?;
        let mut last = (Instant::now(), reply);
        let mut signals = Signals::new()?;
        let redraw = async {
            // An error means that the terminal is gone.
            while draw(ask(daemon, socket).await, &mut last).is_ok() {
                tokio::time::sleep(REDRAW).await;
            }
        };
        tokio::select! {
            () = redraw => {}
            Signal::Stop | Signal::Reload = signals.next() => {}
        }
        Ok(())
    })
}

/// Draws the reply, or why there is none above the last one.
fn draw(
    reply: Result<StatusReply, StatusError>,
    last: &mut (Instant, StatusReply),
) -> io::Result<()> {
    let mut text = String::new();
    match reply {
        Ok(reply) => *last = (Instant::now(), reply),
        Err(error) => {
            let failure = error.failure(last.1.document.daemon);
            let age = last.0.elapsed().as_secs();
            text = format!("{failure}\nthis is from {age} s ago:\n\n");
        }
    }
    text.push_str(&render(&last.1.document, terminal::width()));
    // The last row is the cursor's.
    let rows = terminal_size::terminal_size().map(|(_, rows)| usize::from(rows.0));
    let shown = rows.map_or(usize::MAX, |rows| rows.saturating_sub(1));
    let lines: String = text.split_inclusive('\n').take(shown).collect();
    io::stdout().write_all(CLEAR.as_bytes())?;
    terminal::print(&lines);
    Ok(())
}

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
    /// Who has said so, by the kernel's word.
    pub process: DaemonProcess,
}

/// Who listens at a status socket.
#[derive(Clone, Copy, Debug)]
pub struct DaemonProcess {
    /// Its number here: none if that is another one than it says itself, as of one in another namespace.
    pub pid: Option<u32>,
    /// Its user.
    pub user: u32,
}

impl DaemonProcess {
    /// Whoever asks may do what it says: it is root's or their own.
    pub(super) fn is_trusted(self) -> bool {
        self.user == 0 || self.user == user::id()
    }
}

/// Why there is no status to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusError {
    /// No daemon listens on any of these sockets.
    NoDaemon(Vec<PathBuf>),
    /// This user may not connect to the socket.
    Denied(PathBuf),
    /// What came is no status document, or came too late, and why.
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

/// Asks `daemon` at `socket`, or else at the usual places and where the usual configuration says. Takes five seconds at most.
///
/// # Errors
/// Why there is no status to show.
pub async fn ask(daemon: DaemonKind, socket: Option<&Path>) -> Result<StatusReply, StatusError> {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    if let Some(socket) = socket {
        return ask_at(vec![socket.to_owned()], deadline).await;
    }
    let known = known_paths(daemon);
    let asked = match ask_at(known.clone(), deadline).await {
        // Of another network, whatever is shared with it.
        Ok(reply) if !are_here(&reply) => Err(StatusError::NoDaemon(known)),
        asked => asked,
    };
    match asked {
        Err(StatusError::NoDaemon(mut paths)) if daemon == DaemonKind::Run => {
            // Its own place, if the configuration names one.
            let configured = tokio::task::spawn_blocking(configured_socket);
            let Ok(Ok(Some(own))) = timeout_at(deadline, configured).await else {
                return Err(StatusError::NoDaemon(paths));
            };
            paths.push(own.clone());
            match ask_at(vec![own], deadline).await {
                Err(StatusError::NoDaemon(_)) => Err(StatusError::NoDaemon(paths)),
                asked => asked,
            }
        }
        asked => asked,
    }
}

/// The status-socket of the configuration in the usual places.
fn configured_socket() -> Option<PathBuf> {
    match Config::load(&Sources::default()).ok()?.listen.status_socket {
        StatusSocket::At(path) => Some(path),
        _ => None,
    }
}

/// Asks at each of `paths` until a daemon answers.
async fn ask_at(
    paths: Vec<PathBuf>,
    deadline: tokio::time::Instant,
) -> Result<StatusReply, StatusError> {
    for path in &paths {
        let read = timeout_at(deadline, read(path)).await;
        let error = match read.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok((octets, peer)) => return parse(path, octets, peer),
            Err(error) => error,
        };
        return Err(match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                continue;
            }
            ErrorKind::PermissionDenied => StatusError::Denied(path.clone()),
            // Its backlog is full.
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                StatusError::NoStatus(path.clone(), "it does not answer in time".to_owned())
            }
            _ => StatusError::NoStatus(path.clone(), error.to_string()),
        });
    }
    Err(StatusError::NoDaemon(paths))
}

/// All that comes, but no more than an octet too much.
async fn read(path: &Path) -> io::Result<(Vec<u8>, UCred)> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    let peer = stream.peer_cred()?;
    let mut octets = Vec::new();
    let mut stream = stream.take(MAX_DOCUMENT as u64 + 1);
    stream.read_to_end(&mut octets).await?;
    Ok((octets, peer))
}

fn parse(path: &Path, octets: Vec<u8>, peer: UCred) -> Result<StatusReply, StatusError> {
    let no_status = |why: String| StatusError::NoStatus(path.to_owned(), why);
    if octets.len() > MAX_DOCUMENT {
        return Err(no_status(format!("more than {MAX_DOCUMENT} octets came")));
    }
    let json = String::from_utf8(octets).map_err(|error| no_status(error.to_string()))?;
    let not_json = |error: serde_json::Error| no_status(error.to_string());
    let DocumentHead { schema, version } = serde_json::from_str(&json).map_err(not_json)?;
    if schema > SCHEMA {
        return Err(StatusError::Newer {
            schema,
            version,
            json,
        });
    }
    let mut document: StatusDocument = serde_json::from_str(&json).map_err(not_json)?;
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok());
    let process = DaemonProcess {
        pid: pid.filter(|pid| *pid == document.pid),
        user: peer.uid(),
    };
    let circumstances = Circumstances::new(None, Some(process));
    let problems = std::mem::take(&mut document.problems).into_iter();
    document.problems = problems.map(|problem| circumstances.fit(problem)).collect();
    Ok(StatusReply {
        json,
        document,
        process,
    })
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
            Self::NoStatus(path, why) => {
                let why = Text::from(why.as_str());
                write!(f, "{} gives no status of loopkdc: {why}", path.display())
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

impl StatusError {
    /// The same for who has asked `daemon`.
    #[must_use]
    pub fn failure(&self, daemon: DaemonKind) -> Failure {
        let fault = Finding::fault(self.to_string());
        let fault = match self {
            Self::Denied(_) => {
                let mode = match daemon {
                    DaemonKind::Run => "status-mode under [listen]",
                    DaemonKind::Gateway => "unix-mode under [gateway]",
                };
                let purpose = format!("{mode} says who may; or ask as root");
                let fault = fault.command(purpose, daemon.as_root("status"));
                return Failure::of(Exit::Permission, fault);
            }
            Self::NoDaemon(_) => to_be_started(fault, daemon),
            Self::NoStatus(..) => {
                let own = "or name its own socket, status-socket under [listen]";
                let own = (daemon == DaemonKind::Run).then(|| Hint::from(own));
                fault
                    .typed("see whether it hangs", &show_units(daemon))
                    .hints(own)
            }
            Self::Newer { .. } => {
                fault.typed("use the command that came with it", "type -a loopkdc")
            }
        };
        Failure::of(Exit::Unavailable, fault)
    }
}

/// `fault`, and how `daemon` is started, which does not answer.
pub(super) fn to_be_started(fault: Finding, daemon: DaemonKind) -> Finding {
    if !systemd_is_at_work() {
        return fault.typed("start one", daemon.start());
    }
    fault
        .typed("see whether its units are active", &show_units(daemon))
        .typed("or start one here", daemon.start())
}

fn show_units(daemon: DaemonKind) -> String {
    let unit = daemon.unit();
    format!("systemctl status {unit}.socket {unit}")
}
