//! This machine: the configuration, the ports, the daemon.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use loopkdc::doctor::Layer;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use crate::scene::{REALM, Scene, UNKNOWN, alone, answering};
use crate::support::netns::isolated;
use crate::upstream::Plan;

fn realm(name: &str) -> String {
    format!("[realms.\"{name}\"]\nproxies = [\"https://127.0.0.1:9\"]\n")
}

#[test]
fn no_configuration() {
    let scene = Scene::bare();
    // Else what this machine has would be found.
    let found = scene.doctor(&[
        REALM.to_owned(),
        "--config".to_owned(),
        scene.config().display().to_string(),
    ]);
    found.is_at_fault(
        Layer::Configuration,
        "does not exist",
        "[realms.\"EXAMPLE.COM\"]",
    );
    found.line("tls", "skipped", "no configuration");
}

#[test]
fn a_broken_configuration() {
    let found = Scene::configured("[realms.\"EXAMPLE.COM\"]\nproxies = [\"http://proxy\"]\n")
        .doctor_here(&[]);
    found.is_at_fault(Layer::Configuration, "plain text", "https://");
    found.line("configuration", "fault", "config.toml:2:12");
}

#[test]
fn a_realm_that_is_not_configured() {
    let scene = Scene::configured(&realm(REALM));
    let found = scene.doctor_here(&["EXAMPLE.ORG"]);
    found.is_at_fault(
        Layer::Configuration,
        "realm EXAMPLE.ORG is not in",
        "write into",
    );
    let found = Scene::configured("").doctor_here(&[]);
    found.is_at_fault(Layer::Configuration, "no realm is in", "write into");
}

#[test]
fn wildcards_alone() {
    let found = Scene::configured(&realm("*.EXAMPLE.COM")).doctor_here(&[]);
    found.is_at_fault(Layer::Configuration, "wildcards", "loopkdc doctor REALM");
}

#[test]
fn what_is_no_realm() {
    let found = Scene::configured(&realm(REALM)).doctor_here(&["\u{e9}"]);
    found.is_at_fault(
        Layer::Configuration,
        "not printable ASCII",
        "loopkdc doctor EXAMPLE.COM",
    );
}

#[test]
fn a_warning() {
    let found = Scene::configured(&realm("example.com")).doctor_here(&[]);
    found.says(
        Layer::Configuration,
        "warn",
        "most realms are upper case",
        "loopkdc check",
    );
}

#[test]
fn no_daemon() {
    isolated(|| {
        alone(|| {
            Runtime::new().unwrap().block_on(async {
                let upstream = answering(UNKNOWN, 0).start();
                let found = Scene::with(&[upstream.url()], "").diagnose();
                found.is_at_fault(Layer::Daemon, "loopkdc does not run", "start it: ");
                // What works without it is seen all the same.
                found.is_well("kdc", "nobody");
                found.is_well("ports", "free");
            });
        });
    });
}

/// The daemon goes by what was configured when it started.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_knows_no_way_though_there_is_one() {
    let (down, well) = (Plan::granting().start_down(), answering(UNKNOWN, 0).start());
    let mut scene = Scene::by(&down);
    let text = fs::read_to_string(scene.config()).unwrap();
    fs::write(scene.config(), text.replace(&down.url(), &well.url())).unwrap();
    let socket = scene.path("kdc.sock").display().to_string();
    scene
        .usual
        .insert(0, (format!("unix:{socket}"), "127.0.0.1:88".to_owned()));
    let found = scene.diagnose();
    found.is_at_fault(
        Layer::Daemon,
        "it says that no KDC can be reached, and one can",
        "loopkdc status",
    );
}

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
            "127.0.0.1:88 is taken by",
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
            "127.0.0.1:88: nobody listens by UDP, though somebody does by TCP",
            "systemctl cat loopkdc.socket",
        );
        found.says(
            Layer::Ports,
            "warn",
            "127.0.0.1:88 is someone's, a process of user 0",
            "sudo loopkdc doctor",
        );
        found.says(
            Layer::Daemon,
            "warn",
            "systemd may hold its ports until the first client comes",
            "systemctl status loopkdc.socket",
        );
        // Whoever it is, it is asked as a client would.
        let words = "asked at 127.0.0.1:88, whoever it is says that no KDC can be reached";
        found.line("daemon", "skipped", words);
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
                found.line(
                    "ports",
                    "warn",
                    "127.0.0.1:88 is someone's, a process of user 0",
                );
                let words = "asked at 127.0.0.1:88, whoever it is brings the KDC's answer";
                found.is_well("daemon", words);
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
                let mut found = scene.diagnose();
                let line = found.line("ports", "warn", "127.0.0.1:1088 is held by loopkdc");
                let hint = line["hint"].as_str().unwrap().to_owned();
                found.usual.push((hint, "see what started it: systemctl status 512".to_owned()));
                let words = "), of user 65534: whether it is the one meant is not known";
                found.says(Layer::Ports, "warn", words, "systemctl status ");
                let words = "nothing is heard of loopkdc, and somebody listens in its place";
                found.says(Layer::Daemon, "warn", words, "systemctl status loopkdc");
                let words = "whoever it is brings the answer of a KDC that does not serve realm EXAMPLE.COM";
                found.is_at_fault(Layer::Daemon, words, "sudo loopkdc doctor");
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
            "127.0.0.1:88: nobody listens by TCP, though somebody does by UDP",
            "it lacks ListenStream: systemctl cat loopkdc.socket",
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
    let waiting = UnixStream::connect(&path).unwrap();
    let found = scene.doctor_here(&[]);
    found.is_at_fault(
        Layer::Ports,
        "takes no connections, though somebody listens",
        "systemctl restart loopkdc",
    );
    drop(waiting);
}

/// It is the folder's, and who it lets in, that say who may connect.
#[test]
fn a_socket_that_is_not_for_everybody() {
    use std::os::unix::fs::PermissionsExt as _;
    let scene = listening("https://127.0.0.1:9", "unix:/nonexistent");
    open_to_all(&scene);
    let path = scene.path("my kdc.sock");
    let scene = scene.with_instead("/nonexistent", &path.display().to_string());
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let found = scene.doctor_as_nobody();
    let quoted = format!("ls -l '{}'", path.display());
    found.says(
        Layer::Ports,
        "warn",
        "may not be connected to by this user",
        &quoted,
    );
    drop(listener);
}

fn open_to_all(scene: &Scene) {
    use std::os::unix::fs::PermissionsExt as _;
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
        found.line("tcp", "fault", "refused");
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
            "127.0.0.1:1088: nobody listens, though loopkdc runs",
            "systemctl restart loopkdc",
        );
    });
}

#[test]
fn the_text_is_for_people() {
    let scene = Scene::configured(&realm(REALM));
    let text = scene.text();
    assert!(
        text.contains("FAULT  tcp        127.0.0.1:9: cannot connect: Connection refused\n"),
        "{text}"
    );
    assert!(
        text.contains("\nEXAMPLE.COM by https://127.0.0.1:9\n"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "{text}");
    let wide = text
        .lines()
        .filter(|line| line.chars().count() > 80 && !line.contains('/'));
    assert_eq!(wide.count(), 0, "{text}");
}

/// The daemon reads its configuration anew, and says of it what it says.
fn read_anew(scene: &Scene, text: &str, said: &str) {
    fs::write(scene.config(), text).unwrap();
    let daemon = scene.daemon();
    daemon.signal("HUP");
    daemon.wait_for(said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_goes_by_something_else() {
    let upstream = answering(UNKNOWN, 0).start();
    let scene = Scene::by(&upstream);
    let text = fs::read_to_string(scene.config()).unwrap();
    read_anew(&scene, "[realm]\n", "the old configuration stays");
    fs::write(scene.config(), &text).unwrap();
    let found = scene.diagnose();
    let words = "it goes by what the configuration said before it was broken";
    found.says(Layer::Daemon, "warn", words, "loopkdc check");

    let listen = text.replace("[listen]\n", "[listen]\nmax-in-flight = 7\n");
    read_anew(&scene, &listen, "holds after a restart");
    let found = scene.diagnose();
    let words = "what [listen] says now holds after a restart";
    found.says(Layer::Daemon, "warn", words, "systemctl restart loopkdc");

    // By another name it is the same.
    let args = ["--config", "config.toml"].map(ToOwned::to_owned);
    let found = block_in_place(|| scene.doctor(&args));
    let told = found.all("daemon", "warn").count();
    assert_eq!(told, 1, "{found:#?}");

    let other = scene.path("other.toml");
    fs::write(&other, &listen).unwrap();
    let args = ["--config".to_owned(), other.display().to_string()];
    let found = block_in_place(|| scene.doctor(&args));
    found.says(
        Layer::Daemon,
        "warn",
        "it goes by ",
        "loopkdc doctor --config",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_a_status() {
    let upstream = answering(UNKNOWN, 0).start();
    let scene = Scene::with(&[upstream.url()], "").calling(&upstream);
    let text = fs::read_to_string(scene.config()).unwrap();
    let text = text.replace("[listen]\n", "[listen]\nstatus-socket = \"off\"\n");
    fs::write(scene.config(), text).unwrap();
    let found = scene.with_daemon().diagnose();
    let words = "it runs, and has no status socket to tell more";
    found.says(Layer::Daemon, "warn", words, "status-socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_not_for_everybody() {
    let upstream = answering(UNKNOWN, 0).start();
    let scene = Scene::with(&[upstream.url()], "")
        .calling(&upstream)
        .with_instead("[listen]\n", "[listen]\nstatus-mode = \"0600\"\n");
    open_to_all(&scene);
    let scene = scene.with_daemon();
    let found = block_in_place(|| scene.doctor_as_nobody());
    let words = "may not be connected to by this user";
    found.says(Layer::Daemon, "warn", words, "sudo loopkdc doctor");
}

/// What the daemon says of itself, told by somebody else once it is gone, who listens where it did.
fn in_the_place_of(scene: &mut Scene, version: &str) -> UnixListener {
    let told = scene.command().args(["status", "--json"]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let told = told.replace(
        concat!("\"", env!("CARGO_PKG_VERSION"), "\""),
        &format!("{version:?}"),
    );
    scene.stop_daemon();
    let status = UnixListener::bind(scene.path("run/loopkdc/status.sock")).unwrap();
    thread::spawn(move || {
        for mut stream in status.incoming().map_while(Result::ok) {
            let _ = stream.write_all(told.as_bytes());
        }
    });
    UnixListener::bind(scene.path("kdc.sock")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_another() {
    let upstream = answering(UNKNOWN, 0).start();
    let mut scene = Scene::by(&upstream);
    let silent = in_the_place_of(&mut scene, "9.9.9");
    let found = scene.diagnose();
    found.says(
        Layer::Daemon,
        "warn",
        "loopkdc 9.9.9 runs",
        "type -a loopkdc",
    );
    let words = "it does not answer in time";
    found.is_at_fault(Layer::Daemon, words, "systemctl reload loopkdc");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kdc() {
    let upstream = answering(UNKNOWN, 0).start();
    let mut scene = Scene::by(&upstream);
    let stranger = in_the_place_of(&mut scene, env!("CARGO_PKG_VERSION"));
    thread::spawn(move || {
        for mut stream in stranger.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"\0\0\0\x05hello");
        }
    });
    let found = scene.diagnose();
    found.is_at_fault(Layer::Daemon, "is no KDC", "sudo loopkdc doctor");
}
