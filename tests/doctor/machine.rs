//! This machine: the configuration and the daemon.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

use loopkdc::relay::finding::Layer;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::task::block_in_place;

use crate::ports::open_to_all;
use crate::scene::{REALM, Scene, UNKNOWN, alone, answering};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::upstream::Plan;

pub(crate) fn realm(name: &str) -> String {
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
    found.finding("tls", "skipped", "no configuration");
}

#[test]
fn a_broken_configuration() {
    let found = Scene::configured("[realms.\"EXAMPLE.COM\"]\nproxies = [\"http://proxy\"]\n")
        .doctor_here(&[]);
    found.is_at_fault(Layer::Configuration, "plain text", "https://");
    found.finding("configuration", "fault", "config.toml:2:12");
}

/// As it is where it holds a secret.
#[test]
fn a_configuration_that_is_not_for_everybody() {
    let scene = Scene::configured(&realm(REALM));
    open_to_all(&scene);
    fs::set_permissions(scene.config(), fs::Permissions::from_mode(0o600)).unwrap();
    scene.doctor_as_nobody().is_at_fault(
        Layer::Configuration,
        "may not be read by this user",
        "as root: sudo loopkdc doctor",
    );
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
    found.is_at_fault(Layer::Configuration, "no realm is named in", "write into");
}

#[test]
fn wildcards_alone() {
    let found = Scene::configured(&realm("*.EXAMPLE.COM")).doctor_here(&[]);
    found.is_at_fault(
        Layer::Configuration,
        "no realm is named in",
        "loopkdc doctor REALM",
    );
}

#[test]
fn what_is_no_realm() {
    let found = Scene::configured(&realm(REALM)).doctor_here(&["\u{202e}"]);
    found.is_at_fault(
        Layer::Configuration,
        "a character that cannot be shown",
        "loopkdc doctor EXAMPLE.COM",
    );
}

#[test]
fn a_warning() {
    let found = Scene::configured(&realm("example.com")).doctor_here(&[]);
    found.says(
        Layer::Configuration,
        "warning",
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
    fs::write(scene.config(), "[realm]\n").unwrap();
    let found = scene.diagnose();
    found.is_well("daemon", "by what it has read before");
    read_anew(&scene, "[realm]\n", "the old configuration stays");
    let found = scene.diagnose();
    let words = "the configuration is invalid, and the last good one, of 20";
    found.says(Layer::Daemon, "warning", words, "loopkdc check");
    assert_eq!(found.code, i32::from(Layer::Configuration.exit_code()));

    let listen = text.replace("[listen]\n", "[listen]\nmax-in-flight = 7\n");
    read_anew(&scene, &listen, "holds after a restart");
    let found = scene.diagnose();
    let words = "[listen] was changed, which takes effect after a restart";
    found.says(Layer::Daemon, "warning", words, "kill ");

    // By another name it is the same.
    let args = ["--config", "config.toml"].map(ToOwned::to_owned);
    let found = block_in_place(|| scene.doctor(&args));
    let told = found.all("daemon", "warning").count();
    assert_eq!(told, 1, "{found:#?}");

    let other = scene.path("other.toml");
    fs::write(&other, &listen).unwrap();
    let args = ["--config".to_owned(), other.display().to_string()];
    let found = block_in_place(|| scene.doctor(&args));
    found.says(
        Layer::Daemon,
        "warning",
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
    found.says(Layer::Daemon, "warning", words, "status-socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_not_for_everybody() {
    let upstream = answering(UNKNOWN, 0).start();
    let scene = Scene::with(&[upstream.url()], "")
        .calling(&upstream)
        .with_instead("[listen]\n", "[listen]\nstatus-mode = \"0600\"\n");
    open_to_all(&scene);
    let scene = scene.with_daemon();
    // Where a user's own is looked for.
    chown(scene.path("run"), Some(65534), None).unwrap();
    let found = block_in_place(|| scene.doctor_as_nobody());
    let words = "may not be connected to by this user";
    found.says(Layer::Daemon, "warning", words, "sudo loopkdc status");
    // Root is not told by what stands in a folder of somebody else's.
    let found = scene.diagnose();
    found.finding(
        "daemon",
        "warning",
        "it runs, and has no status socket to tell more",
    );
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

/// Without a word about it, it is what the daemon was started with that is looked at; and hints can be typed anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_was_started_with_is_looked_at() {
    let upstream = answering(UNKNOWN, 0).start();
    let scene = Scene::with(&[upstream.url()], "");
    let realm = format!("{REALM}={}", upstream.url());
    let [kdc, kpasswd] =
        ["kdc", "kpasswd"].map(|name| format!("unix:{}", scene.path(name).display()) + ".sock");
    let by_words = [
        ["--realm", &realm, "--ca", "ca.pem"],
        ["--listen-kdc", &kdc, "--listen-kpasswd", &kpasswd],
    ]
    .concat();
    let elsewhere = |scene: &Scene, realms: &[&str]| {
        let mut command = scene.command();
        command
            .args(["doctor", "--json"])
            .args(realms)
            .current_dir("/");
        block_in_place(|| scene.report(command))
    };
    let mut scene = scene.with_daemon_by(&by_words);
    let found = elsewhere(&scene, &[]);
    found.is_well("configuration", "the daemon's command line: valid, 1 realm");
    found.finds_nothing();
    assert_eq!(found.all("daemon", "warning").count(), 0, "{found:#?}");

    scene.stop_daemon();
    let scene = scene.with_daemon_by(&["--config", "config.toml"]);
    let found = elsewhere(&scene, &[]);
    let config = scene.config().display().to_string();
    found.is_well("configuration", &format!("{config}: valid, 1 realm"));
    found.finds_nothing();
    let found = elsewhere(&scene, &["EXAMPEL.COM"]);
    let advice = found
        .finding("configuration", "fault", "EXAMPEL.COM")
        .advice();
    let hinted = format!("loopkdc doctor EXAMPLE.COM --config {config}");
    assert!(advice.contains(&hinted), "{advice}");
}

/// Nobody in particular, at the status socket: says what stands in a file.
const FORGER: &str = "import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print('forged', flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(open(sys.argv[2], 'rb').read())
    client.close()";

/// Root reads no file that a daemon names which somebody has taken over, and is not told to end a process that it says it is.
#[test]
fn who_speaks_for_the_daemon_is_not_believed_for_it() {
    isolated(|| {
        alone(|| {
            let mut scene = Scene::configured(&realm(REALM)).with_daemon();
            open_to_all(&scene);
            let told = scene.command().args(["status", "--json"]).output().unwrap();
            scene.stop_daemon();
            let mut forged: Value = serde_json::from_slice(&told.stdout).unwrap();
            let theirs = scene.path("theirs.toml");
            fs::write(&theirs, realm("FORGED.EXAMPLE")).unwrap();
            forged["configuration"]["file"] = theirs.display().to_string().into();
            forged["configuration"]["restart_needed"] = true.into();
            forged["pid"] = 1.into();
            forged["listeners"] = Value::Array(Vec::new());
            fs::write(scene.path("forged.json"), forged.to_string()).unwrap();
            fs::set_permissions(scene.path("run/loopkdc"), Permissions::from_mode(0o777)).unwrap();
            let mut python = Command::new("setpriv");
            python
                .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
                .args(["/usr/bin/python3", "-c", FORGER])
                .args([
                    scene.path("run/loopkdc/status.sock"),
                    scene.path("forged.json"),
                ]);
            let _forger = Process::start("forger", &mut python, "forged");
            let usual = scene.path(".config/loopkdc");
            fs::create_dir_all(&usual).unwrap();
            fs::copy(scene.config(), usual.join("config.toml")).unwrap();
            let usual = scene
                .path(".config/loopkdc/config.toml")
                .display()
                .to_string();
            scene
                .usual
                .insert(0, (usual, "/etc/loopkdc/config.toml".to_owned()));
            let theirs = theirs.display().to_string();
            scene
                .usual
                .insert(0, (theirs, "/etc/loopkdc/other.toml".to_owned()));
            let found = scene.doctor(&[]);
            found.is_well(
                "configuration",
                ".config/loopkdc/config.toml: valid, 1 realm",
            );
            found.says(
                Layer::Daemon,
                "warning",
                "it goes by ",
                "loopkdc doctor --config",
            );
            let said = format!("{:?}", found.findings);
            assert!(
                !said.contains("FORGED") && !said.contains("\"kill\""),
                "{said}"
            );
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_another() {
    let upstream = answering(UNKNOWN, 0).start();
    let mut scene = Scene::by(&upstream);
    let silent = in_the_place_of(&mut scene, "9.9.9");
    let found = scene.diagnose();
    found.says(
        Layer::Daemon,
        "warning",
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
    found.is_at_fault(Layer::Daemon, "is no KDC", "loopkdc status");
}
