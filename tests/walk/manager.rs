//! A service manager's part: what it hears, and the sockets that it hands over.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};

use loopkdc::wire::Service;
use tokio::net::UnixStream;

use crate::clients::Stream;
use crate::daemon::{Daemon, PROGRAM};
use crate::messages::{Kind, REALM};
use crate::relay::{Reached, Setup, Transport};
use crate::starting::run;
use crate::upstream::{Act, Plan, Upstream};

/// Where a service manager hears from a process.
pub(crate) struct Manager {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Manager {
    fn start(setup: Setup) -> (Self, Daemon) {
        Self::start_watching(setup, &[])
    }

    /// The same with these variables of the environment.
    pub(crate) fn start_watching(setup: Setup, variables: &[(&str, &str)]) -> (Self, Daemon) {
        let manager = Self::open();
        let daemon = Daemon::start_by(manager.command(variables), setup);
        (manager, daemon)
    }

    pub(crate) fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        Self { socket, dir }
    }

    /// The start of a program that tells it.
    pub(crate) fn command(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .env("NOTIFY_SOCKET", self.dir.path().join("notify"))
            .envs(variables.iter().copied());
        command
    }

    pub(crate) fn hear(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        let text = str::from_utf8(&buffer[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// What it hears next that is not what the realms are like, which is told when there is time.
    fn hear_of_the_daemon(&self) -> Vec<String> {
        let is_of_realms = |heard: &Vec<String>| heard[0].starts_with("STATUS=");
        let mut heard = std::iter::repeat_with(|| self.hear());
        heard.find(|heard| !is_of_realms(heard)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_ready_reloading_and_stopping() {
    let upstream = Plan::granting().start();
    let (manager, relay) = Manager::start(Setup::by(&[&upstream]));
    assert_eq!(manager.hear_of_the_daemon(), ["READY=1"]);
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    relay.reload("configuration read again");
    let reloading = manager.hear_of_the_daemon();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(manager.hear_of_the_daemon(), ["READY=1"]);
    relay.terminate();
    assert_eq!(manager.hear_of_the_daemon(), ["STOPPING=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_shows_which_realms_can_be_reached_and_by_what() {
    let first = Plan::new(|post| match post.number {
        1 => post.granted(),
        _ => Act::status(403),
    });
    let [mut first, mut second] = [first, Plan::granting()].map(Plan::start_down);
    let (manager, relay) = Manager::start(Setup::by(&[&first, &second]));
    assert_eq!(manager.hear(), ["READY=1"]);
    let ask = async |kind: Kind| drop(relay.ask(Transport::Tcp, &kind.request(REALM)).await);
    ask(Kind::Plain).await;
    let lost = format!("STATUS={REALM}: no KDC can be reached");
    assert_eq!(manager.hear(), [lost]);
    first.open();
    ask(Kind::Tgs).await;
    let active = |proxy: &Upstream| format!("STATUS={REALM}: active, https://{}", proxy.address());
    assert_eq!(manager.hear(), [active(&first)]);
    second.open();
    ask(Kind::Preauth).await;
    assert_eq!(manager.hear(), [active(&second)]);
    // Each was told once.
    relay.terminate();
    assert_eq!(manager.hear(), ["STOPPING=1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_that_watches_hears_again_and_again() {
    let upstream = Plan::granting().start();
    let watched = ("WATCHDOG_USEC", "100000");
    let (manager, relay) = Manager::start_watching(Setup::by(&[&upstream]), &[watched]);
    assert_eq!(manager.hear(), ["READY=1"]);
    for _ in 0..3 {
        assert_eq!(manager.hear(), ["WATCHDOG=1"]);
    }
    relay.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_that_watches_somebody_else_hears_nothing() {
    let upstream = Plan::granting().start();
    let other = [("WATCHDOG_USEC", "100"), ("WATCHDOG_PID", "1")];
    let (manager, relay) = Manager::start_watching(Setup::by(&[&upstream]), &other);
    assert_eq!(manager.hear(), ["READY=1"]);
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    relay.terminate();
    assert_eq!(manager.hear_of_the_daemon(), ["STOPPING=1"]);
}

/// A command that starts the program with two sockets of a service manager, blocking as systemd's are: descriptors 3 and 4.
fn with_sockets(names: &str, sockets: [OwnedFd; 2]) -> Command {
    let mut command = Command::new("sh");
    let [first, second] = sockets;
    command
        .args([
            "-c",
            "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >&2",
            PROGRAM,
        ])
        .env("LISTEN_FDS", "2")
        .env("LISTEN_FDNAMES", names)
        .stdin(Stdio::from(first))
        .stdout(Stdio::from(second));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn inherited_sockets_serve_instead_of_those_in_the_file() {
    let upstream = Plan::granting().start();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind(tcp.local_addr().unwrap()).unwrap();
    let address = tcp.local_addr().unwrap();
    let relay = Daemon::start_by(
        with_sockets("kdc:kdc", [tcp.into(), udp.into()]),
        Setup::by(&[&upstream]),
    );
    assert_eq!(relay.addresses(Service::Kdc), [address]);
    relay
        .process
        .wait_for("names addresses that the service manager has not opened");
    for kind in Kind::ALL {
        for transport in Transport::BOTH {
            let answer = relay.ask(transport, &kind.request(REALM)).await;
            assert_eq!(
                answer.message()[0],
                kind.reply()[0],
                "{kind:?} {transport:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inherited_unix_and_kpasswd_sockets_serve() {
    let upstream = Plan::granting().start();
    let setup = Setup::by(&[&upstream]);
    let path = setup.dir().join("kdc.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay = Daemon::start_by(
        with_sockets("kdc:kpasswd", [unix.into(), udp.into()]),
        setup,
    );
    let mut client = Stream(UnixStream::connect(&path).await.unwrap());
    client.send(&Kind::Plain.request(REALM).bytes).await;
    assert_eq!(client.hear().await.message()[0], 0x6b);
    let answer = relay
        .ask(Transport::Udp, &Kind::Change.request(REALM))
        .await;
    assert_eq!(answer.message()[0], Kind::Change.reply()[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inherited_socket_without_a_service_ends_it_with_78() {
    let upstream = Plan::granting().start();
    let sockets = || {
        let udp = || UdpSocket::bind("127.0.0.1:0").unwrap();
        [udp().into(), udp().into()]
    };
    for names in ["kdc:http", "loopkdc.socket:loopkdc.socket"] {
        let setup = Setup::by(&[&upstream]);
        let (code, said) = run(with_sockets(names, sockets())
            .args(["run", "--config"])
            .arg(setup.write()));
        assert_eq!(code, Some(78), "{said}");
        assert!(
            said.contains("hint: write FileDescriptorName=kdc"),
            "{said}"
        );
    }
}

/// The name of a program's own stderr.
const STDERR: &str = "$(stat -L -c %d:%i /proc/self/fd/2)";

/// A start of the program of which its service manager says that it writes to the journal, if `name` is its stderr's.
fn journaled(name: &str) -> Command {
    let start = format!("JOURNAL_STREAM={name} exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(start).arg(PROGRAM);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_told_how_urgent_a_line_is_and_nobody_else() {
    let upstream = Plan::granting().start();
    let start = |name| Daemon::start_by(journaled(name), Setup::by(&[&upstream]));
    let daemon = start(STDERR);
    daemon.write("nothing that can be read");
    daemon.reload("configuration");
    daemon
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    let (_, log) = daemon.terminate();
    for (start, word) in [
        ("<6> INFO ", " ready "),
        ("<7>DEBUG ", "attempt"),
        ("<3>ERROR ", "configuration"),
    ] {
        let mut lines = log.lines().filter(|line| line.starts_with(start));
        assert!(lines.any(|line| line.contains(word)), "{start} {log}");
    }
    assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
    let (_, log) = start("1:1").terminate();
    assert!(log.contains(" INFO ") && !log.contains("<6>"), "{log}");
    // Before there is a log, too.
    let (_, said) = run(journaled(STDERR).args(["run", "--config", "/nowhere"]));
    assert!(said.contains("<3>loopkdc: error: "), "{said}");
    assert!(said.lines().all(|line| line.starts_with("<3>")), "{said}");
}
