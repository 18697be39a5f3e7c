//! Hosts of their own, the cables between them, and firewalls: all in the namespaces of one test.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::panic;
use std::process::{Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where `ip netns` keeps what it names.
const NAMES: &str = "/run/netns";

/// The hosts of one test; they end with its process.
pub(crate) struct Network {
    _private: (),
}

/// A machine with a network stack of its own. Files and processes are those of the test.
pub(crate) struct Host {
    name: &'static str,
    namespace: File,
}

/// One end of a cable: an interface of `host`, and its addresses.
#[derive(Clone, Copy)]
pub(crate) struct Plug<'a> {
    pub(crate) host: &'a Host,
    pub(crate) interface: &'a str,
    pub(crate) addresses: &'a [&'a str],
}

impl Network {
    /// To be called in a test's own network and mount namespaces.
    pub(crate) fn new() -> Network {
        // Neither does the machine see the names of these hosts, nor is one of its own in the way.
        shell("mount", &["-t", "tmpfs", "tmpfs", "/run"], "");
        Network { _private: () }
    }

    /// Adds a host, with its loopback up.
    pub(crate) fn host(&self, name: &'static str) -> Host {
        shell("ip", &["netns", "add", name], "");
        let namespace = File::open(format!("{NAMES}/{name}")).unwrap();
        let host = Host { name, namespace };
        host.ip("link set lo up");
        host.at(|| {
            // An address of IPv6 is there at once, and stays when its cable is pulled.
            set("ipv6/conf/default/accept_dad", "0");
            set("ipv6/conf/all/keep_addr_on_down", "1");
        });
        host
    }

    /// Lays a cable between two hosts, with both its ends up.
    pub(crate) fn link(&self, one: Plug, other: Plug) {
        let (near, far) = (one.interface, other.interface);
        let there = other.host.name;
        one.host.ip(&format!(
            "link add {near} type veth peer name {far} netns {there}"
        ));
        for Plug {
            host,
            interface,
            addresses,
        } in [one, other]
        {
            let add = |address: &&str| format!("address add {address} dev {interface}\n");
            let addresses: String = addresses.iter().map(add).collect();
            host.ip(&format!("{addresses}link set {interface} up"));
        }
    }
}

impl Host {
    /// Does something on this host: what it starts, be it a process, a thread or a socket, stays there.
    pub(crate) fn at<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                let of = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.namespace.as_fd(), of).unwrap();
                act()
            });
            there.join().unwrap_or_else(|why| panic::resume_unwind(why))
        })
    }

    /// Gives `ip` these lines of work.
    pub(crate) fn ip(&self, lines: &str) {
        shell("ip", &["-n", self.name, "-batch", "-"], lines);
    }

    /// Gives `nft` these lines of work.
    pub(crate) fn nft(&self, lines: &str) {
        self.at(|| shell("nft", &["-f", "-"], lines));
    }

    /// What a command prints here.
    pub(crate) fn says(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        self.at(|| shell(words[0], &words[1..], ""))
    }

    /// Passes on what is for others, from now on.
    pub(crate) fn forwards(&self) {
        self.at(|| {
            set("ipv4/ip_forward", "1");
            set("ipv6/conf/all/forwarding", "1");
        });
    }

    /// Sets a value of the kernel's, by its path below net.
    pub(crate) fn sets(&self, path: &str, value: &str) {
        self.at(|| set(path, value));
    }
}

fn set(path: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{path}"), value).unwrap_or_else(|e| panic!("{path}: {e}"));
}

/// Runs a program, which succeeds, and returns what it prints.
fn shell(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; tests/run installs it"));
    let mut stdin = child.stdin.take().unwrap();
    // One that has failed already reads no more.
    let _ = stdin.write_all(format!("{input}\n").as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let cried = String::from_utf8_lossy(&output.stderr);
    let ended = output.status;
    assert!(
        ended.success(),
        "{program} {arguments:?} {input}: {ended} {cried}"
    );
    String::from_utf8(output.stdout).unwrap()
}
