//! The addresses that the configuration says to listen on, and who does.

use std::collections::BTreeMap;

use super::sockets::{Owner, Protocol, SocketTable};
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::operate::krb5_conf::INSTALL;
use crate::relay::finding::{Finding, Layer};
use crate::relay::status::{DaemonKind, StatusDocument};

/// What is known of the ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) findings: Vec<Finding>,
    /// Where somebody listens who may be the daemon.
    pub(super) ours: Vec<Endpoint>,
    /// The best that is known of those who listen.
    pub(super) owner: Owner,
}

/// Looks at all `endpoints` of `daemon`, which `file` names. `status` is what the one that runs says of itself.
pub(super) fn examine<'a>(
    daemon: DaemonKind,
    endpoints: impl Iterator<Item = &'a Endpoint>,
    file: &str,
    status: Option<&StatusDocument>,
) -> Ports {
    let sockets = SocketTable::read();
    let mut ports = Ports::default();
    if sockets.is_none() && status.is_none() {
        let untold = Finding::skipped(Layer::Ports, "this system does not tell who listens");
        ports.findings.push(untold);
        return ports;
    }
    let sockets = sockets.unwrap_or_default();
    let mut addresses: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
    for endpoint in endpoints {
        let owners = owners(daemon, endpoint, &sockets, status);
        if owners.iter().any(|(_, owner)| may_be_ours(owner)) {
            ports.ours.push(endpoint.clone());
        }
        for (shown, owner) in owners {
            if owner != Owner::Nobody || !endpoint.optional {
                addresses.entry(owner).or_default().push(shown);
            }
        }
    }
    let runs = status.is_some() || addresses.keys().any(may_be_ours);
    for (owner, addresses) in addresses {
        let addresses = addresses.join(", ");
        let finding = finding(daemon, &owner, &addresses, runs, file);
        ports.findings.push(finding);
        ports.owner = owner;
    }
    ports
}

fn may_be_ours(owner: &Owner) -> bool {
    matches!(owner, Owner::Unknown(_) | Owner::Manager | Owner::Ours)
}

/// The owner of `endpoint`; if UDP and TCP have different ones, that of each. A gateway has no UDP.
fn owners(
    daemon: DaemonKind,
    endpoint: &Endpoint,
    sockets: &SocketTable,
    status: Option<&StatusDocument>,
) -> Vec<(String, Owner)> {
    let shown = endpoint.to_string();
    let address = shown.strip_prefix("unix:").unwrap_or(&shown);
    let is_told = |transport: &str| {
        let mut listeners = status.iter().flat_map(|status| &status.listeners);
        listeners.any(|of| of.address.as_str() == address && of.transport.as_str() == transport)
    };
    let owner = |transport: &str, found: Owner| {
        if is_told(transport) {
            Owner::Ours
        } else {
            found
        }
    };
    let address = match &endpoint.addr {
        EndpointAddr::Loopback(address) => address.get(),
        EndpointAddr::Remote(address) => *address,
        EndpointAddr::Unix(path) => {
            let owner = owner("unix", sockets.owner_of_unix(path));
            return vec![(shown, owner)];
        }
    };
    let tcp = owner("tcp", sockets.owner(Protocol::Tcp, address));
    if daemon == DaemonKind::Gateway {
        return vec![(shown, tcp)];
    }
    let udp = owner("udp", sockets.owner(Protocol::Udp, address));
    if udp == tcp {
        return vec![(shown, udp)];
    }
    vec![
        (format!("{shown} (UDP)"), udp),
        (format!("{shown} (TCP)"), tcp),
    ]
}

fn finding(daemon: DaemonKind, owner: &Owner, addresses: &str, runs: bool, file: &str) -> Finding {
    let fault = |what: &str| Finding::fault(format!("{addresses}: {what}")).on(Layer::Ports);
    let ok = |what: &str| Finding::ok(Layer::Ports, format!("{addresses}: {what}"));
    let (unit, table) = (daemon.unit(), daemon.table());
    let restart = format!("systemctl restart {unit}");
    match owner {
        Owner::Nobody if !runs => ok("free"),
        Owner::Nobody => fault(&format!("nobody listens, and {unit} should"))
            .typed(
                "where a socket unit opens the ports, see whether it opens this one",
                &format!("systemctl cat {unit}.socket"),
            )
            .typed(
                format!("else what {table} in {file} says holds after a restart"),
                &restart,
            ),
        Owner::Other(program) => {
            let edit = format!("systemctl edit {unit}.socket");
            let then = match daemon {
                DaemonKind::Run => INSTALL,
                DaemonKind::Gateway => &restart,
            };
            fault(&format!("taken by {program}"))
                .hint("stop that program")
                .typed(
                    "or choose another port; where a socket unit opens the ports",
                    &edit,
                )
                .typed(format!("and under {table} of {file}; then"), then)
        }
        Owner::Unknown(process) => {
            let held = format!("held by {process}, perhaps not by the {unit} that is meant");
            Finding::warning(format!("{addresses}: {held}"))
                .on(Layer::Ports)
                .command("see whose it is, as root", daemon.as_root("doctor"))
                .typed("or what runs", &format!("systemctl status {unit}"))
        }
        Owner::Manager => ok("held by systemd, which starts loopkdc when a client comes"),
        Owner::Ours => ok("loopkdc's"),
    }
}
