//! The program as a process: ready, signals, reload, drain, exit codes, and what a service manager hands over and hears.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use loopkdc::wire::Service;
use tokio::net::{TcpStream, UnixStream};

use crate::clients::{Heard, Stream};
use crate::daemon::{Daemon, PROGRAM};
use crate::messages::{Kind, REALM, USER};
use crate::relay::{Reached, Setup, Transport};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::upstream::{Act, Gate, Plan, Upstream};

/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(5);

fn slow(gate: &Gate) -> Upstream {
    let gate = gate.clone();
    Plan::new(move |post| post.granted().after(&gate)).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_it_once_what_is_under_way_was_answered() {
    for signal in ["TERM", "INT"] {
        let gate = Gate::shut();
        let upstream = slow(&gate);
        let mut relay = Daemon::start(Setup::by(&[&upstream]));
        let request = Kind::Preauth.request(REALM);
        let datagrams = relay.udp(Service::Kdc).await;
        datagrams.send(&request.bytes).await;
        let mut stream = relay.tcp(Service::Kdc).await;
        stream.send(&Kind::Tgs.request(REALM).bytes).await;
        upstream.until_posts(2).await;
        let mut silent = relay.tcp(Service::Kdc).await;

        relay.process.signal(signal);
        assert_eq!(
            silent.hear().await,
            Heard::End,
            "nobody waits for the silent"
        );
        refused(&relay).await;
        gate.open();

        assert_eq!(datagrams.hear().await[0], 0x6b);
        assert_eq!(stream.hear().await.message()[0], 0x6d);
        assert_eq!(stream.hear().await, Heard::End);
        let (status, log) = relay.ended();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(log.contains("INFO stopped"), "{log}");
    }
}

/// Waits until the KDC service's TCP port is closed.
async fn refused(relay: &Daemon) {
    let address = relay.address(Service::Kdc);
    crate::within(async { while TcpStream::connect(address).await.is_ok() {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_after_five_seconds() {
    let upstream = Plan::always(Act::Silence).start();
    let mut relay = Daemon::start(Setup::by(&[&upstream]).deadline(20));
    let client = relay.udp(Service::Kdc).await;
    client.send(&Kind::Preauth.request(REALM).bytes).await;
    upstream.until_posts(1).await;
    let told = Instant::now();
    relay.process.signal("TERM");
    let (status, log) = tokio::task::spawn_blocking(move || relay.ended())
        .await
        .unwrap();
    assert!(told.elapsed() >= DRAIN && told.elapsed() < DRAIN * 2);
    assert_eq!(status.code(), Some(0));
    assert!(
        log.contains("stopped before everything under way had ended"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_a_realm_and_ends_what_is_under_way_where_it_began() {
    let gate = Gate::shut();
    let (old, new) = (slow(&gate), Plan::granting().start());
    let relay = Daemon::start(Setup::by(&[&old]));
    let client = relay.udp(Service::Kdc).await;
    client.send(&Kind::Preauth.request(REALM).bytes).await;
    old.until_posts(1).await;

    let text = fs::read_to_string(relay.config()).unwrap();
    fs::write(relay.config(), text.replace(&old.url(), &new.url())).unwrap();
    relay.reload("configuration read again");
    for transport in Transport::BOTH {
        relay
            .ask(transport, &Kind::Tgs.request(REALM))
            .await
            .message();
    }
    assert_eq!((old.posts(), new.posts()), (1, 2));
    gate.open();
    assert_eq!(client.hear().await[0], 0x6b);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_told_and_the_old_one_stays() {
    let upstream = Plan::granting().start();
    let relay = Daemon::start(Setup::by(&[&upstream]));
    let good = fs::read_to_string(relay.config()).unwrap();
    for bad in [
        format!("{good}\nnonsense = 1\n"),
        good.replace("https://", "ftp://"),
        good.replace("ca.pem", "no.pem"),
    ] {
        fs::write(relay.config(), bad).unwrap();
        relay.reload("the old configuration stays");
        relay
            .ask(Transport::Udp, &Kind::Plain.request(REALM))
            .await
            .message();
    }
    assert!(
        relay.process.log().contains("config.toml"),
        "which file, and where in it"
    );
    fs::write(
        relay.config(),
        good.replace("[listen]", "[listen]\nmax-connections = 7"),
    )
    .unwrap();
    relay.reload("holds after a restart");
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    assert_eq!(upstream.posts(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_exchanges_and_changes_but_no_principal() {
    let upstream = Plan::new(|post| match post.number {
        2..=4 => Act::status(503),
        5..=6 => Act::status(200),
        _ => post.granted(),
    })
    .start();
    let relay = Daemon::start(Setup::by(&[&upstream]).realm("OTHER.EXAMPLE", &[&upstream], ""));
    for _ in 1..=8 {
        relay
            .ask(Transport::Udp, &Kind::Change.request(REALM))
            .await;
    }
    relay
        .ask(Transport::Tcp, &Kind::Plain.request("OTHER.EXAMPLE"))
        .await;
    let (status, log) = relay.terminate();
    assert_eq!(status.code(), Some(0));
    let count = |words: &[&str]| {
        log.lines()
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    };
    assert_eq!(
        count(&[
            "DEBUG exchange",
            "kind=kpasswd",
            "realm=EXAMPLE.COM",
            "transport=\"udp\"",
            "ms="
        ]),
        8,
        "{log}"
    );
    assert_eq!(
        count(&[
            "DEBUG exchange",
            "kind=AS-REQ",
            "realm=OTHER.EXAMPLE",
            "outcome=\"replied\""
        ]),
        1,
        "{log}"
    );
    assert_eq!(count(&["INFO upstream ill", "HTTP 503"]), 1, "{log}");
    assert_eq!(count(&["INFO upstream ill", "captive portal"]), 1, "{log}");
    assert_eq!(count(&["INFO upstream well again"]), 1, "{log}");
    assert!(!log.contains(USER) && !log.contains("changepw"), "{log}");
}

/// Runs the program to its end.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_ends_it_with_78_and_says_by_whom() {
    let upstream = Plan::granting().start();
    for (holder, option, usual) in [
        ("kdc", "--listen-kdc", "krb5kdc"),
        ("kpasswd", "--listen-kpasswd", "kadmind"),
    ] {
        let relay = Daemon::start(Setup::by(&[&upstream]));
        let service = if holder == "kdc" {
            Service::Kdc
        } else {
            Service::Kpasswd
        };
        let taken = relay.address(service);
        let setup = Setup::by(&[&upstream]).listen(&format!("{holder} = [\"{taken}\"]"));
        let (code, said) = run(Command::new(PROGRAM)
            .args(["run", "--config"])
            .arg(setup.write()));
        assert_eq!(code, Some(78), "{said}");
        for words in [
            "cannot listen on",
            "hint: usually held by",
            usual,
            &format!("sport = {}", taken.port()),
            option,
        ] {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
        assert!(!said.contains(" ready "), "{said}");
    }
}

/// Privileged ports without the capability, in a network of its own, where nothing has made them unprivileged.
#[test]
fn a_port_without_permission_ends_it_with_77_and_says_what_to_do() {
    isolated(|| {
        let mut command = Command::new("setpriv");
        command.args([
            "--bounding-set",
            "-net_bind_service",
            "--inh-caps",
            "-net_bind_service",
            PROGRAM,
        ]);
        command.args(["run", "--realm", "EXAMPLE.COM=https://kdcproxy.example.com"]);
        let (code, said) = run(&mut command);
        assert_eq!(code, Some(77), "{said}");
        for words in [
            "cannot listen on 127.0.0.1:88",
            "hint: ",
            "loopkdc.socket",
            "cap_net_bind_service",
            "--listen-kdc",
        ] {
            assert!(said.contains(words), "no {words:?} in {said}");
        }
    });
}

/// The default addresses, on a machine that has IPv6 and on one that hasn't.
#[test]
fn a_default_address_that_the_machine_lacks_is_skipped_and_a_configured_one_is_not() {
    isolated(|| {
        let arguments = ["run", "--realm", "EXAMPLE.COM=https://kdcproxy.example.com"];
        let start = || {
            Process::start(
                "loopkdc run",
                Command::new(PROGRAM).args(arguments),
                " ready ",
            )
        };
        let mut both = start();
        assert!(
            both.log()
                .contains("kdc=127.0.0.1:88,[::1]:88 kpasswd=127.0.0.1:464,[::1]:464"),
            "{}",
            both.log()
        );
        both.terminate();
        fs::write("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "1").unwrap();
        let mut one = start();
        assert!(
            one.log().contains("kdc=127.0.0.1:88 kpasswd=127.0.0.1:464"),
            "{}",
            one.log()
        );
        assert!(
            one.log()
                .contains("not listening here: this machine has no IPv6"),
            "{}",
            one.log()
        );
        one.terminate();
        let (code, said) = run(Command::new(PROGRAM)
            .args(arguments)
            .args(["--listen-kdc", "[::1]:88"]));
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains("cannot listen on [::1]:88"), "{said}");
    });
}

#[test]
fn port_0_is_a_port_that_is_free_for_udp_too() {
    isolated(|| {
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40031").unwrap();
        // Three in four, odd and even: the kernel looks among the odd ones first.
        let taken = (40_000..40_032).filter(|port| port % 8 > 1);
        let _taken: Vec<_> = taken
            .map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap())
            .collect();
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--realm", "EXAMPLE.COM=https://kdcproxy.example.com"]);
        command.args([
            "--listen-kdc",
            "127.0.0.1:0",
            "--listen-kpasswd",
            "127.0.0.1:0",
        ]);
        Process::start("loopkdc run", &mut command, " ready ").terminate();
    });
}

/// Where a service manager hears from a process.
struct Manager {
    socket: UnixDatagram,
    _dir: tempfile::TempDir,
}

impl Manager {
    fn start(setup: Setup) -> (Self, Daemon) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        let mut command = Command::new(PROGRAM);
        command.env("NOTIFY_SOCKET", &path);
        (Self { socket, _dir: dir }, Daemon::start_by(command, setup))
    }

    fn hear(&self) -> Vec<String> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap();
        let text = str::from_utf8(&buffer[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_manager_hears_ready_reloading_and_stopping() {
    let upstream = Plan::granting().start();
    let (manager, relay) = Manager::start(Setup::by(&[&upstream]));
    assert_eq!(manager.hear(), ["READY=1"]);
    relay
        .ask(Transport::Tcp, &Kind::Plain.request(REALM))
        .await
        .message();
    relay.reload("configuration read again");
    let reloading = manager.hear();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(manager.hear(), ["READY=1"]);
    relay.terminate();
    assert_eq!(manager.hear(), ["STOPPING=1"]);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let upstream = Plan::granting().start();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kdc.sock");
    let setup = || Setup::by(&[&upstream]).listen(&format!("kdc = [\"unix:{}\"]", path.display()));
    let first = Daemon::start(setup());
    let (code, said) = run(Command::new(PROGRAM)
        .args(["run", "--config"])
        .arg(setup().write()));
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("hint: another loopkdc may listen there"),
        "{said}"
    );
    drop(first);
    let _second = Daemon::start(setup());
    let mut client = Stream(UnixStream::connect(&path).await.unwrap());
    client.send(&Kind::Plain.request(REALM).bytes).await;
    assert_eq!(client.hear().await.message()[0], 0x6b);
}
