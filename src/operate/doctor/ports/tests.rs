//! Whose the sockets are, by what Linux says of them.

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
    SocketTable::read(DaemonKind::Run).unwrap()
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
