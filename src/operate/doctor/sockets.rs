//! The process that listens at an address, as far as Linux tells: /proc/net says which socket, /proc/PID/fd whose it is.
//!
//! A process's name says little: anybody may call a program loopkdc, and where a port needs no privilege listen there before it.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::daemon::user;
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

/// By what an address is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
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
pub(super) struct SocketTable {
    udp: Vec<ListeningSocket>,
    tcp: Vec<ListeningSocket>,
    /// As proc_net_unix(5) has it.
    unix: String,
    /// The process that has a socket open, by the socket's inode.
    processes: HashMap<u64, u32>,
}

/// The columns of /proc/net/tcp and udp that matter (proc_net_tcp(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListeningSocket {
    local: SocketAddr,
    inode: u64,
}

impl SocketTable {
    /// None: this system has no such tables.
    pub(super) fn read() -> Option<Self> {
        let read = |file: &str| fs::read_to_string(Path::new(PROC).join(file));
        let both = |v4, v6| read(v4).map(|text| text + &read(v6).unwrap_or_default());
        Some(Self {
            udp: listening(&both("net/udp", "net/udp6").ok()?, Protocol::Udp),
            tcp: listening(&both("net/tcp", "net/tcp6").ok()?, Protocol::Tcp),
            unix: read("net/unix").unwrap_or_default(),
            processes: open_sockets(Path::new(PROC)),
        })
    }

    /// The owner of a socket at `address`, or at all addresses of the machine.
    pub(super) fn owner(&self, protocol: Protocol, address: SocketAddr) -> Owner {
        let sockets = match protocol {
            Protocol::Udp => &self.udp,
            Protocol::Tcp => &self.tcp,
        };
        self.owner_of(receiver(sockets, address).map(|socket| socket.inode))
    }

    /// The owner of a Unix socket.
    pub(super) fn owner_of_unix(&self, path: &Path) -> Owner {
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
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0058 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 15623 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 15700 1 0000000000000000 100 0 0 10 0
   2: 0100007F:01D0 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 15800 1 0000000000000000 100 0 0 10 0
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:0058 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 9 1
";

    fn table() -> SocketTable {
        SocketTable::read().unwrap()
    }

    /// The process of this test.
    fn oneself() -> Owner {
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        Owner::Other(format!(
            "{} (process {})",
            name.trim_end(),
            std::process::id()
        ))
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn what_listens_is_read_out_of_the_kernels_tables() {
        let sockets = listening(TCP, Protocol::Tcp);
        let taking =
            |address: &str| receiver(&sockets, address.parse().unwrap()).map(|socket| socket.inode);
        assert_eq!(sockets.len(), 2);
        assert_eq!(taking("127.0.0.1:88"), Some(15623));
        assert_eq!(taking("127.0.0.2:88"), None);
        assert_eq!(taking("127.0.0.9:22"), Some(15700));
        assert_eq!(taking("[::1]:22"), None);
        assert_eq!(taking("127.0.0.1:464"), None);
        let sockets = listening(TCP6, Protocol::Tcp);
        assert_eq!(sockets[0].local, "[::1]:88".parse().unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_socket_of_ones_own_is_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        for (protocol, address) in [
            (Protocol::Tcp, tcp.local_addr().unwrap()),
            (Protocol::Udp, udp.local_addr().unwrap()),
        ] {
            assert_eq!(table().owner(protocol, address), oneself());
        }
        let gone = tcp.local_addr().unwrap();
        drop(tcp);
        assert_eq!(table().owner(Protocol::Tcp, gone), Owner::Nobody);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_unix_socket_is_whose_who_listens_says() {
        use std::os::unix::net::UnixListener;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my kdc.sock");
        assert_eq!(table().owner_of_unix(&path), Owner::Nobody);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(table().owner_of_unix(&path), oneself());
        let other = dir.path().join("kdc.sock");
        assert_eq!(table().owner_of_unix(&other), Owner::Nobody);
        let end = Path::new("/my kdc.sock");
        assert_eq!(table().owner_of_unix(end), Owner::Nobody);
        drop(listener);
        assert_eq!(table().owner_of_unix(&path), Owner::Nobody);
    }

    const ASKER: u32 = 1000;

    /// The owner of a process of which /proc has this.
    fn owner(name: &str, user: u32, group: &str) -> Owner {
        let proc = tempfile::tempdir().unwrap();
        let folder = proc.path().join("512");
        fs::create_dir(&folder).unwrap();
        let status = format!("Name:\t{name}\nUid:\t1\t{user}\t1\t1\n");
        for (file, text) in [("comm", name), ("status", &status), ("cgroup", group)] {
            fs::write(folder.join(file), format!("{text}\n")).unwrap();
        }
        owner_by_process(proc.path(), 512, ASKER).unwrap()
    }

    #[test]
    fn a_name_alone_makes_nobody_one_of_ours() {
        let unknown = |name| Owner::Unknown(format!("{name} (process 512) of user 1001"));
        let other = |name| Owner::Other(format!("{name} (process 512)"));
        for (name, user, expected) in [
            ("loopkdc", 0, Owner::Ours),
            ("loopkdc", ASKER, Owner::Ours),
            ("loopkdc", 1001, unknown("loopkdc")),
            ("systemd", 0, Owner::Manager),
            ("systemd", 1001, unknown("systemd")),
            ("krb5kdc", 0, other("krb5kdc")),
            ("loop\x1b[kdc", 0, other("loop\u{fffd}[kdc")),
        ] {
            assert_eq!(owner(name, user, ""), expected);
        }
        assert_eq!(owner_by_process(Path::new(PROC), u32::MAX, ASKER), None);
    }

    #[test]
    fn whom_the_service_manager_started_is_believed_whatever_their_user() {
        for (group, is_unit) in [
            ("0::/system.slice/loopkdc.service", true),
            (
                "12:pids:/x\n1:name=systemd:/system.slice/loopkdc.service",
                true,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/system.slice/loopkdc.service",
                false,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/loopkdc.service",
                false,
            ),
            ("0::/system.slice/loopkdc.service/below", false),
        ] {
            let owner = owner("loopkdc", 61_234, group);
            assert_eq!(owner == Owner::Ours, is_unit, "{group}");
        }
    }
}
