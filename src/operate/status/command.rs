//! `loopkdc status`: asks once, or once a second, and shows what it heard.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::render::{Look, render, told};
use super::{Heard, Silence, ask};
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::json;

/// How often a watched status is drawn.
const TURN: Duration = Duration::from_secs(1);

/// The screen beside the usual one, and back (xterm's private modes, which all of them have), without the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the first column of the first line; to the end of the line, and to the end of the screen (ECMA-48 8.3.21, 8.3.39,
/// 8.3.41).
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K";
const END_OF_SCREEN: &str = "\x1b[J";

/// How the status is shown.
#[derive(Clone, Copy, Debug)]
pub enum Output {
    /// Once, for people.
    Text,
    /// Once, for programs.
    Json,
    /// Anew each second, on a terminal.
    Watch,
}

/// Shows the status of a running daemon: of that behind `socket`, else of that in one of the usual places.
///
/// # Errors
/// There is none that answers, or it can't be shown as asked for.
pub fn status(output: Output, socket: Option<&Path>) -> Result<(), Failure> {
    match output {
        Output::Watch => watch(socket),
        Output::Json => print(&document(socket)?),
        Output::Text => print(&render(&ask(socket)?.report, look())),
    }
}

/// The document, whatever its schema: who reads it sees that.
fn document(socket: Option<&Path>) -> Result<String, Failure> {
    match ask(socket) {
        Ok(Heard { document, .. }) | Err(Silence::Newer { document, .. }) => {
            Ok(json::shown(&document))
        }
        Err(silence) => Err(silence.into()),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    // A reader that is gone wants no more.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

fn look() -> Look {
    let is_terminal = io::stdout().is_terminal();
    Look {
        colour: is_terminal && may_colour(),
        utf8: is_utf8(),
        rows: rows(),
    }
}

fn may_colour() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// By the first of the variables that says anything (locale(7)).
fn is_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| env::var(name).unwrap_or_default());
    let locale = set.into_iter().find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Lines of the terminal, if it is one.
#[cfg(unix)]
fn rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0).then_some(size.ws_row.into())
}

#[cfg(not(unix))]
fn rows() -> Option<usize> {
    None
}

/// Draws what is heard once a second until a signal says stop.
fn watch(socket: Option<&Path>) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        let failure = Failure::new(
            Exit::Config,
            "--watch draws on a terminal, and stdout is none",
        );
        return Err(failure.hint("for programs: loopkdc status --json"));
    }
    // Who watches nobody hears of it at once; who watches somebody that goes away is told, and goes on.
    ask(socket).map_err(Failure::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot start the runtime: {error}")))?;
    let end = runtime.block_on(draw_until_stopped(socket.map(Path::to_owned)));
    // A daemon that hangs must not hold up the end.
    runtime.shutdown_background();
    end
}

async fn draw_until_stopped(socket: Option<PathBuf>) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    let _screen = Screen::enter();
    let mut last = None;
    loop {
        let socket = socket.clone();
        let asked = tokio::task::spawn_blocking(move || ask(socket.as_deref()));
        let asked = tokio::select! {
            () = stop.wait() => return Ok(()),
            asked = asked => asked,
        };
        if let Ok(asked) = asked
            && draw(asked, &mut last).is_err()
        {
            // The terminal is gone.
            return Ok(());
        }
        tokio::select! {
            () = stop.wait() => return Ok(()),
            () = tokio::time::sleep(TURN) => {}
        }
    }
}

/// Draws what was heard, or that nothing was, above what was heard `last`.
fn draw(asked: Result<Heard, Silence>, last: &mut Option<(Instant, Heard)>) -> io::Result<()> {
    let look = look();
    let mut text = String::new();
    match asked {
        Ok(heard) => *last = Some((Instant::now(), heard)),
        Err(silence) => {
            let failure = Failure::from(silence).to_string();
            let since = last.as_ref().map_or(0, |(at, _)| at.elapsed().as_secs());
            let heard = format!("{failure}\nthis is what was heard {since} s ago:");
            text = told(&heard, look);
        }
    }
    if let Some((_, heard)) = last {
        let rows = look
            .rows
            .map(|rows| rows.saturating_sub(text.lines().count()));
        text.push_str(&render(&heard.report, Look { rows, ..look }));
    }
    let rows = look.rows.unwrap_or(usize::MAX).saturating_sub(1);
    let mut screen = String::from(HOME);
    for line in text.lines().take(rows) {
        screen.extend([line, END_OF_LINE, "\r\n"]);
    }
    screen.push_str(END_OF_SCREEN);
    let mut stdout = io::stdout().lock();
    stdout.write_all(screen.as_bytes())?;
    stdout.flush()
}

/// The screen beside the usual one, until it is dropped.
struct Screen;

impl Screen {
    fn enter() -> Self {
        let _ = print(ENTER);
        let _ = io::stdout().flush();
        Self
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = print(LEAVE);
        let _ = io::stdout().flush();
    }
}

/// The signals that end a watch.
#[cfg(unix)]
struct Stop([tokio::signal::unix::Signal; 3]);

#[cfg(unix)]
impl Stop {
    fn new() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::new(Exit::Bug, format!("cannot listen for signals: {error}"))
            })
        };
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

/// The signals that end a watch.
#[cfg(not(unix))]
struct Stop;

#[cfg(not(unix))]
impl Stop {
    fn new() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
