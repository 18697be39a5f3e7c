//! All sockets in a service manager's hands: it starts the daemon, again and again, and nobody who asks meanwhile is lost.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use loopkdc::wire::Service;
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use crate::clients::{Heard, Stream, Udp};
use crate::daemon::{Daemon, PROGRAM};
use crate::messages::{Kind, REALM};
use crate::relay::{Reached, Setup};
use crate::upstream::{Gate, Plan, Upstream};

/// Above those that a shell uses for itself.
const FREE: i32 = 20;

/// UDP and TCP of both services, held open by the test as systemd holds them, whoever serves.
pub(crate) struct Sockets {
    sockets: Vec<OwnedFd>,
    names: Vec<&'static str>,
    addresses: [SocketAddr; 2],
}

impl Sockets {
    pub(crate) fn open() -> Self {
        let mut held = Self {
            sockets: Vec::new(),
            names: Vec::new(),
            addresses: [SocketAddr::from(([0; 4], 0)); 2],
        };
        for (address, name) in ["kdc", "kpasswd"].into_iter().enumerate() {
            let (tcp, udp) = both();
            held.addresses[address] = tcp.local_addr().unwrap();
            for socket in [OwnedFd::from(tcp), udp.into()] {
                let socket = fcntl_dupfd_cloexec(&socket, FREE).unwrap();
                fcntl_setfd(&socket, FdFlags::empty()).unwrap();
                held.sockets.push(socket);
                held.names.push(name);
            }
        }
        held
    }

    /// The start of a daemon with them, as descriptors 3 to 6.
    pub(crate) fn hand_over(&self) -> Command {
        let mut command = Command::new("bash");
        let numbers = self.sockets.iter().map(|socket| socket.as_fd().as_raw_fd());
        command
            .arg("-c")
            .arg("exec 3<&$1 4<&$2 5<&$3 6<&$4; shift 4; LISTEN_PID=$$ exec \"$0\" \"$@\"")
            .arg(PROGRAM)
            .args(numbers.map(|number| number.to_string()))
            .env("LISTEN_FDS", "4")
            .env("LISTEN_FDNAMES", self.names.join(":"))
            .stdin(Stdio::null());
        command
    }

    fn start(&self, setup: Setup) -> Daemon {
        Daemon::start_by(self.hand_over(), setup)
    }

    fn address(&self, service: Service) -> SocketAddr {
        match service {
            Service::Kdc => self.addresses[0],
            Service::Kpasswd => self.addresses[1],
        }
    }

    /// Each service answers over each transport.
    pub(crate) async fn are_served(&self) {
        are_answered(self.ask_all().await).await;
    }

    /// Asks each service over each transport, whether anybody serves or not.
    async fn ask_all(&self) -> Vec<Waiting> {
        let mut waiting = Vec::new();
        for kind in [Kind::Preauth, Kind::Change] {
            let request = kind.request(REALM);
            let address = self.address(request.service);
            let udp = Udp::connect(address).await;
            udp.send(&request.bytes).await;
            waiting.push(Waiting(kind, Client::Udp(udp)));
            let mut tcp = Stream::connect(address).await;
            tcp.send(&kind.request(REALM).bytes).await;
            waiting.push(Waiting(kind, Client::Tcp(tcp)));
        }
        waiting
    }
}

/// UDP and TCP of one port.
fn both() -> (TcpListener, UdpSocket) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
}

/// Who has asked, and for what.
struct Waiting(Kind, Client);

enum Client {
    Udp(Udp),
    Tcp(Stream),
}

impl Waiting {
    async fn answered(self) {
        let message = match self.1 {
            Client::Udp(udp) => udp.hear().await,
            Client::Tcp(mut tcp) => tcp.hear().await.message(),
        };
        assert_eq!(message[0], self.0.reply()[0], "{:?}", self.0);
    }
}

async fn are_answered(waiting: Vec<Waiting>) {
    for each in waiting {
        each.answered().await;
    }
}

/// Answers the first request when the gate is open, and all others at once.
fn first_waits(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Plan::new(move |post| match post.number {
        1 => post.granted().after(&gate),
        _ => post.granted(),
    })
    .start()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_four_sockets_serve() {
    let upstream = Plan::granting().start();
    let sockets = Sockets::open();
    let relay = sockets.start(Setup::by(&[&upstream]));
    for service in [Service::Kdc, Service::Kpasswd] {
        assert_eq!(relay.addresses(service), [sockets.address(service)]);
    }
    are_answered(sockets.ask_all().await).await;
    assert_eq!(upstream.posts(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing() {
    let gate = Gate::shut();
    let upstream = first_waits(&gate);
    let sockets = Sockets::open();
    let mut first = sockets.start(Setup::by(&[&upstream]));
    let in_flight = first.udp(Service::Kdc).await;
    in_flight.send(&Kind::Preauth.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    let mut silent = first.tcp(Service::Kdc).await;
    silent.send(&Kind::Tgs.request(REALM).bytes).await;
    silent.hear().await.message();
    first.process.signal("TERM");
    // From here on it reads nothing that is new.
    assert_eq!(silent.hear().await, Heard::End);
    let meanwhile = sockets.ask_all().await;
    gate.open();
    assert_eq!(in_flight.hear().await[0], Kind::Preauth.reply()[0]);
    let (status, log) = first.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(upstream.posts(), 2);

    let between = sockets.ask_all().await;
    let _second = sockets.start(Setup::by(&[&upstream]));
    are_answered(meanwhile).await;
    are_answered(between).await;
    assert_eq!(upstream.posts(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loses_what_was_in_flight_and_nothing_else() {
    let upstream = first_waits(&Gate::shut());
    let sockets = Sockets::open();
    let mut first = sockets.start(Setup::by(&[&upstream]));
    let mut lost = first.tcp(Service::Kdc).await;
    lost.send(&Kind::Preauth.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    first.process.signal("KILL");
    let _ = first.ended();
    // A client sees at once that it has to ask anew.
    let end = lost.hear().await;
    assert!(matches!(end, Heard::End | Heard::Reset), "{end:?}");

    let between = sockets.ask_all().await;
    let _second = sockets.start(Setup::by(&[&upstream]));
    are_answered(between).await;
    assert_eq!(upstream.posts(), 5);
}
