//! The addresses that the configuration says to listen on, and who does.

use std::collections::BTreeMap;

use super::sockets::{Owner, Protocol, SocketTable};
use crate::config::Listen;
use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::relay::finding::{Finding, Layer};
use crate::relay::status::StatusDocument;

/// What is known of the ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) findings: Vec<Finding>,
    /// Where somebody listens who may be the daemon, of the KDC service.
    pub(super) kdc: Vec<Endpoint>,
    /// The best that is known of those who listen.
    pub(super) owner: Owner,
}

/// Looks at all addresses of `listen`. `daemon` is what the one that runs says of itself.
pub(super) fn examine(listen: &Listen, file: &str, daemon: Option<&StatusDocument>) -> Ports {
    let sockets = SocketTable::read();
    let mut ports = Ports::default();
    if sockets.is_none() && daemon.is_none() {
        let untold = Finding::skipped(Layer::Ports, "this system does not tell who listens");
        ports.findings.push(untold);
        return ports;
    }
    let sockets = sockets.unwrap_or_default();
    let mut addresses: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
    for endpoint in listen.kdc.iter().chain(&listen.kpasswd) {
        let owners = owners(endpoint, &sockets, daemon);
        if listen.kdc.contains(endpoint) && owners.iter().any(|(_, owner)| may_be_ours(owner)) {
            ports.kdc.push(endpoint.clone());
        }
        for (shown, owner) in owners {
            if owner != Owner::Nobody || !endpoint.optional {
                addresses.entry(owner).or_default().push(shown);
            }
        }
    }
    let runs = daemon.is_some() || addresses.keys().any(may_be_ours);
    for (owner, addresses) in addresses {
        let addresses = addresses.join(", ");
        ports.findings.push(finding(&owner, &addresses, runs, file));
        ports.owner = owner;
    }
    ports
}

fn may_be_ours(owner: &Owner) -> bool {
    matches!(owner, Owner::Unknown(_) | Owner::Manager | Owner::Ours)
}

/// The owner of `endpoint`; if UDP and TCP have different ones, that of each.
fn owners(
    endpoint: &Endpoint,
    sockets: &SocketTable,
    daemon: Option<&StatusDocument>,
) -> Vec<(String, Owner)> {
    let shown = endpoint.to_string();
    let address = shown.strip_prefix("unix:").unwrap_or(&shown);
    let is_told = |transport: &str| {
        let mut listeners = daemon.iter().flat_map(|daemon| &daemon.listeners);
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
    let udp = owner("udp", sockets.owner(Protocol::Udp, address));
    let tcp = owner("tcp", sockets.owner(Protocol::Tcp, address));
    if udp == tcp {
        return vec![(shown, udp)];
    }
    vec![
        (format!("{shown} (UDP)"), udp),
        (format!("{shown} (TCP)"), tcp),
    ]
}

fn finding(owner: &Owner, addresses: &str, runs: bool, file: &str) -> Finding {
    let fault = |what: &str| Finding::fault(format!("{addresses}: {what}")).on(Layer::Ports);
    let ok = |what: &str| Finding::ok(Layer::Ports, format!("{addresses}: {what}"));
    match owner {
        Owner::Nobody if !runs => ok("free"),
        Owner::Nobody => fault("nobody listens, and loopkdc should")
            .command(
                "where a socket unit opens the ports, see whether it opens this one",
                ["systemctl", "cat", "loopkdc.socket"],
            )
            .command(
                format!("else what [listen] in {file} says holds after a restart"),
                ["systemctl", "restart", "loopkdc"],
            ),
        Owner::Other(program) => fault(&format!("taken by {program}"))
            .hint("stop that program")
            .command(
                "or choose another port; where a socket unit opens the ports",
                ["systemctl", "edit", "loopkdc.socket"],
            )
            .command(
                format!("and under [listen] of {file}; then"),
                ["loopkdc", "krb5-conf", "--install"],
            ),
        Owner::Unknown(process) => Finding::warning(format!(
            "{addresses}: held by {process}, perhaps not by the loopkdc that is meant"
        ))
        .on(Layer::Ports)
        .command("see whose it is, as root", ["sudo", "loopkdc", "doctor"])
        .command("or what runs", ["systemctl", "status", "loopkdc"]),
        Owner::Manager => ok("held by systemd, which starts loopkdc when a client comes"),
        Owner::Ours => ok("loopkdc's"),
    }
}
