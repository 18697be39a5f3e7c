//! Who listens at an address, as far as Linux tells: /proc/net says which socket, /proc/PID/fd whose it is.

use std::fs;
#[cfg(unix)]
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
#[cfg(unix)]
use std::os::fd::OwnedFd;
use std::path::Path;
#[cfg(unix)]
use std::time::Duration;

use super::process::Process;

/// A Unix socket takes a connection within this time or not at all.
#[cfg(unix)]
const CONNECT: Duration = Duration::from_millis(200);

/// A transport of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
}

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody.
    Nobody,
    /// This process.
    Process(Process),
    /// A process of this user, which is not told to the one who asks.
    Hidden(u32),
    /// Somebody whom this user may not connect to.
    Forbidden,
    /// Somebody who takes no connections.
    Deaf,
    /// This system does not say.
    Unknown,
}

/// The columns of /proc/net/tcp and udp that matter (proc_net_tcp(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    local: SocketAddr,
    user: u32,
    inode: u64,
}

/// Who listens at `address`, itself or at all addresses of the machine.
pub(super) fn holder(transport: Transport, address: SocketAddr) -> Holder {
    let proc = Path::new("/proc");
    let (v4, v6) = match transport {
        Transport::Udp => ("net/udp", "net/udp6"),
        Transport::Tcp => ("net/tcp", "net/tcp6"),
    };
    let read = |file| fs::read_to_string(proc.join(file)).ok();
    let (v4, v6) = (read(v4), read(v6));
    if v4.is_none() && v6.is_none() {
        return Holder::Unknown;
    }
    let entries = [v4, v6].into_iter().flatten();
    let entries: Vec<_> = entries
        .flat_map(|text| listening(&text, transport))
        .collect();
    let Some(entry) = taking(&entries, address) else {
        return Holder::Nobody;
    };
    owner(proc, entry.inode).unwrap_or(Holder::Hidden(entry.user))
}

/// Who listens on the Unix socket at `path`: that is told to who connects to it (unix(7), SO_PEERCRED). Must be called inside a
/// runtime.
#[cfg(unix)]
pub(super) fn holder_of(path: &Path) -> Holder {
    use std::io::ErrorKind;

    use socket2::{Domain, SockAddr, Socket, Type};
    let connected = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|socket| {
        // A backlog that is full would hold up a connect without an end.
        socket.set_write_timeout(Some(CONNECT))?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(socket)
    });
    match connected {
        Ok(socket) => peer(socket).unwrap_or(Holder::Unknown),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory => {
                Holder::Nobody
            }
            ErrorKind::PermissionDenied => Holder::Forbidden,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Holder::Deaf,
            _ => Holder::Unknown,
        },
    }
}

/// Who listened, before it was connected to.
#[cfg(unix)]
fn peer(socket: socket2::Socket) -> io::Result<Holder> {
    socket.set_nonblocking(true)?;
    // tokio takes it as it is that a process of elsewhere, a container perhaps, has no number here.
    let stream = tokio::net::UnixStream::from_std(OwnedFd::from(socket).into())?;
    let peer = stream.peer_cred()?;
    let id = peer.pid().and_then(|id| u32::try_from(id).ok());
    let process = id.and_then(|id| Process::read(Path::new("/proc"), id));
    Ok(process.map_or(Holder::Hidden(peer.uid()), Holder::Process))
}

#[cfg(not(unix))]
pub(super) fn holder_of(_: &Path) -> Holder {
    Holder::Unknown
}

/// The one that gets what comes for `address`: the exact one before one for all addresses.
fn taking(entries: &[Entry], address: SocketAddr) -> Option<&Entry> {
    let exact = entries.iter().find(|entry| entry.local == address);
    let takes_all = |entry: &&Entry| {
        let ip = entry.local.ip();
        // Whether a socket for all of IPv6 takes IPv4 too is not told; nearly all do.
        entry.local.port() == address.port()
            && ip.is_unspecified()
            && (ip.is_ipv6() || address.is_ipv4())
    };
    exact.or_else(|| entries.iter().find(takes_all))
}

fn listening(text: &str, transport: Transport) -> Vec<Entry> {
    // TCP_LISTEN, and what UDP has for a socket without a peer.
    let state = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    let lines = text.lines().skip(1);
    lines.filter_map(|line| entry(line, state)).collect()
}

fn entry(line: &str, state: &str) -> Option<Entry> {
    let columns: Vec<_> = line.split_whitespace().collect();
    let column = |index: usize| columns.get(index).copied();
    (column(3)? == state).then_some(())?;
    Some(Entry {
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

/// The process that has the socket open, the first of those that this user may look into.
fn owner(proc: &Path, inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir(proc).ok()?.flatten();
    let mut ids: Vec<u32> = processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .collect();
    // A socket that the service manager holds, too, is the service's.
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
    let id = ids.into_iter().find(|id| has_open(proc, *id, &wanted))?;
    Process::read(proc, id).map(Holder::Process)
}

fn has_open(proc: &Path, id: u32, wanted: &str) -> bool {
    let Ok(files) = fs::read_dir(proc.join(format!("{id}/fd"))) else {
        return false;
    };
    let mut links = files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok());
    links.any(|link| link.as_os_str() == wanted)
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
        let entries = listening(TCP, Transport::Tcp);
        let taking = |address: &str| taking(&entries, address.parse().unwrap()).map(|e| e.inode);
        assert_eq!(entries.len(), 2);
        assert_eq!(taking("127.0.0.1:88"), Some(15623));
        assert_eq!(taking("127.0.0.2:88"), None);
        assert_eq!(taking("127.0.0.9:22"), Some(15700));
        assert_eq!(taking("[::1]:22"), None);
        assert_eq!(taking("127.0.0.1:464"), None);
        let entries = listening(TCP6, Transport::Tcp);
        assert_eq!(entries[0].local, "[::1]:88".parse().unwrap());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_socket_of_ones_own_is_found() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        for (transport, address) in [
            (Transport::Tcp, tcp.local_addr().unwrap()),
            (Transport::Udp, udp.local_addr().unwrap()),
        ] {
            match holder(transport, address) {
                Holder::Process(process) => assert_eq!(process.id, std::process::id()),
                other => panic!("{other:?}"),
            }
        }
        let gone = tcp.local_addr().unwrap();
        drop(tcp);
        assert_eq!(holder(Transport::Tcp, gone), Holder::Nobody);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_unix_socket_is_whose_who_listens_says() {
        use std::os::unix::net::{UnixListener, UnixStream};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kdc.sock");
        assert_eq!(holder_of(&path), Holder::Nobody);
        let listener = UnixListener::bind(&path).unwrap();
        match holder_of(&path) {
            Holder::Process(process) => assert_eq!(process.id, std::process::id()),
            other => panic!("{other:?}"),
        }
        drop(listener);
        assert_eq!(holder_of(&path), Holder::Nobody);
        assert_eq!(holder_of(&path.join("below")), Holder::Nobody);
        // Nobody accepts, and the backlog takes one.
        let path = dir.path().join("deaf.sock");
        let deaf =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        deaf.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        deaf.listen(0).unwrap();
        let waiting = UnixStream::connect(&path).unwrap();
        assert_eq!(holder_of(&path), Holder::Deaf);
        drop(waiting);
    }
}
