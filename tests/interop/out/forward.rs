//! Through Debian's HTTP and SOCKS proxies.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::recorded::isolated;
use crate::support::client::Client;
use crate::support::loopkdc::{Loopkdc, stanza};
use crate::support::netns::bind_over;
use crate::support::process::{PATIENCE, Process};
use crate::support::proxy::{KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm, SERVICE};

const REALM: &str = "EXAMPLE.COM";
const USER: &str = "user@EXAMPLE.COM";

/// A user of loopkdc whose only way out is `http-proxy`.
struct Scene {
    client: Client,
    loopkdc: Loopkdc,
    proxy: KdcProxy,
    _realm: Realm,
    dir: TempDir,
}

impl Scene {
    fn open(http_proxy: &str) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        // microsocks tries one address of a name alone, and Debian's file has ::1 as well.
        let hosts = dir.path().join("hosts");
        fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
        bind_over(&hosts, Path::new("/etc/hosts"));
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Spake);
        let proxy = KdcProxy::of(Maker::Ours, dir.path(), 8443, &[Route::to(&realm)]);
        let config =
            stanza(REALM, &proxy.url(), &proxy) + &format!("http-proxy = \"{http_proxy}\"\n");
        Scene {
            client: Client::by_drop_in(dir.path(), &[REALM]),
            loopkdc: Loopkdc::with_config(dir.path(), &config),
            proxy,
            _realm: realm,
            dir,
        }
    }

    fn serves(&self) {
        self.client
            .run(&format!("kinit {USER}"), &[PASSWORD])
            .succeeds();
        self.client.run(&format!("kvno {SERVICE}"), &[]).succeeds();
        self.client
            .run(
                &format!("kpasswd {USER}"),
                &[PASSWORD, "new horse", "new horse"],
            )
            .succeeds();
    }

    fn is_told(&self, why: &str) {
        self.client
            .run(&format!("kinit {USER}"), &[PASSWORD])
            .fails_with("Cannot contact any KDC");
        self.loopkdc.process.wait_for(why);
        self.proxy.was_asked(0);
    }
}

/// tinyproxy, which lets through to port 8443 whoever says user and password.
fn tinyproxy(dir: &Path) -> Process {
    let file = dir.join("tinyproxy.conf");
    let text = format!(
        "Port 3128\nListen 127.0.0.1\nTimeout 60\nLogFile \"{}\"\nLogLevel Connect\n\
         BasicAuth jane secret\nConnectPort 8443\n",
        dir.join("tinyproxy.log").display()
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(file);
    let process = Process::spawn("tinyproxy", &mut command);
    until_open(&process, 3128);
    process
}

/// Waits until it listens: it says nothing itself.
fn until_open(process: &Process, port: u16) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "{}", process.log());
        thread::yield_now();
    }
}

fn microsocks() -> Process {
    let mut command = Command::new("microsocks");
    command.args([
        "-i",
        "127.0.0.1",
        "-p",
        "1080",
        "-u",
        "jane",
        "-P",
        "secret",
    ]);
    let process = Process::spawn("microsocks", &mut command);
    until_open(&process, 1080);
    process
}

#[test]
fn tinyproxy_lets_all_through() {
    isolated(|| {
        let scene = Scene::open("http://jane:secret@localhost:3128");
        let _tinyproxy = tinyproxy(scene.dir.path());
        scene.serves();
        let log = fs::read_to_string(scene.dir.path().join("tinyproxy.log")).unwrap();
        assert!(log.contains("CONNECT localhost:8443"), "{log}");
    });
}

#[test]
fn tinyproxy_wants_a_password() {
    isolated(|| {
        let scene = Scene::open("http://localhost:3128");
        let _tinyproxy = tinyproxy(scene.dir.path());
        scene.is_told("the HTTP proxy http://localhost:3128 wants user and password: 407");
    });
}

#[test]
fn microsocks_lets_all_through() {
    isolated(|| {
        let scene = Scene::open("socks5h://jane:secret@localhost");
        let microsocks = microsocks();
        scene.serves();
        assert!(
            microsocks.count("connected to localhost:8443") > 0,
            "{}",
            microsocks.log()
        );
    });
}

#[test]
fn microsocks_wants_a_password() {
    isolated(|| {
        let scene = Scene::open("socks5h://localhost");
        let _microsocks = microsocks();
        scene.is_told("the SOCKS proxy socks5h://localhost ");
    });
}
