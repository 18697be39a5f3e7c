//! The addresses that the configuration says to listen on, and who does.

use std::fmt::Write as _;

use super::line::{Layer, Line};
use super::sockets::{Holder, Transport, holder};
use crate::config::Listen;
use crate::listen::{Endpoint, EndpointAddr};
use crate::status::Report;

/// What processes of this program are called.
const OURS: &str = "loopkdc";
/// Who listens for it until a client comes.
const MANAGER: &str = "systemd";

/// What is known of the ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) lines: Vec<Line>,
    /// Where something of ours listens.
    pub(super) ours: Vec<Endpoint>,
    /// The process of ours that listens, if there is one.
    pub(super) process: Option<u32>,
    /// The service manager listens in its place.
    pub(super) is_activated: bool,
    /// Somebody listens of whom only root is told more.
    pub(super) is_hidden: bool,
}

/// Who listens at one address.
enum Whose {
    Nobodys,
    Ours(Option<u32>),
    Managers,
    Others(String),
    Unknown(u32),
}

/// Looks at all addresses of `listen`. `daemon` is what the one that runs says of itself.
pub(super) fn examine(listen: &Listen, file: &str, daemon: Option<&Report>) -> Ports {
    let mut ports = Ports::default();
    let mut free = Vec::new();
    for endpoint in listen.kdc.iter().chain(&listen.kpasswd) {
        match whose(endpoint, daemon) {
            Whose::Nobodys if endpoint.optional => {}
            Whose::Nobodys => free.push(endpoint.to_string()),
            Whose::Ours(process) => {
                ports.process = ports.process.or(process);
                ports.ours.push(endpoint.clone());
            }
            Whose::Managers => {
                ports.is_activated = true;
                ports.ours.push(endpoint.clone());
            }
            Whose::Others(who) => ports.lines.push(taken(endpoint, &who, file)),
            Whose::Unknown(user) => {
                ports.is_hidden = true;
                ports.lines.push(hidden(endpoint, user));
            }
        }
    }
    let goes_by = daemon.and_then(|report| report.configuration.file.as_ref());
    let runs = goes_by.is_some_and(|read| read.as_str() == file) || ports.process.is_some();
    ports.lines.extend(ours(&ports));
    ports.lines.extend(unheld(&free, runs, file));
    ports
}

fn ours(ports: &Ports) -> Option<Line> {
    let list: Vec<_> = ports.ours.iter().map(ToString::to_string).collect();
    let whose = match ports.process.is_none() && ports.is_activated {
        true => "held by systemd, which starts loopkdc when a client comes",
        false => "loopkdc's",
    };
    let line = || Line::ok(Layer::Ports, format!("{}: {whose}", list.join(", ")));
    (!list.is_empty()).then(line)
}

/// What nobody listens on is free for a daemon to come; one that runs should.
fn unheld(free: &[String], runs: bool, file: &str) -> Option<Line> {
    let list = free.join(", ");
    let line = match runs {
        true => Line::fault(
            Layer::Ports,
            format!("{list}: nobody listens, though loopkdc runs"),
            format!(
                "what [listen] in {file} says holds after a restart: systemctl restart loopkdc; and only where no socket unit opens the ports: systemctl cat loopkdc.socket"
            ),
        ),
        false => Line::ok(Layer::Ports, format!("{list}: free")),
    };
    (!free.is_empty()).then_some(line)
}

fn taken(endpoint: &Endpoint, who: &str, file: &str) -> Line {
    Line::fault(
        Layer::Ports,
        format!("{endpoint} is taken by {who}"),
        format!(
            "stop that program; or choose another port: systemctl edit loopkdc.socket, where it opens the ports, and [listen] of {file}; then: loopkdc krb5-conf --install"
        ),
    )
}

fn hidden(endpoint: &Endpoint, user: u32) -> Line {
    Line::warn(
        Layer::Ports,
        format!("{endpoint} is someone's, a process of user {user}"),
        "run as root to see whose: sudo loopkdc doctor",
    )
}

fn whose(endpoint: &Endpoint, daemon: Option<&Report>) -> Whose {
    let shown = endpoint.to_string();
    let shown = shown.strip_prefix("unix:").unwrap_or(&shown);
    let is_told = daemon.is_some_and(|report| {
        let mut listeners = report.listeners.iter();
        listeners.any(|listener| listener.address.as_str() == shown)
    });
    if is_told {
        return Whose::Ours(daemon.map(|report| report.pid));
    }
    match &endpoint.addr {
        EndpointAddr::Loopback(addr) => of_socket(addr.get()),
        EndpointAddr::Remote(addr) => of_socket(*addr),
        EndpointAddr::Unix(path) => of_path(path),
    }
}

/// The worse of both transports.
fn of_socket(address: std::net::SocketAddr) -> Whose {
    let both = [Transport::Udp, Transport::Tcp].map(|transport| holder(transport, address));
    let mut whose = Whose::Nobodys;
    for holder in both {
        whose = match (holder, whose) {
            (_, worse @ (Whose::Others(_) | Whose::Unknown(_))) => worse,
            (Holder::Nobody | Holder::Unknown, so_far) => so_far,
            (Holder::Process { id, name }, _) if name == OURS => Whose::Ours(Some(id)),
            (Holder::Process { name, .. }, _) if name == MANAGER => Whose::Managers,
            (Holder::Process { id, name }, _) => {
                let mut who = crate::text::short(&name, 15);
                let _ = write!(who, " (process {id})");
                Whose::Others(who)
            }
            (Holder::Hidden(user), _) => Whose::Unknown(user),
        };
    }
    whose
}

/// A Unix socket tells whose it is by answering, or not at all.
#[cfg(unix)]
fn of_path(path: &std::path::Path) -> Whose {
    use std::os::unix::net::UnixStream;
    match UnixStream::connect(path) {
        Ok(_) => Whose::Ours(None),
        Err(_) => Whose::Nobodys,
    }
}

#[cfg(not(unix))]
fn of_path(_: &std::path::Path) -> Whose {
    Whose::Nobodys
}
