//! Who listens at an address, as far as Linux tells: /proc/net says which socket, /proc/PID/fd whose it is.
//!
//! A process's name says little: anybody may call a program loopkdc, and where a port needs no privilege listen there before it.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::daemon::user;
use crate::relay::text::short;

const PROC: &str = "/proc";
/// What processes of this program are called.
const OURS: &str = "loopkdc";
/// Who listens for it until a client comes.
const MANAGER: &str = "systemd";
/// Where the manager puts what it starts, by whatever user (systemd.special(7), cgroups(7)).
const UNIT: &str = "/system.slice/loopkdc.service";
/// A Unix socket takes a connection within this time or not at all.
const CONNECT: Duration = Duration::from_millis(200);

/// By what a port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
}

/// Who listens at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Nobody,
    /// The system does not say.
    Untold,
    /// This machine's loopkdc, or that of the user who asks: its process.
    Ours(u32),
    /// The service manager of either.
    Manager,
    /// Somebody who goes by one of these names, and whom there is no reason to believe.
    Namesake(Process),
    /// A program by another name.
    Other(Process),
    /// A process of this user, which is not told to the one who asks.
    Hidden(u32),
    /// Somebody whom this user may not connect to.
    Forbidden,
    /// Somebody who takes no connections.
    Unresponsive,
}

/// What Linux tells of a process (proc(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    /// What it calls itself, at most 15 octets.
    name: String,
    /// In whose name it acts.
    user: Option<u32>,
    /// Its program, if whoever asks may know.
    program: Option<PathBuf>,
    is_unit: bool,
}

/// The sockets that listen, and whose they are, as far as whoever asks may look.
#[derive(Debug, Default)]
pub(super) struct SocketTable {
    /// None: this system has no such table.
    udp: Option<Vec<ListeningSocket>>,
    tcp: Option<Vec<ListeningSocket>>,
    /// The process that has a socket open, by the socket's inode.
    processes: HashMap<u64, u32>,
}

/// The columns of /proc/net/tcp and udp that matter (proc_net_tcp(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListeningSocket {
    local: SocketAddr,
    user: u32,
    inode: u64,
}

impl SocketTable {
    pub(super) fn read() -> Self {
        let proc = Path::new(PROC);
        let table = |protocol, files: [&str; 2]| {
            let texts = files.map(|file| fs::read_to_string(proc.join(file)).ok());
            let texts: Vec<_> = texts.into_iter().flatten().collect();
            let sockets = texts.iter().flat_map(|text| listening(text, protocol));
            (!texts.is_empty()).then(|| sockets.collect())
        };
        Self {
            udp: table(Protocol::Udp, ["net/udp", "net/udp6"]),
            tcp: table(Protocol::Tcp, ["net/tcp", "net/tcp6"]),
            processes: open_sockets(proc),
        }
    }

    /// Who listens at `address`, itself or at all addresses of the machine.
    pub(super) fn owner(&self, protocol: Protocol, address: SocketAddr) -> Owner {
        let sockets = match protocol {
            Protocol::Udp => &self.udp,
            Protocol::Tcp => &self.tcp,
        };
        let Some(sockets) = sockets else {
            return Owner::Untold;
        };
        let Some(socket) = taking(sockets, address) else {
            return Owner::Nobody;
        };
        let id = self.processes.get(&socket.inode);
        let process = id.and_then(|id| Process::read(Path::new(PROC), *id));
        process.map_or(Owner::Hidden(socket.user), |process| {
            process.owner(user::id())
        })
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

/// Who listens on the Unix socket at `path`: that is told to who connects to it (unix(7), SO_PEERCRED). Must be called inside a
/// runtime.
pub(super) fn owner_of_unix(path: &Path) -> Owner {
    use std::io::ErrorKind;

    use socket2::{Domain, SockAddr, Socket, Type};
    let connected = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|socket| {
        // A backlog that is full would hold up a connect without an end.
        socket.set_write_timeout(Some(CONNECT))?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(socket)
    });
    match connected {
        Ok(socket) => peer(socket).unwrap_or(Owner::Untold),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                Owner::Nobody
            }
            ErrorKind::PermissionDenied => Owner::Forbidden,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Owner::Unresponsive,
            _ => Owner::Untold,
        },
    }
}

/// Who listened, before it was connected to.
fn peer(socket: socket2::Socket) -> io::Result<Owner> {
    socket.set_nonblocking(true)?;
    // tokio takes it as it is that a process of elsewhere, a container perhaps, has no number here.
    let stream = tokio::net::UnixStream::from_std(OwnedFd::from(socket).into())?;
    let peer = stream.peer_cred()?;
    let id = peer.pid().and_then(|id| u32::try_from(id).ok());
    let process = id.and_then(|id| Process::read(Path::new(PROC), id));
    Ok(process.map_or(Owner::Hidden(peer.uid()), |process| {
        process.owner(user::id())
    }))
}

/// The one that gets what comes for `address`: the exact one before one for all addresses.
fn taking(sockets: &[ListeningSocket], address: SocketAddr) -> Option<&ListeningSocket> {
    let exact = sockets.iter().find(|socket| socket.local == address);
    let takes_all = |socket: &&ListeningSocket| {
        let ip = socket.local.ip();
        // Whether a socket for all of IPv6 takes IPv4 too is not told; nearly all do.
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
    let lines = text.lines().skip(1);
    lines
        .filter_map(|line| listening_socket(line, state))
        .collect()
}

fn listening_socket(line: &str, state: &str) -> Option<ListeningSocket> {
    let columns: Vec<_> = line.split_whitespace().collect();
    let column = |index: usize| columns.get(index).copied();
    (column(3)? == state).then_some(())?;
    Some(ListeningSocket {
        local: address(column(1)?)?,
        user: column(7)?.parse().ok()?,
        inode: column(9)?.parse().ok()?,
    })
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

impl Process {
    /// The process by this number; nothing if there is none, or none that is seen.
    fn read(proc: &Path, id: u32) -> Option<Self> {
        let folder = proc.join(id.to_string());
        let read = |file| fs::read_to_string(folder.join(file)).ok();
        let status = read("status").unwrap_or_default();
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        let groups = read("cgroup").unwrap_or_default();
        Some(Self {
            id,
            name: read("comm")?.trim_end().to_owned(),
            // The real one, and then the effective one.
            user: user.and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok()),
            program: fs::read_link(folder.join("exe")).ok(),
            // A user makes groups by this name, too, below their own.
            is_unit: groups
                .lines()
                .any(|line| line.splitn(3, ':').nth(2) == Some(UNIT)),
        })
    }

    /// Who it is, to `asker`.
    fn owner(self, asker: u32) -> Owner {
        let is_trusted = self.is_unit || self.user.is_some_and(|user| user == 0 || user == asker);
        match self.name.as_str() {
            OURS | MANAGER if !self.is_by_its_own_name() => Owner::Other(self),
            OURS | MANAGER if !is_trusted => Owner::Namesake(self),
            OURS => Owner::Ours(self.id),
            MANAGER => Owner::Manager,
            _ => Owner::Other(self),
        }
    }

    /// Whose it is, in words.
    pub(super) fn user(&self) -> String {
        match self.user {
            Some(user) => format!("of user {user}"),
            None => "of whichever user".to_owned(),
        }
    }

    /// Whether its program has the name that it goes by, as far as that is told.
    fn is_by_its_own_name(&self) -> bool {
        let Some(program) = &self.program else {
            return true;
        };
        let file = program.file_name().unwrap_or_default().to_string_lossy();
        // A newer one has taken its place.
        file.strip_suffix(" (deleted)").unwrap_or(&file) == self.name
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(&self.name, 15))?;
        // What else goes by another name than its program's is a script, or has a long one.
        if matches!(self.name.as_str(), OURS | MANAGER)
            && !self.is_by_its_own_name()
            && let Some(program) = &self.program
        {
            write!(f, ", which is {}", short(&program.to_string_lossy(), 80))?;
        }
        write!(f, " (process {})", self.id)
    }
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

    #[test]
    #[cfg(target_endian = "little")]
    fn what_listens_is_read_out_of_the_kernels_tables() {
        let sockets = listening(TCP, Protocol::Tcp);
        let taking =
            |address: &str| taking(&sockets, address.parse().unwrap()).map(|socket| socket.inode);
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
            match SocketTable::read().owner(protocol, address) {
                Owner::Other(process) => assert_eq!(process.id, std::process::id()),
                other => panic!("{other:?}"),
            }
        }
        let gone = tcp.local_addr().unwrap();
        drop(tcp);
        assert_eq!(
            SocketTable::read().owner(Protocol::Tcp, gone),
            Owner::Nobody
        );
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_unix_socket_is_whose_who_listens_says() {
        use std::os::unix::net::{UnixListener, UnixStream};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kdc.sock");
        assert_eq!(owner_of_unix(&path), Owner::Nobody);
        let listener = UnixListener::bind(&path).unwrap();
        match owner_of_unix(&path) {
            Owner::Other(process) => assert_eq!(process.id, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(listener);
        assert_eq!(owner_of_unix(&path), Owner::Nobody);
        assert_eq!(owner_of_unix(&path.join("below")), Owner::Nobody);
        // Nobody accepts, and the backlog takes one.
        let path = dir.path().join("deaf.sock");
        let deaf =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        deaf.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        deaf.listen(0).unwrap();
        let waiting = UnixStream::connect(&path).unwrap();
        assert_eq!(owner_of_unix(&path), Owner::Unresponsive);
        drop(waiting);
    }

    const ASKER: u32 = 1000;

    fn process(name: &str, user: u32, program: Option<&str>) -> Process {
        Process {
            id: 512,
            name: name.to_owned(),
            user: Some(user),
            program: program.map(PathBuf::from),
            is_unit: false,
        }
    }

    #[test]
    fn a_name_alone_makes_nobody_one_of_ours() {
        let ours: fn(Process) -> Owner = |process| Owner::Ours(process.id);
        let manager: fn(Process) -> Owner = |_| Owner::Manager;
        for (name, user, program, owner) in [
            ("loopkdc", 0, Some("/usr/bin/loopkdc"), ours),
            ("loopkdc", 0, Some("/usr/bin/loopkdc (deleted)"), ours),
            ("loopkdc", ASKER, None, ours),
            ("loopkdc", 1001, Some("/usr/bin/loopkdc"), Owner::Namesake),
            ("loopkdc", 1001, None, Owner::Namesake),
            ("loopkdc", ASKER, Some("/usr/bin/python3"), Owner::Other),
            ("systemd", 0, Some("/usr/lib/systemd/systemd"), manager),
            ("systemd", 1001, None, Owner::Namesake),
            ("systemd", 0, Some("/tmp/x"), Owner::Other),
            ("krb5kdc", 0, Some("/usr/sbin/krb5kdc"), Owner::Other),
        ] {
            let process = process(name, user, program);
            assert_eq!(process.clone().owner(ASKER), owner(process));
        }
        let of_nobody = Process {
            user: None,
            ..process("loopkdc", 0, None)
        };
        assert_eq!(of_nobody.clone().owner(ASKER), Owner::Namesake(of_nobody));
    }

    #[test]
    fn whom_the_service_manager_started_is_believed_whatever_their_user() {
        let dynamic = process("loopkdc", 61_234, None);
        let unit = Process {
            is_unit: true,
            ..dynamic.clone()
        };
        assert_eq!(dynamic.clone().owner(ASKER), Owner::Namesake(dynamic));
        assert_eq!(unit.owner(ASKER), Owner::Ours(512));
    }

    #[test]
    fn it_is_told_by_what_it_is() {
        let text = process("loop\x1b[kdc", 1, None).to_string();
        assert_eq!(text, "loop\u{fffd}[kdc (process 512)");
        let text = process("loopkdc", 1, Some("/opt/other")).to_string();
        assert_eq!(text, "loopkdc, which is /opt/other (process 512)");
        let text = process("kdcproxy", 1, Some("/usr/bin/python3")).to_string();
        assert_eq!(text, "kdcproxy (process 512)");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn one_is_oneself() {
        let own = Process::read(Path::new("/proc"), std::process::id()).unwrap();
        assert_eq!(own.user, Some(user::id()));
        assert_eq!(own.program, std::env::current_exe().ok());
        assert!(!own.is_unit);
        assert_eq!(Process::read(Path::new("/proc"), u32::MAX), None);
    }

    /// As /proc has it of a service that runs by another user.
    #[test]
    fn a_service_is_known_by_its_group() {
        let proc = tempfile::tempdir().unwrap();
        let folder = proc.path().join("7");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("comm"), "loopkdc\n").unwrap();
        fs::write(
            folder.join("status"),
            "Name:\tloopkdc\nUid:\t1\t61234\t1\t1\n",
        )
        .unwrap();
        for (group, is_unit) in [
            ("0::/system.slice/loopkdc.service\n", true),
            (
                "12:pids:/x\n1:name=systemd:/system.slice/loopkdc.service\n",
                true,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/system.slice/loopkdc.service\n",
                false,
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/loopkdc.service\n",
                false,
            ),
            ("0::/system.slice/loopkdc.service/below\n", false),
        ] {
            fs::write(folder.join("cgroup"), group).unwrap();
            let read = Process::read(proc.path(), 7).unwrap();
            assert_eq!(
                (read.user, read.is_unit),
                (Some(61_234), is_unit),
                "{group}"
            );
        }
    }
}
