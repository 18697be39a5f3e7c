//! `loopkdc status`: what a running `loopkdc run` knows of itself, for people and for programs.
//!
//! The daemon writes one document to each who connects to its socket, and reads nothing ([`crate::daemon::status_socket`]).
//! [`crate::relay::status`] is that document, `ask` reads it, and `render` makes of it what a terminal shows.

mod ask;
pub mod render;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::daemon::signals::{Signal, Signals};
use crate::operate::terminal::{self, Terminal};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::text::json;
use render::render;

pub use ask::{StatusError, StatusReply, ask};

/// How often a watched status is drawn.
const REDRAW: Duration = Duration::from_secs(1);
/// Empties the screen, and goes to its first column of its first line (ECMA-48 8.3.39, 8.3.21).
const CLEAR: &str = "\x1b[2J\x1b[H";

/// How the status is shown.
#[derive(Clone, Copy, Debug)]
pub enum StatusFormat {
    /// Once, for people.
    Text,
    /// Once, for programs.
    Json,
    /// Anew each second, on a terminal.
    Watch,
}

/// Shows the status of the daemon at `socket`, or else at the usual places.
///
/// # Errors
/// There is none that answers, or it can't be shown as asked for.
pub fn status(output: StatusFormat, socket: Option<&Path>) -> Result<(), Failure> {
    match output {
        StatusFormat::Text => {
            let reply = ask(socket)?;
            terminal::print(&render(&reply.document, Terminal::of_process()));
            Ok(())
        }
        StatusFormat::Json => print_json(socket),
        StatusFormat::Watch => watch(socket),
    }
}

/// Prints the document, whatever its schema: a program that reads it sees that.
fn print_json(socket: Option<&Path>) -> Result<(), Failure> {
    match ask(socket) {
        Ok(StatusReply { json, .. }) | Err(StatusError::Newer { json, .. }) => {
            terminal::print(&json::shown(&json));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Draws it anew each second until a signal says stop.
fn watch(socket: Option<&Path>) -> Result<(), Failure> {
    if !io::stdout().is_terminal() {
        let fault = Finding::fault("--watch draws on a terminal, and stdout is none")
            .command("for programs", ["loopkdc", "status", "--json"]);
        return Err(Failure::of(Exit::Config, fault));
    }
    // That there is no daemon is told at once; that it goes away later ends nothing.
    ask(socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot start the runtime: {error}")))?;
    let end = runtime.block_on(redraw_until_stopped(socket.map(Path::to_owned)));
    // A daemon that hangs must not hold up the end.
    runtime.shutdown_background();
    end
}

async fn redraw_until_stopped(socket: Option<PathBuf>) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let redraw = async {
        let mut last = None;
        loop {
            let socket = socket.clone();
            let asked = tokio::task::spawn_blocking(move || ask(socket.as_deref())).await;
            if let Ok(reply) = asked
                && draw(reply, &mut last).is_err()
            {
                // The terminal is gone.
                return;
            }
            tokio::time::sleep(REDRAW).await;
        }
    };
    tokio::select! {
        () = redraw => {}
        Signal::Stop | Signal::Reload = signals.next() => {}
    }
    Ok(())
}

/// Draws the reply, or why there is none above the last one.
fn draw(
    reply: Result<StatusReply, StatusError>,
    last: &mut Option<(Instant, StatusReply)>,
) -> io::Result<()> {
    let mut text = String::new();
    match reply {
        Ok(reply) => *last = Some((Instant::now(), reply)),
        Err(error) => {
            let age = last.as_ref().map_or(0, |(at, _)| at.elapsed().as_secs());
            text = format!("{}\nthis is from {age} s ago:\n\n", Failure::from(error));
        }
    }
    if let Some((_, reply)) = last {
        text.push_str(&render(&reply.document, Terminal::of_process()));
    }
    // The last row is the cursor's.
    let rows = terminal_size::terminal_size().map(|(_, rows)| usize::from(rows.0));
    let shown = rows.map_or(usize::MAX, |rows| rows.saturating_sub(1));
    let lines: String = text.split_inclusive('\n').take(shown).collect();
    io::stdout().write_all(CLEAR.as_bytes())?;
    terminal::print(&lines);
    Ok(())
}
