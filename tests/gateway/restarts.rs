//! A gateway whose port the service manager holds: restarted, reloaded and given another certificate under load, it refuses
//! nobody.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use tempfile::tempdir;

use crate::messages::{Kind, REALM, envelope, framed};
use crate::support::authority::Authority;
use crate::support::https::Site;
use crate::support::netns::isolated;
use crate::support::process::{PATIENCE, Process};
use crate::support::realm::{Preauth, Realm};

const NAME: &str = "gateway.example.com";
/// Above those that a shell uses for itself.
const FREE: i32 = 20;
/// Clients that ask without a pause, each time over a connection of its own.
const CLIENTS: usize = 4;

/// A port that stays open whoever serves.
struct Port {
    socket: OwnedFd,
    address: String,
}

impl Port {
    fn open() -> Self {
        Self::open_at("127.0.0.1:0")
    }

    fn open_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let socket = fcntl_dupfd_cloexec(OwnedFd::from(listener), FREE).unwrap();
        fcntl_setfd(&socket, FdFlags::empty()).unwrap();
        Self { socket, address }
    }

    /// Starts a gateway with it, as descriptor 3 by this name.
    fn hand_over(&self, name: &str, config: &Path) -> Process {
        let mut command = Command::new("bash");
        command
            .args(["-c", "exec 3<&$1; shift; LISTEN_PID=$$ exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_loopkdc"))
            .arg(self.socket.as_fd().as_raw_fd().to_string())
            .args(["gateway", "--config"])
            .arg(config)
            .envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", name)]);
        Process::spawn("loopkdc gateway", &mut command)
    }

    fn serve(&self, name: &str, config: &Path) -> Process {
        let gateway = self.hand_over(name, config);
        gateway.wait_for(" ready ");
        gateway
    }

    fn site<'a>(&self, ca_file: &'a Path) -> Site<'a> {
        Site {
            address: self.address.clone(),
            name: NAME,
            ca_file,
            identity: None,
        }
    }
}

/// The configuration of a gateway at `port` for `realm`, and its certificate.
fn configure(dir: &Path, authority: &Authority, port: &Port, realm: &Realm) -> std::path::PathBuf {
    authority.write(&dir.join("ca.pem"));
    authority.certify(dir, &[NAME]);
    let (address, kdc) = (&port.address, realm.kdc_address());
    let text = format!(
        "[gateway]\nlisten = [\"{address}\"]\ncertificate = \"leaf.pem\"\nkey = \"leaf.key\"\n\
         client-requests-per-second = 0\nclient-max-in-flight = 0\n\
         [realms.\"{REALM}\"]\nkdcs = [\"{kdc}\"]\n"
    );
    let file = dir.join("gateway.toml");
    fs::write(&file, text).unwrap();
    file
}

/// What clients have met.
#[derive(Default)]
struct Load {
    answered: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Asks until it is over, and tells what was no answer.
    fn ask(&self, site: &Site<'_>) -> Vec<String> {
        let mut lost = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let body = envelope(&framed(&Kind::Plain.request(REALM).bytes), Some(REALM));
            match site.ask("POST /KdcProxy HTTP/1.1\r\n", &body) {
                Ok(response) if response.status == 200 => {
                    self.answered.fetch_add(1, Ordering::SeqCst);
                }
                Ok(response) => lost.push(response.head),
                Err(error) => lost.push(error.to_string()),
            }
        }
        lost
    }

    /// Waits until so many more were answered.
    fn goes_on(&self, count: usize) {
        let (before, until) = (
            self.answered.load(Ordering::SeqCst),
            Instant::now() + PATIENCE,
        );
        while self.answered.load(Ordering::SeqCst) < before + count {
            if Instant::now() > until {
                // Who asks is waited for.
                self.is_over.store(true, Ordering::SeqCst);
                panic!("nobody is answered any more");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn nobody_is_refused() {
    isolated(|| {
        let (dir, port, authority) = (tempdir().unwrap(), Port::open(), Authority::new());
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        let config = configure(dir.path(), &authority, &port, &realm);
        let ca_file = dir.path().join("ca.pem");
        let site = port.site(&ca_file);
        let mut gateway = port.serve("https", &config);
        let load = Load::default();
        let lost = thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| scope.spawn(|| load.ask(&site)))
                .collect();
            load.goes_on(50);
            for (name, hangs) in [("https", false), ("kept", false), ("kept", true)] {
                let mut hung = hangs.then(|| site.connect().unwrap());
                if let Some(hung) = &mut hung {
                    let begun =
                        b"POST /KdcProxy HTTP/1.1\r\nHost: g\r\nContent-Length: 99\r\n\r\nx";
                    hung.write_all(begun).unwrap();
                    hung.flush().unwrap();
                }
                gateway.signal("TERM");
                if hangs {
                    // It holds up the end, and nobody else.
                    load.goes_on(50);
                    assert_eq!(gateway.count("stopped"), 0);
                }
                assert!(gateway.wait().success());
                gateway = port.serve(name, &config);
                load.goes_on(50);
            }
            gateway.signal("HUP");
            gateway.wait_for("configuration read again");
            load.goes_on(50);
            authority.certify(dir.path(), &[NAME]);
            gateway.signal("HUP");
            gateway.wait_for("certificate replaced");
            load.goes_on(50);
            load.is_over.store(true, Ordering::SeqCst);
            let lost = clients.into_iter();
            lost.flat_map(|client| client.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(lost, [""; 0]);
    });
}

/// The service manager holds on to what it was given to keep, and nobody is to wait there in vain.
#[test]
fn what_was_kept_and_is_not_wanted_any_more_is_ended() {
    let (dir, port) = (tempdir().unwrap(), Port::open());
    let config = dir.path().join("gateway.toml");
    let serve = |address: &str| {
        let text = format!("[gateway]\nlisten = []\nplain-listen = [\"{address}\"]\n");
        fs::write(&config, text).unwrap();
        port.serve("kept", &config)
    };
    let wanted = serve(&port.address);
    assert!(wanted.log().contains(&port.address), "{}", wanted.log());
    drop(wanted);
    assert!(TcpStream::connect(&port.address).is_ok());
    let _unwanted = serve("127.0.0.2:0");
    let error = TcpStream::connect(&port.address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// What a socket may be for, its name says.
#[test]
fn a_socket_that_fits_no_use_is_told() {
    let (dir, port) = (tempdir().unwrap(), Port::open_at("0.0.0.0:0"));
    let config = dir.path().join("gateway.toml");
    Authority::new().certify(dir.path(), &[NAME]);
    let tls = "certificate = \"leaf.pem\"\nkey = \"leaf.key\"\n";
    for (name, gateway, told) in [
        (
            "kdc",
            tls,
            "the service manager's socket is named \"kdc\", not https or plain",
        ),
        (
            "https",
            "listen = []\nplain-listen = [\"127.0.0.1:0\"]\n",
            "the service manager's socket https needs a certificate",
        ),
        (
            "plain",
            tls,
            "is not a loopback address, and plain HTTP is served to this machine alone",
        ),
    ] {
        fs::write(&config, format!("[gateway]\n{gateway}")).unwrap();
        let mut process = port.hand_over(name, &config);
        assert_eq!(process.wait().code(), Some(78), "{}", process.log());
        assert!(process.log().contains(told), "{}", process.log());
    }
}
