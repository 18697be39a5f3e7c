//! The addresses that the configuration says to listen on, and who does.

use super::daemon::is_same;
use super::sockets::{Owner, Process, Protocol, SocketTable, owner_of_unix};
use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::finding::{Finding, Layer};
use crate::relay::status::StatusDocument;

/// What is known of the ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) findings: Vec<Finding>,
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

/// Looks at all addresses of `listen`. `daemon` is what the one that runs says of itself.
pub(super) fn examine(listen: &Listen, file: &str, daemon: Option<&StatusDocument>) -> Ports {
    let mut ports = Ports::default();
    let sockets = SocketTable::read();
    let (mut free, mut untold) = (Vec::new(), Vec::new());
    for endpoint in listen.kdc.iter().chain(&listen.kpasswd) {
        let (owner, missing) = owner(endpoint, &sockets, daemon);
        ports
            .findings
            .extend(missing.map(|missing| half(endpoint, missing)));
        match owner {
            Owner::Nobody if endpoint.optional => {}
            Owner::Nobody => free.push(endpoint.to_string()),
            Owner::Untold => untold.push(endpoint.to_string()),
            owner => ports.held(endpoint, owner, file),
        }
    }
    let goes_by = daemon.and_then(|report| report.configuration.file.as_ref());
    let runs = goes_by.is_some_and(|read| is_same(read.as_str(), file)) || ports.process.is_some();
    let ours = ports.ours();
    ports.findings.extend(ours);
    if !free.is_empty() {
        ports.findings.push(unheld(&free.join(", "), runs, file));
    }
    if !untold.is_empty() {
        let untold = untold.join(", ");
        let what = format!("{untold}: this system does not tell who listens");
        ports.findings.push(Finding::skipped(Layer::Ports, what));
    }
    ports
}

impl Ports {
    /// Somebody listens there.
    fn held(&mut self, endpoint: &Endpoint, owner: Owner, file: &str) {
        match owner {
            Owner::Ours(process) => {
                self.process = self.process.or(Some(process));
                self.ours.push(endpoint.clone());
            }
            Owner::Manager => {
                self.is_activated = true;
                self.ours.push(endpoint.clone());
            }
            Owner::Namesake(process) => {
                self.unknown.push(endpoint.clone());
                self.findings.push(namesake(endpoint, &process));
            }
            Owner::Hidden(user) => {
                self.is_hidden = true;
                self.unknown.push(endpoint.clone());
                let what = format!("{endpoint} is someone's, a process of user {user}");
                self.findings.push(
                    warning(what)
                        .command("run as root to see whose", ["sudo", "loopkdc", "doctor"]),
                );
            }
            Owner::Other(process) => self.findings.push(taken(endpoint, &process, file)),
            Owner::Forbidden => self.findings.push(forbidden(endpoint)),
            Owner::Unresponsive => self.findings.push(unresponsive(endpoint)),
            Owner::Nobody | Owner::Untold => {}
        }
    }

    fn ours(&self) -> Option<Finding> {
        let list: Vec<_> = self.ours.iter().map(ToString::to_string).collect();
        let whose = if self.process.is_none() && self.is_activated {
            "held by systemd, which starts loopkdc when a client comes"
        } else {
            "loopkdc's"
        };
        let what = format!("{}: {whose}", list.join(", "));
        (!list.is_empty()).then(|| Finding::ok(Layer::Ports, what))
    }
}

fn warning(what: String) -> Finding {
    Finding::warning(what).on(Layer::Ports)
}

fn fault(what: String) -> Finding {
    Finding::fault(what).on(Layer::Ports)
}

/// What nobody listens on is free for a daemon to come; one that runs should.
fn unheld(free: &str, runs: bool, file: &str) -> Finding {
    if !runs {
        return Finding::ok(Layer::Ports, format!("{free}: free"));
    }
    fault(format!("{free}: nobody listens, though loopkdc runs"))
        .command(
            format!("what [listen] in {file} says holds after a restart"),
            ["systemctl", "restart", "loopkdc"],
        )
        .command(
            "and only where no socket unit opens the ports",
            ["systemctl", "cat", "loopkdc.socket"],
        )
}

/// Clients go from the one transport to the other, and a failure is told by both.
fn half(endpoint: &Endpoint, missing: Protocol) -> Finding {
    let (missing, held, key) = match missing {
        Protocol::Tcp => ("TCP", "UDP", "ListenStream"),
        Protocol::Udp => ("UDP", "TCP", "ListenDatagram"),
    };
    fault(format!(
        "{endpoint}: nobody listens by {missing}, though somebody does by {held}"
    ))
    .command(
        format!("where a socket unit opens the ports, it lacks {key}"),
        ["systemctl", "cat", "loopkdc.socket"],
    )
    .command(
        "else restart the daemon",
        ["systemctl", "restart", "loopkdc"],
    )
}

fn taken(endpoint: &Endpoint, process: &Process, file: &str) -> Finding {
    fault(format!("{endpoint} is taken by {process}"))
        .hint("stop that program")
        .command(
            "or choose another port; where a socket unit opens the ports",
            ["systemctl", "edit", "loopkdc.socket"],
        )
        .command(
            format!("and under [listen] of {file}; then"),
            ["loopkdc", "krb5-conf", "--install"],
        )
}

fn namesake(endpoint: &Endpoint, process: &Process) -> Finding {
    let whose = process.user();
    warning(format!(
        "{endpoint} is held by {process}, {whose}, perhaps another than the one meant"
    ))
    .command(
        "see what started it",
        ["systemctl", "status", &process.id.to_string()],
    )
}

fn forbidden(endpoint: &Endpoint) -> Finding {
    let path = match &endpoint.addr {
        EndpointAddr::Unix(path) => path.to_string_lossy().into_owned(),
        _ => String::new(),
    };
    warning(format!("{endpoint} may not be connected to by this user"))
        .command(
            "run as root to see whose it is",
            ["sudo", "loopkdc", "doctor"],
        )
        .command("who may", ["ls", "-l", &path])
}

fn unresponsive(endpoint: &Endpoint) -> Finding {
    fault(format!(
        "{endpoint} takes no connections, though somebody listens"
    ))
    .command("it hangs", ["systemctl", "restart", "loopkdc"])
    .command(
        "where that is not enough, see whose it is, as root",
        ["sudo", "loopkdc", "doctor"],
    )
}

/// Who listens at `endpoint`, and by which transport nobody does though somebody should.
fn owner(
    endpoint: &Endpoint,
    sockets: &SocketTable,
    daemon: Option<&StatusDocument>,
) -> (Owner, Option<Protocol>) {
    let told = |name: &str| {
        let shown = endpoint.to_string();
        let shown = shown.strip_prefix("unix:").unwrap_or(&shown);
        let daemon = daemon?;
        let mut listeners = daemon.listeners.iter();
        let is_it = listeners.any(|listener| {
            listener.address.as_str() == shown && listener.transport.as_str() == name
        });
        is_it.then_some(Owner::Ours(daemon.pid))
    };
    let address = match &endpoint.addr {
        EndpointAddr::Loopback(address) => address.get(),
        EndpointAddr::Remote(address) => *address,
        EndpointAddr::Unix(path) => {
            let owner = told("unix").unwrap_or_else(|| owner_of_unix(path));
            return (owner, None);
        }
    };
    let by = |protocol, name| told(name).unwrap_or_else(|| sockets.owner(protocol, address));
    worse(by(Protocol::Udp, "udp"), by(Protocol::Tcp, "tcp"))
}

/// The worse of both transports, and the one that somebody should listen by and nobody does.
fn worse(udp: Owner, tcp: Owner) -> (Owner, Option<Protocol>) {
    let badness = |owner: &Owner| match owner {
        Owner::Nobody => 0,
        Owner::Untold => 1,
        Owner::Manager => 2,
        Owner::Ours(_) => 3,
        Owner::Namesake(_) => 4,
        Owner::Hidden(_) | Owner::Forbidden | Owner::Unresponsive => 5,
        Owner::Other(_) => 6,
    };
    let may_be_ours = |owner: &Owner| (2..=5).contains(&badness(owner));
    let missing = match (&udp, &tcp) {
        (Owner::Nobody, held) if may_be_ours(held) => Some(Protocol::Udp),
        (held, Owner::Nobody) if may_be_ours(held) => Some(Protocol::Tcp),
        _ => None,
    };
    let is_tcp = badness(&tcp) > badness(&udp);
    (if is_tcp { tcp } else { udp }, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_transports_the_worse_is_told_and_the_one_that_is_missing() {
        use Owner::{Hidden, Manager, Nobody, Ours, Untold};
        let other = || Owner::Other(Process::default());
        let (udp, tcp) = (Some(Protocol::Udp), Some(Protocol::Tcp));
        for (one, other, expected) in [
            (Nobody, Nobody, (Nobody, None)),
            (Ours(1), Ours(1), (Ours(1), None)),
            (Ours(1), Nobody, (Ours(1), tcp)),
            (Nobody, Manager, (Manager, udp)),
            (Hidden(0), Nobody, (Hidden(0), tcp)),
            (Ours(1), Hidden(0), (Hidden(0), None)),
            (Ours(1), other(), (other(), None)),
            (Nobody, other(), (other(), None)),
            (Untold, Nobody, (Untold, None)),
        ] {
            assert_eq!(worse(one, other), expected);
        }
    }
}
