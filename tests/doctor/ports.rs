//! Where the daemon is to listen, and who does.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::thread;

use loopkdc::relay::finding::Layer;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use crate::machine::realm;
use crate::scene::{REALM, Scene, UNKNOWN, alone, answering};
use crate::support::netns::isolated;

#[test]
fn ports_that_are_taken() {
    isolated(|| {
        let text = format!("[listen]\nkpasswd = []\n{}", realm(REALM));
        let mut scene = Scene::configured(&text);
        let _taken = TcpListener::bind("127.0.0.1:88").unwrap();
        scene.usual.push((
            format!("(process {})", std::process::id()),
            "(process 77)".to_owned(),
        ));
        let comm = fs::read_to_string("/proc/self/comm").unwrap();
        scene
            .usual
            .push((comm.trim().to_owned(), "krb5kdc".to_owned()));
        let found = scene.doctor_here(&[]);
        found.is_at_fault(
            Layer::Ports,
            "127.0.0.1:88 (TCP): taken by",
            "krb5-conf --install",
        );
    });
}

/// Another user's process is not looked into, and root's own is.
#[test]
fn ports_of_someone_else() {
    isolated(|| {
        let text = format!("[listen]\nkpasswd = []\n{}", realm(REALM));
        let scene = Scene::configured(&text);
        open_to_all(&scene);
        let taken = TcpListener::bind("127.0.0.1:88").unwrap();
        // It takes connections, and ends them.
        thread::spawn(move || taken.incoming().for_each(drop));
        let found = scene.doctor_as_nobody();
        found.says(
            Layer::Ports,
            "fault",
            "127.0.0.1:88 (UDP): nobody listens, and loopkdc should",
            "systemctl cat loopkdc.socket",
        );
        found.says(
            Layer::Ports,
            "warning",
            "127.0.0.1:88 (TCP): held by another user's process",
            "sudo loopkdc doctor",
        );
        found.says(
            Layer::Daemon,
            "warning",
            "another process holds its ports, or systemd until the first client comes",
            "systemctl status loopkdc.socket",
        );
        // Whoever it is, it is asked as a client would.
        let words = "asked at 127.0.0.1:88, it says that no KDC can be reached";
        found.finding("daemon", "skipped", words);
    });
}

/// A container may share /run with its host, whose daemon is of no use to it.
#[test]
fn a_daemon_in_another_network_is_none_here() {
    isolated(|| {
        alone(|| {
            let text = format!("[listen]\nkpasswd = []\n{}", realm(REALM));
            let scene = Scene::configured(&text).with_daemon();
            let here = scene.doctor_here(&[]);
            here.is_well("daemon", "runs, process");
            let config = scene.config().display().to_string();
            let doctor = "ip link set lo up; exec loopkdc doctor --json --config \"$0\"";
            let mut command = Command::new("unshare");
            scene.surround(&mut command);
            command.args(["--net", "sh", "-c", doctor, &config]);
            let there = scene.report(command);
            there.finding("daemon", "fault", "loopkdc does not run");
            let mut status = Command::new("unshare");
            scene.surround(&mut status);
            let status = status.args(["--net", "loopkdc", "status"]).output();
            assert_eq!(status.unwrap().status.code(), Some(69));
            let status = scene.command().arg("status").output();
            assert_eq!(status.unwrap().status.code(), Some(0));
            there.is_well("ports", "127.0.0.1:88: free");
        });
    });
}

/// Who may not look into a process can still ask it.
#[test]
fn a_tunnel_of_someone_else_is_known_by_its_answers() {
    isolated(|| {
        alone(|| {
            Runtime::new().unwrap().block_on(async {
                let upstream = answering(UNKNOWN, 0).start();
                let scene = listening(&upstream.url(), "127.0.0.1:88");
                open_to_all(&scene);
                let scene = scene.calling(&upstream).with_daemon();
                let found = block_in_place(|| scene.doctor_as_nobody());
                found.finding(
                    "ports",
                    "warning",
                    "127.0.0.1:88: held by another user's process",
                );
                let words = "asked at 127.0.0.1:88, it brings the KDC's answer";
                found.is_well("daemon", words);
                found.finds_nothing();
            });
        });
    });
}

/// A bridge's or a VPN's, which comes later. The others are the daemon's, and it is asked there.
#[test]
fn an_address_that_is_not_there_yet() {
    isolated(|| {
        alone(|| {
            Runtime::new().unwrap().block_on(async {
                let upstream = answering(UNKNOWN, 0).start();
                let scene = Scene::with(&[upstream.url()], "");
                let scene = scene.with_instead(
                    "[listen]\nkdc = [",
                    "[listen]\nallow-remote-clients = true\nkdc = [\"172.17.0.1:88\", ",
                );
                let scene = scene.calling(&upstream).with_daemon();
                let found = block_in_place(|| scene.diagnose());
                let words = "172.17.0.1:88: no interface of this machine has this address";
                found.says(Layer::Ports, "warning", words, "ip address");
                found.is_well("daemon", "it brings the KDC's answer");
                found.finds_nothing();
            });
        });
    });
}

/// A machine that listens there alone, and has no status.
fn listening(proxy: &str, address: &str) -> Scene {
    let scene = Scene::with(&[proxy.to_owned()], "");
    let usual = format!("unix:{}", scene.path("kdc.sock").display());
    scene
        .with_instead("[listen]\n", "[listen]\nstatus-socket = \"off\"\n")
        .with_instead(&usual, address)
}

/// Anybody may call a program loopkdc, and listen at such a port.
#[test]
fn a_namesake_of_another_user() {
    isolated(|| {
        alone(|| {
            Runtime::new().unwrap().block_on(async {
                let (other, well) = (answering(68, 0).start(), answering(UNKNOWN, 0).start());
                let scene = listening(&other.url(), "127.0.0.1:1088").calling(&well);
                open_to_all(&scene);
                let daemon = scene.daemon_of_nobody();
                let scene = scene.with_instead(&other.url(), &well.url());
                let found = scene.diagnose();
                let words = "127.0.0.1:1088: held by loopkdc (process ";
                let finding = found.finding("ports", "warning", words);
                let words = ") of user 65534, perhaps not by the loopkdc that is meant";
                assert!(finding.what.contains(words), "{finding:?}");
                found.says(Layer::Ports, "warning", words, "systemctl status ");
                let words = "loopkdc does not answer; another process holds its ports";
                found.says(Layer::Daemon, "warning", words, "systemctl status loopkdc");
                let words = "it brings the answer of a KDC that does not serve this realm";
                found.is_at_fault(Layer::Daemon, words, "loopkdc status");
                drop(daemon);
            });
        });
    });
}

#[test]
fn a_port_that_is_open_by_udp_alone() {
    isolated(|| {
        let text = format!("[listen]\nkpasswd = []\n{}", realm(REALM));
        let scene = Scene::configured(&text);
        open_to_all(&scene);
        let taken = UdpSocket::bind("127.0.0.1:88").unwrap();
        let found = scene.doctor_as_nobody();
        found.is_at_fault(
            Layer::Ports,
            "127.0.0.1:88 (TCP): nobody listens, and loopkdc should",
            "systemctl cat loopkdc.socket",
        );
        drop(taken);
    });
}

/// Nobody accepts, and the backlog takes one.
#[test]
fn a_socket_that_takes_no_connections() {
    let scene = listening("https://127.0.0.1:9", "unix:/nonexistent");
    let path = scene.path("deaf.sock");
    let scene = scene.with_instead("/nonexistent", &path.display().to_string());
    let deaf = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    deaf.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    deaf.listen(0).unwrap();
    open_to_all(&scene);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    let found = scene.doctor_as_nobody();
    found.is_at_fault(
        Layer::Daemon,
        "it does not answer in time",
        "loopkdc status",
    );
    drop(waiting);
}

/// It is the folder's, and who it lets in, that say who may connect.
#[test]
fn a_socket_that_is_not_for_everybody() {
    let scene = listening("https://127.0.0.1:9", "unix:/nonexistent");
    open_to_all(&scene);
    let path = scene.path("my kdc.sock");
    let scene = scene.with_instead("/nonexistent", &path.display().to_string());
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = scene.doctor_as_nobody();
    found.says(
        Layer::Daemon,
        "warning",
        "may not be connected to by this user",
        "sudo loopkdc doctor",
    );
    drop(listener);
}

pub(crate) fn open_to_all(scene: &Scene) {
    let dir = scene.config();
    let dir = dir.parent().unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
}

/// All of the defaults, by UDP and TCP, for both services and both families.
#[test]
fn ports_of_ones_own() {
    isolated(|| {
        let scene = Scene::configured(&realm(REALM)).with_daemon();
        let found = scene.doctor_here(&[]);
        found.is_well(
            "ports",
            "127.0.0.1:88, [::1]:88, 127.0.0.1:464, [::1]:464: loopkdc's",
        );
        // Each of its sockets says the same, and why is known.
        let asked = found.all("daemon", "skipped").count();
        assert_eq!(asked, 2, "{found:#?}");
        found.finding("tcp", "fault", "refused");
    });
}

#[test]
fn a_port_that_the_daemon_does_not_listen_on() {
    isolated(|| {
        let scene = Scene::configured(&realm(REALM)).with_daemon();
        let text = format!(
            "[listen]\nkdc = [\"127.0.0.1:88\", \"127.0.0.1:1088\"]\n{}",
            realm(REALM)
        );
        fs::write(scene.config(), text).unwrap();
        let found = scene.doctor_here(&[]);
        found.is_at_fault(
            Layer::Ports,
            "127.0.0.1:1088: nobody listens, and loopkdc should",
            "holds after a restart: kill ",
        );
    });
}
