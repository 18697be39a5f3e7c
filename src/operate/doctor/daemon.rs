//! The daemon: whether it runs, and what it goes by.

use std::path::Path;

use super::line::{Layer, Line};
use super::ports::Ports;
use crate::operate::status::{Heard, Silence};
use crate::relay::status::Report;
use crate::relay::text::shell;

/// How a daemon is started here.
fn start() -> &'static str {
    // sd_booted(3).
    match Path::new("/run/systemd/system").exists() {
        true => "start it: systemctl enable --now loopkdc",
        false => "start it: loopkdc run",
    }
}

/// What is to be said of the daemon that was `heard`, or not, and that holds `ports`. `file` is the configuration read here.
pub(super) fn examine(heard: &Result<Heard, Silence>, ports: &Ports, file: &str) -> Vec<Line> {
    match heard {
        Ok(heard) => of_report(&heard.report, file),
        Err(silence) => vec![unheard(silence, ports)],
    }
}

fn unheard(silence: &Silence, ports: &Ports) -> Line {
    match (silence, ports.process) {
        (Silence::NoDaemon(_), None) if ports.is_activated => {
            Line::ok(Layer::Daemon, "it starts when the first client comes")
        }
        (Silence::NoDaemon(_), None) if ports.is_hidden => Line::warn(
            Layer::Daemon,
            "nothing is heard of loopkdc; systemd may hold its ports until the first client comes",
            "run as root to see: sudo loopkdc doctor; or: systemctl status loopkdc.socket",
        ),
        (Silence::NoDaemon(_), None) if !ports.unknown.is_empty() => Line::warn(
            Layer::Daemon,
            "nothing is heard of loopkdc, and somebody listens in its place",
            "see whether it runs: systemctl status loopkdc",
        ),
        (Silence::NoDaemon(_), None) if ports.ours.is_empty() => {
            Line::fault(Layer::Daemon, "loopkdc does not run", start())
        }
        (Silence::NoDaemon(_), _) => Line::warn(
            Layer::Daemon,
            "it runs, and has no status socket to tell more",
            "set status-socket under [listen], and see: loopkdc status",
        ),
        (Silence::Newer { version, .. }, _) => versions(version.as_str()),
        (silence @ Silence::Denied(_), _) => Line::warn(
            Layer::Daemon,
            silence.to_string(),
            "run as root to see what it says: sudo loopkdc doctor",
        ),
        (silence, _) => Line::warn(
            Layer::Daemon,
            format!("{silence}"),
            "see what it says itself: loopkdc status",
        ),
    }
}

fn of_report(report: &Report, file: &str) -> Vec<Line> {
    let ours = env!("CARGO_PKG_VERSION");
    let theirs = report.version.as_str();
    let mut lines = vec![match theirs == ours {
        true => Line::ok(
            Layer::Daemon,
            format!("loopkdc {theirs} runs, process {}", report.pid),
        ),
        false => versions(theirs),
    }];
    let read = report.configuration.file.as_ref().map(|read| read.as_str());
    if report.configuration.error.is_some() {
        lines.push(Line::warn(
            Layer::Daemon,
            "it goes by what the configuration said before it was broken",
            "see what is wrong with it: loopkdc check",
        ));
    } else if report.configuration.restart_needed {
        lines.push(Line::warn(
            Layer::Daemon,
            "what [listen] says now holds after a restart",
            "restart it: systemctl restart loopkdc",
        ));
    }
    if !read.is_some_and(|read| is_same(read, file)) {
        let read = read.map_or_else(|| "its command line".to_owned(), ToOwned::to_owned);
        lines.push(Line::warn(
            Layer::Daemon,
            format!("it goes by {read}, and what follows by {file}"),
            match report.configuration.file {
                Some(_) => {
                    let read = shell::word(&read);
                    format!("look at the same: loopkdc doctor --config {read}")
                }
                None => {
                    let file = shell::word(file);
                    format!("have it read the file: loopkdc run --config {file}")
                }
            },
        ));
    }
    lines
}

/// Whether both name one file: the daemon has its configuration's name from elsewhere than who asks now.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let found = |name: &str| Path::new(name).canonicalize().ok();
    one == other || found(one).is_some_and(|found_one| Some(found_one) == found(other))
}

fn versions(theirs: &str) -> Line {
    let ours = env!("CARGO_PKG_VERSION");
    Line::warn(
        Layer::Daemon,
        format!("loopkdc {theirs} runs, and this command is {ours}"),
        "restart it: systemctl restart loopkdc; else see which is which: type -a loopkdc",
    )
}
