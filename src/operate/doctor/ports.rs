//! The addresses that the configuration says to listen on, and who does.

use std::net::SocketAddr;

use super::daemon::is_same;
use super::line::{Layer, Line};
use super::process::{Process, Who};
use super::sockets::{Holder, Transport, holder, holder_of};
use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::daemon::user;
use crate::relay::status::Report;
use crate::relay::text::shell;

/// What is known of the ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) lines: Vec<Line>,
    /// Where something of ours listens.
    pub(super) ours: Vec<Endpoint>,
    /// Where somebody listens of whom it is not known whether they are ours.
    pub(super) unknown: Vec<Endpoint>,
    /// The process of ours that listens, if there is one.
    pub(super) process: Option<u32>,
    /// The service manager listens in its place.
    pub(super) is_activated: bool,
    /// Somebody listens of whom only root is told more.
    pub(super) is_hidden: bool,
}

/// Who listens at one address, by one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Nobodys,
    /// The system does not say.
    Untold,
    Ours(Option<u32>),
    Managers,
    /// Of a user whom there is no reason to believe.
    Namesakes(Process),
    Others(String),
    Hidden(u32),
    Forbidden,
    Deaf,
}

/// Looks at all addresses of `listen`. `daemon` is what the one that runs says of itself.
pub(super) fn examine(listen: &Listen, file: &str, daemon: Option<&Report>) -> Ports {
    let mut ports = Ports::default();
    let (mut free, mut untold) = (Vec::new(), Vec::new());
    for endpoint in listen.kdc.iter().chain(&listen.kpasswd) {
        let (whose, missing) = whose(endpoint, daemon);
        if let Some(missing) = missing {
            ports.lines.push(half(endpoint, missing));
        }
        match whose {
            Whose::Nobodys if endpoint.optional => {}
            Whose::Nobodys => free.push(endpoint.to_string()),
            Whose::Untold => untold.push(endpoint.to_string()),
            whose => ports.held(endpoint, whose, file),
        }
    }
    let goes_by = daemon.and_then(|report| report.configuration.file.as_ref());
    let runs = goes_by.is_some_and(|read| is_same(read.as_str(), file)) || ports.process.is_some();
    ports.lines.extend(ours(&ports));
    ports.lines.extend(unheld(&free, runs, file));
    if !untold.is_empty() {
        let what = format!(
            "{}: this system does not tell who listens",
            untold.join(", ")
        );
        ports.lines.push(Line::skipped(Layer::Ports, what));
    }
    ports
}

impl Ports {
    /// Somebody listens there.
    fn held(&mut self, endpoint: &Endpoint, whose: Whose, file: &str) {
        match whose {
            Whose::Ours(process) => {
                self.process = self.process.or(process);
                self.ours.push(endpoint.clone());
            }
            Whose::Managers => {
                self.is_activated = true;
                self.ours.push(endpoint.clone());
            }
            Whose::Namesakes(process) => {
                self.unknown.push(endpoint.clone());
                self.lines.push(namesake(endpoint, &process));
            }
            Whose::Hidden(user) => {
                self.is_hidden = true;
                self.unknown.push(endpoint.clone());
                self.lines.push(hidden(endpoint, user));
            }
            Whose::Others(who) => self.lines.push(taken(endpoint, &who, file)),
            Whose::Forbidden => self.lines.push(forbidden(endpoint)),
            Whose::Deaf => self.lines.push(deaf(endpoint)),
            Whose::Nobodys | Whose::Untold => {}
        }
    }
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

/// Clients go from the one transport to the other, and a failure is told by both.
fn half(endpoint: &Endpoint, missing: Transport) -> Line {
    let (missing, held, key) = match missing {
        Transport::Tcp => ("TCP", "UDP", "ListenStream"),
        Transport::Udp => ("UDP", "TCP", "ListenDatagram"),
    };
    Line::fault(
        Layer::Ports,
        format!("{endpoint}: nobody listens by {missing}, though somebody does by {held}"),
        format!(
            "where a socket unit opens the ports, it lacks {key}: systemctl cat loopkdc.socket; else restart the daemon: systemctl restart loopkdc"
        ),
    )
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

fn namesake(endpoint: &Endpoint, process: &Process) -> Line {
    let whose = process.user();
    Line::warn(
        Layer::Ports,
        format!(
            "{endpoint} is held by {process}, {whose}: whether it is the one meant is not known"
        ),
        format!("see what started it: systemctl status {}", process.id),
    )
}

fn hidden(endpoint: &Endpoint, user: u32) -> Line {
    Line::warn(
        Layer::Ports,
        format!("{endpoint} is someone's, a process of user {user}"),
        "run as root to see whose: sudo loopkdc doctor",
    )
}

fn forbidden(endpoint: &Endpoint) -> Line {
    Line::warn(
        Layer::Ports,
        format!("{endpoint} may not be connected to by this user"),
        format!(
            "run as root to see whose it is: sudo loopkdc doctor; who may: ls -l {}",
            path(endpoint)
        ),
    )
}

fn deaf(endpoint: &Endpoint) -> Line {
    Line::fault(
        Layer::Ports,
        format!("{endpoint} takes no connections, though somebody listens"),
        "it hangs: systemctl restart loopkdc; where that is not enough, as root: sudo loopkdc doctor",
    )
}

fn path(endpoint: &Endpoint) -> String {
    match &endpoint.addr {
        EndpointAddr::Unix(path) => shell::path(path),
        _ => String::new(),
    }
}

/// Who listens at `endpoint`, and by which transport nobody does though somebody should.
fn whose(endpoint: &Endpoint, daemon: Option<&Report>) -> (Whose, Option<Transport>) {
    let told = |transport: &str| {
        let shown = endpoint.to_string();
        let shown = shown.strip_prefix("unix:").unwrap_or(&shown);
        let daemon = daemon?;
        let mut listeners = daemon.listeners.iter();
        let is_it = listeners.any(|listener| {
            listener.address.as_str() == shown && listener.transport.as_str() == transport
        });
        is_it.then_some(Whose::Ours(Some(daemon.pid)))
    };
    let by = |transport, name: &str, address: SocketAddr| {
        told(name).unwrap_or_else(|| of(holder(transport, address)))
    };
    let both = |address| {
        let udp = by(Transport::Udp, "udp", address);
        worse(udp, by(Transport::Tcp, "tcp", address))
    };
    match &endpoint.addr {
        EndpointAddr::Loopback(address) => both(address.get()),
        EndpointAddr::Remote(address) => both(*address),
        EndpointAddr::Unix(path) => (told("unix").unwrap_or_else(|| of(holder_of(path))), None),
    }
}

fn of(holder: Holder) -> Whose {
    match holder {
        Holder::Nobody => Whose::Nobodys,
        Holder::Unknown => Whose::Untold,
        Holder::Hidden(user) => Whose::Hidden(user),
        Holder::Forbidden => Whose::Forbidden,
        Holder::Deaf => Whose::Deaf,
        Holder::Process(process) => match process.who(user::id()) {
            Who::Ours => Whose::Ours(Some(process.id)),
            Who::Manager => Whose::Managers,
            Who::Namesake => Whose::Namesakes(process),
            Who::Other => Whose::Others(process.to_string()),
        },
    }
}

/// The worse of both transports, and the one that somebody should listen by and nobody does.
fn worse(udp: Whose, tcp: Whose) -> (Whose, Option<Transport>) {
    let badness = |whose: &Whose| match whose {
        Whose::Nobodys => 0,
        Whose::Untold => 1,
        Whose::Managers => 2,
        Whose::Ours(_) => 3,
        Whose::Namesakes(_) => 4,
        Whose::Hidden(_) | Whose::Forbidden | Whose::Deaf => 5,
        Whose::Others(_) => 6,
    };
    let may_be_ours = |whose: &Whose| (2..=5).contains(&badness(whose));
    let missing = match (&udp, &tcp) {
        (Whose::Nobodys, held) if may_be_ours(held) => Some(Transport::Udp),
        (held, Whose::Nobodys) if may_be_ours(held) => Some(Transport::Tcp),
        _ => None,
    };
    let worse = match badness(&tcp) > badness(&udp) {
        true => tcp,
        false => udp,
    };
    (worse, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_transports_the_worse_is_told_and_the_one_that_is_missing() {
        use Whose::{Hidden, Managers, Nobodys, Ours, Untold};
        let others = || Whose::Others("krb5kdc (process 1)".to_owned());
        let (udp, tcp) = (Some(Transport::Udp), Some(Transport::Tcp));
        for (one, other, expected) in [
            (Nobodys, Nobodys, (Nobodys, None)),
            (Ours(Some(1)), Ours(Some(1)), (Ours(Some(1)), None)),
            (Ours(Some(1)), Nobodys, (Ours(Some(1)), tcp)),
            (Nobodys, Managers, (Managers, udp)),
            (Hidden(0), Nobodys, (Hidden(0), tcp)),
            (Ours(Some(1)), Hidden(0), (Hidden(0), None)),
            (Ours(Some(1)), others(), (others(), None)),
            (Nobodys, others(), (others(), None)),
            (Untold, Nobodys, (Untold, None)),
        ] {
            assert_eq!(worse(one, other), expected);
        }
    }
}
