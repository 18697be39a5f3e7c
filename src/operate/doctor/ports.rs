//! The addresses that the configuration says to listen on, and who does, as far as Linux tells: /proc/net says which socket,
//! /proc/PID/fd whose it is.
//!
//! A process's name says little: anybody may call a program loopkdc, and where a port needs no privilege listen there before it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::{fs, io};

use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::daemon::user;
use crate::operate::circumstances::process_folder;
use crate::operate::krb5_conf::INSTALL;
use crate::operate::krb5_conf::host::{MANAGERS, held_addresses};
use crate::operate::status::StatusReply;
use crate::relay::finding::{Finding, Layer};
use crate::relay::status::{DaemonKind, ListenerStatus, StatusDocument, of_listeners};
use crate::relay::text::short;

const PROC: &str = "/proc";
/// What processes of this program are called.
const OURS: &str = "loopkdc";
/// The program that listens for loopkdc until a client comes.
const MANAGER: &str = "systemd";
/// Where the manager puts what it starts, by whatever user (systemd.special(7), cgroups(7)).
const UNITS: [&str; 2] = [
    "/system.slice/loopkdc.service",
    "/system.slice/loopkdc-gateway.service",
];

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
    let sockets = SocketTable::read(daemon);
    let mut ports = Ports::default();
    if sockets.is_none() && status.is_none() {
        let untold = Finding::skipped(Layer::Ports, "this system does not tell who listens");
        ports.findings.push(untold);
        return ports;
    }
    let sockets = sockets.unwrap_or_default();
    let mut addresses: BTreeMap<Owner, Vec<String>> = BTreeMap::new();
    let listeners = status.map_or(&[][..], |status| &status.listeners);
    let awaited: Vec<_> = listeners.iter().filter(|of| of.awaits_address).collect();
    ports.findings = of_listeners(listeners);
    for endpoint in endpoints {
        let shown = endpoint.to_string();
        if awaited.iter().any(|of| of.address.as_str() == shown) {
            continue;
        }
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

/// The daemon that says this of itself is in this network: in a container that shares /run it may be the host's or a neighbour's.
pub(in crate::operate) fn are_here(reply: &StatusReply) -> bool {
    let network = |pid| fs::read_link(process_folder(pid)?.join("ns/net")).ok();
    if let Some(its) = reply.process.pid.and_then(network) {
        return Some(its) == network(std::process::id());
    }
    let status = &reply.document;
    let Some((udp, tcp)) = listening_here() else {
        return true;
    };
    let sockets = |of: &ListenerStatus| match of.transport.as_str() {
        "udp" => &udp,
        _ => &tcp,
    };
    let addresses = status.listeners.iter().filter(|of| !of.awaits_address);
    let mut addresses = addresses
        .filter_map(|of| Some((sockets(of), of.address.as_str().parse().ok()?)))
        .peekable();
    // What listens on Unix sockets alone is in no network.
    addresses.peek().is_none()
        || addresses.any(|(sockets, address)| receiver(sockets, address).is_some())
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
    let owner = |transport: &str, found: Owner| match found {
        _ if is_told(transport) => Owner::Ours,
        Owner::Unknown(_) if sockets.held.iter().any(|held| held == address) => Owner::Manager,
        found => found,
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
    let of = |protocol: &str| format!("{shown} ({protocol})");
    vec![(of("UDP"), udp), (of("TCP"), tcp)]
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

/// By what an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
}

/// What listens at an address; the later ones are the better news.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    #[default]
    Nobody,
    /// A program by another name.
    Other(String),
    /// A process that this user is not told, or whose name there is no reason to believe.
    Unknown(String),
    /// The service manager of this machine, or of the user who asks.
    Manager,
    /// The loopkdc of either.
    Ours,
}

/// The sockets that listen, and whose they are, as far as whoever asks may look.
#[derive(Debug, Default)]
struct SocketTable {
    udp: Vec<ListeningSocket>,
    tcp: Vec<ListeningSocket>,
    /// As proc_net_unix(5) has it.
    unix: String,
    /// The process that has a socket open, by the socket's inode.
    processes: HashMap<u64, u32>,
    /// Where systemd listens for the daemon: whose else's its sockets are, root alone may see.
    held: Vec<String>,
}

/// The columns of /proc/net/tcp and udp that matter (proc_net_tcp(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListeningSocket {
    local: SocketAddr,
    inode: u64,
}

impl SocketTable {
    /// None: this system has no such tables.
    fn read(daemon: DaemonKind) -> Option<Self> {
        let (udp, tcp) = listening_here()?;
        Some(Self {
            udp,
            tcp,
            unix: table("net/unix").unwrap_or_default(),
            processes: open_sockets(Path::new(PROC)),
            held: MANAGERS
                .iter()
                // Nobody has to tell root.
                .filter(|_| !user::is_root())
                .flat_map(|manager| held_addresses(manager, daemon))
                .collect(),
        })
    }

    /// The owner of a socket at `address`, or at all addresses of the machine.
    fn owner(&self, protocol: Protocol, address: SocketAddr) -> Owner {
        let sockets = match protocol {
            Protocol::Udp => &self.udp,
            Protocol::Tcp => &self.tcp,
        };
        self.owner_of(receiver(sockets, address).map(|socket| socket.inode))
    }

    /// The owner of a Unix socket.
    fn owner_of_unix(&self, path: &Path) -> Owner {
        let path = path.to_string_lossy();
        let mut lines = self.unix.lines();
        self.owner_of(lines.find_map(|line| {
            let columns = line.strip_suffix(&*path)?.strip_suffix(' ')?;
            let columns: Vec<_> = columns.split_whitespace().collect();
            // The fourth says that it listens: __SO_ACCEPTCON.
            let [_, _, _, "00010000", _, _, inode] = columns.as_slice() else {
                return None;
            };
            inode.parse().ok()
        }))
    }

    fn owner_of(&self, inode: Option<u64>) -> Owner {
        let Some(inode) = inode else {
            return Owner::Nobody;
        };
        let id = self.processes.get(&inode);
        let owner = id.and_then(|id| owner_by_process(Path::new(PROC), *id, user::id()));
        owner.unwrap_or_else(|| Owner::Unknown("another user's process".to_owned()))
    }
}

/// Which process has which socket open, as far as this user may look.
fn open_sockets(proc: &Path) -> HashMap<u64, u32> {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let mut ids: Vec<u32> = processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect();
    ids.sort_unstable();
    let open = ids.into_iter().flat_map(|id| {
        let files = fs::read_dir(proc.join(format!("{id}/fd")));
        let files = files.into_iter().flatten().flatten();
        files.filter_map(move |file| Some((socket_inode(&fs::read_link(file.path()).ok()?)?, id)))
    });
    // The last one counts: a socket that the service manager holds, too, is the service's.
    open.collect()
}

/// Of a link like `socket:[15623]`.
fn socket_inode(link: &Path) -> Option<u64> {
    let inode = link.to_str()?.strip_prefix("socket:[")?;
    inode.strip_suffix(']')?.parse().ok()
}

/// The one that gets what comes for `address`: the exact one before one for all addresses.
fn receiver(sockets: &[ListeningSocket], address: SocketAddr) -> Option<&ListeningSocket> {
    let exact = sockets.iter().find(|socket| socket.local == address);
    let takes_all = |socket: &&ListeningSocket| {
        let ip = socket.local.ip();
        // Linux does not tell if a socket for all of IPv6 takes IPv4 too; nearly all do.
        socket.local.port() == address.port()
            && ip.is_unspecified()
            && (ip.is_ipv6() || address.is_ipv4())
    };
    exact.or_else(|| sockets.iter().find(takes_all))
}

/// One of the tables of this network.
fn table(file: &str) -> io::Result<String> {
    fs::read_to_string(Path::new(PROC).join(file))
}

/// The sockets of this network that listen, over UDP and over TCP. None: this system has no such tables.
fn listening_here() -> Option<(Vec<ListeningSocket>, Vec<ListeningSocket>)> {
    let both = |v4, v6| table(v4).map(|text| text + &table(v6).unwrap_or_default());
    let udp = listening(&both("net/udp", "net/udp6").ok()?, Protocol::Udp);
    let tcp = listening(&both("net/tcp", "net/tcp6").ok()?, Protocol::Tcp);
    Some((udp, tcp))
}

fn listening(text: &str, protocol: Protocol) -> Vec<ListeningSocket> {
    // TCP_LISTEN, and what UDP has for a socket without a peer.
    let state = match protocol {
        Protocol::Tcp => "0A",
        Protocol::Udp => "07",
    };
    let sockets = text.lines().filter_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let column = |index: usize| columns.get(index).copied();
        (column(3)? == state).then_some(())?;
        Some(ListeningSocket {
            local: address(column(1)?)?,
            inode: column(9)?.parse().ok()?,
        })
    });
    sockets.collect()
}

/// Words of 32 bits in the machine's own order of octets, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Option<Vec<u32>> = (0..ip.len() / 8)
        .map(|word| u32::from_str_radix(ip.get(word * 8..word * 8 + 8)?, 16).ok())
        .collect();
    let octets: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let ip: IpAddr = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(octets) => Ipv4Addr::from(octets).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(octets.as_slice()).ok()?).into(),
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?).into())
}

/// The owner of a process, as `asker` sees it. None: there is no such process, or it is not told.
fn owner_by_process(proc: &Path, id: u32, asker: u32) -> Option<Owner> {
    let folder = proc.join(id.to_string());
    let read = |file| fs::read_to_string(folder.join(file)).ok();
    let (name, status) = (read("comm")?, read("status")?);
    let name = name.trim_end();
    // The real one, and then the effective one (proc_pid_status(5)).
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let user: u32 = users.split_whitespace().nth(1)?.parse().ok()?;
    let groups = read("cgroup").unwrap_or_default();
    // A user makes groups by this name, too, below their own.
    let is_unit = |line: &str| {
        let group = line.splitn(3, ':').nth(2);
        group.is_some_and(|group| UNITS.contains(&group))
    };
    let is_trusted = user == 0 || user == asker || groups.lines().any(is_unit);
    let shown = format!("{} (process {id})", short(name, 15));
    Some(match name {
        OURS | MANAGER if !is_trusted => Owner::Unknown(format!("{shown} of user {user}")),
        OURS => Owner::Ours,
        MANAGER => Owner::Manager,
        _ => Owner::Other(shown),
    })
}

#[cfg(test)]
mod tests;
