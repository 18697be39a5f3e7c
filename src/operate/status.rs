//! `loopkdc status`: what a running `loopkdc run` or `loopkdc gateway` knows of itself, for people and for programs.
//!
//! The daemon writes one document to each who connects to its socket, and reads nothing ([`crate::daemon::status_socket`]).
//! [`crate::relay::status`] is that document, `ask` reads it, and `render` makes of it what a terminal shows.

mod ask;
pub mod render;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::daemon::in_runtime;
use crate::daemon::signals::{Signal, Signals};
use crate::operate::terminal;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::status::DaemonKind;
use crate::relay::text::json;
use render::render;

pub use ask::{StatusError, StatusReply, ask};

/// How often a watched status is drawn.
const REDRAW: Duration = Duration::from_secs(1);
/// Empties the screen, and goes to its first column of its first line (ECMA-48 8.3.39, 8.3.21).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows people once what `daemon` at `socket`, or else at the usual places, says of itself.
///
/// # Errors
/// There is none that answers.
pub fn print(daemon: DaemonKind, socket: Option<&Path>) -> Result<(), Failure> {
    in_runtime(1, async {
        let reply = ask(daemon, socket).await;
        let reply = reply.map_err(|error| error.failure(daemon))?;
        terminal::print(&render(&reply.document, terminal::width()));
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
