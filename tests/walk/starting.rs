//! What keeps the program from starting, and what doesn't: ports, addresses and sockets left behind.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use loopkdc::wire::Service;
use tokio::net::UnixStream;

use crate::clients::Stream;
use crate::daemon::{Daemon, PROGRAM};
use crate::messages::{Kind, REALM};
use crate::relay::{Reached, Setup};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::upstream::Plan;

/// Runs the program to its end: its exit code and what it said.
pub fn run(command: &mut Command) -> (Option<i32>, String) {
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut process = Process::adopt("loopkdc run", child);
    let status = process.wait();
    (status.code(), process.log())
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

/// A service manager's is another user's, or confined.
#[test]
fn who_starts_it_as_root_by_hand_is_told_that_it_needs_no_root() {
    for (is_managed, told) in [(false, 1), (true, 0)] {
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--realm", "EXAMPLE.COM=https://kdcproxy.example.com"]);
        command.args(["--listen-kdc", "127.0.0.1:0"]);
        command.args(["--listen-kpasswd", "127.0.0.1:0"]);
        if is_managed {
            command.env("NOTIFY_SOCKET", "/nowhere");
        }
        let mut process = Process::start("loopkdc run", &mut command, " ready ");
        process.terminate();
        let words = "this stays root, which it need not be: systemctl enable --now loopkdc";
        assert_eq!(process.count(words), told);
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
