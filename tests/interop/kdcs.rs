//! Two KDCs of one realm, one of which does not answer.
//!
//! Each has a database of its own, so that each knows what passwords it was asked to try.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::{TempDir, tempdir};

use crate::office::{PORT, REALM};
use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::Loopkdc;
use crate::support::proxy::{self, KdcProxy};
use crate::support::realm::{PASSWORD, Preauth, Realm};

/// Nobody is there unless a test is.
const ABSENT: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 90)),
    88,
);
/// A login that nothing delays, on a busy machine.
const SOON: Duration = Duration::from_secs(1);
/// And one that first waits for a KDC that is silent: that costs three seconds, once.
const LATE: Duration = Duration::from_millis(4500);
const TRANSPORTS: [&str; 2] = ["tcp", "udp"];

/// The laptop, and a gateway in front of two KDCs.
struct Branch {
    client: Client,
    _loopkdc: Loopkdc,
    gateway: KdcProxy,
}

impl Branch {
    fn open(dir: &TempDir, transport: &str, kdcs: [SocketAddr; 2]) -> Self {
        let own = dir.path().join("proxy");
        fs::create_dir(&own).unwrap();
        proxy::certify(&own);
        let [first, second] = kdcs;
        let configuration = proxy::gateway(PORT, &[])
            + &format!(
                "[realms.\"{REALM}\"]\nkdcs = [\"{first}\", \"{second}\"]\ntransport = \"{transport}\"\n"
            );
        let gateway = KdcProxy::gateway(&own, PORT, &configuration);
        let loopkdc = Loopkdc::start(dir.path(), &[(REALM, &gateway)]);
        Self {
            client: Client::by_drop_in(dir.path(), &[REALM]),
            _loopkdc: loopkdc,
            gateway,
        }
    }

    fn log_in(&self, within: Duration) {
        let kinit = self.client.run("kinit user@EXAMPLE.COM", &[PASSWORD]);
        kinit.succeeds().within(within);
    }

    /// A wrong password is said to be one, at once.
    fn mistype(&self) {
        let kinit = self
            .client
            .run("kinit user@EXAMPLE.COM", &["battery staple"]);
        kinit.fails_with("Password incorrect").within(SOON);
    }
}

fn realm(dir: &TempDir, host: u8) -> Realm {
    let own = dir.path().join(host.to_string());
    fs::create_dir(&own).unwrap();
    Realm::start(&own, REALM, host, Preauth::Timestamp)
}

/// How many wrong passwords it was asked to try since the last right one.
fn tried(realm: &Realm) -> u32 {
    let user = realm.admin("getprinc user");
    let line = user
        .lines()
        .find_map(|line| line.strip_prefix("Failed password attempts: "));
    line.unwrap().parse().unwrap()
}

/// Fails the test unless it has had so many AS-REQs; its log may come late.
#[track_caller]
fn was_asked(realm: &Realm, count: usize) {
    realm.kdc.wait_for_count(" AS_REQ ", count);
    assert_eq!(realm.kdc.count(" AS_REQ "), count);
}

#[test]
fn a_kdc_that_refuses_costs_nothing() {
    isolated(|| {
        for (number, transport) in TRANSPORTS.iter().enumerate() {
            let dir = tempdir().unwrap();
            let realm = realm(&dir, 88 + number as u8);
            let branch = Branch::open(&dir, transport, [ABSENT, realm.kdc_address()]);
            branch.log_in(SOON);
            branch.mistype();
            assert_eq!(tried(&realm), 1, "{transport}");
            branch.log_in(SOON);
        }
    });
}

/// A change must not be sent twice, and would have to stop at a datagram that nobody answers: only the last is sent one.
#[test]
fn a_password_change_goes_on_from_a_server_that_refuses_tcp() {
    isolated(|| {
        let silent = UdpSocket::bind((ABSENT.ip(), 464)).unwrap();
        silent.set_nonblocking(true).unwrap();
        let dir = tempdir().unwrap();
        let realm = realm(&dir, 88);
        let branch = Branch::open(&dir, "tcp", [ABSENT, realm.kdc_address()]);
        let typed = [PASSWORD, "a newer horse", "a newer horse"];
        let kpasswd = branch.client.run("kpasswd user@EXAMPLE.COM", &typed);
        kpasswd.succeeds();
        assert!(silent.recv(&mut [0; 4096]).is_err(), "asked");
    });
}

/// Sockets are bound there and take what comes; nobody reads it.
#[test]
fn a_kdc_that_is_silent_costs_its_time_once() {
    isolated(|| {
        let (stream, datagram) = (TcpListener::bind(ABSENT), UdpSocket::bind(ABSENT));
        let (stream, datagram) = (stream.unwrap(), datagram.unwrap());
        stream.set_nonblocking(true).unwrap();
        datagram.set_nonblocking(true).unwrap();
        for (number, transport) in TRANSPORTS.iter().enumerate() {
            let dir = tempdir().unwrap();
            let realm = realm(&dir, 88 + number as u8);
            let branch = Branch::open(&dir, transport, [ABSENT, realm.kdc_address()]);
            branch.log_in(LATE);
            let connected = stream.accept().is_ok();
            let mut first = [0; 4096];
            let asked = datagram.recv(&mut first);
            assert_eq!(
                (connected, asked.is_ok()),
                (*transport == "tcp", *transport == "udp")
            );
            // Copies of the first request are all that it ever gets.
            let mut copy = [0; 4096];
            while datagram.recv(&mut copy).is_ok() {
                assert_eq!(copy, first);
            }
            branch.mistype();
            assert_eq!(tried(&realm), 1, "{transport}");
            branch.log_in(SOON);
            assert!(stream.accept().is_err(), "asked again");
            assert!(datagram.recv(&mut copy).is_err(), "asked again");
        }
    });
}

/// Its backlog is full, so that not even a connection comes about: as behind a firewall.
#[test]
fn a_kdc_that_takes_no_connection_costs_its_time_once() {
    isolated(|| {
        let stream = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let stream = stream.unwrap();
        stream.bind(&ABSENT.into()).unwrap();
        stream.listen(0).unwrap();
        let _first = TcpStream::connect(ABSENT).unwrap();
        let dir = tempdir().unwrap();
        let realm = realm(&dir, 88);
        let branch = Branch::open(&dir, "tcp", [ABSENT, realm.kdc_address()]);
        branch.log_in(LATE);
        branch.mistype();
        assert_eq!(tried(&realm), 1);
        branch.log_in(SOON);
    });
}

/// The one that serves is stayed with, also when the one before it in the list is back.
#[test]
fn a_kdc_that_comes_back_waits_for_its_turn() {
    isolated(|| {
        for (number, transport) in TRANSPORTS.iter().enumerate() {
            let dir = tempdir().unwrap();
            let [first, second] = [0, 1].map(|other| realm(&dir, 88 + 2 * number as u8 + other));
            let kdcs = [first.kdc_address(), second.kdc_address()];
            let branch = Branch::open(&dir, transport, kdcs);
            branch.log_in(SOON);
            was_asked(&first, 2);
            was_asked(&second, 0);

            first.kdc.signal("STOP");
            branch.log_in(LATE);
            was_asked(&second, 2);
            first.kdc.signal("CONT");
            // What had waited there.
            was_asked(&first, 3);
            branch.log_in(SOON);
            was_asked(&second, 4);
            was_asked(&first, 3);

            second.kdc.signal("STOP");
            branch.log_in(LATE);
            branch.mistype();
            assert_eq!(tried(&first), 1);
            second.kdc.signal("CONT");
            assert_eq!(tried(&second), 0);
        }
    });
}

/// The KDC falls silent between the question for a password and the password.
#[test]
fn a_password_is_tried_at_one_kdc_only() {
    isolated(|| {
        for (number, transport) in TRANSPORTS.iter().enumerate() {
            let dir = tempdir().unwrap();
            let [first, second] = [0, 1].map(|other| realm(&dir, 88 + 2 * number as u8 + other));
            let kdcs = [first.kdc_address(), second.kdc_address()];
            let branch = Branch::open(&dir, transport, kdcs);
            let typing = dir.path().join("keyboard");
            let made = Command::new("mkfifo").arg(&typing).status().unwrap();
            assert!(made.success());
            thread::scope(|scope| {
                let kinit = scope.spawn(|| {
                    let mut shell = Command::new("sh");
                    let line = format!("kinit user@{REALM} <{}", typing.display());
                    shell.args(["-c", &line]);
                    branch.client.finish(shell, &[])
                });
                let mut keyboard = fs::OpenOptions::new().write(true).open(&typing).unwrap();
                // Its log comes before its reply, and the gateway's line after that.
                branch.gateway.process.wait_for(" error=25 ");
                first.kdc.signal("STOP");
                keyboard.write_all(b"battery staple\n").unwrap();
                let kinit = kinit.join().unwrap();
                kinit
                    .fails_with("Cannot contact any KDC")
                    .within(Duration::from_secs(12));
            });
            was_asked(&second, 0);
            first.kdc.signal("CONT");
            first.kdc.wait_for("PREAUTH_FAILED");
            assert_eq!((tried(&first), tried(&second)), (1, 0), "{transport}");
        }
    });
}
