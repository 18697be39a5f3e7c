//! Balancers that end no TLS, by the configurations in packaging/doc/gateway.md: they say whose a connection is by the PROXY
//! protocol.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::balancer::{self, ADDRESS, GATEWAYS, LAPTOP, NAME};
use crate::messages::REALM;
use crate::support::client::Client;
use crate::support::https::Site;
use crate::support::loopkdc::Loopkdc;
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::proxy::KdcProxy;
use crate::support::realm::{PASSWORD, Preauth, Realm};

const DOCUMENT: &str = include_str!("../../packaging/doc/gateway.md");

/// The configuration of the document for this program.
fn documented(language: &str) -> &'static str {
    let (_, block) = DOCUMENT.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0
}

/// A realm, and what is in front of its one gateway.
struct Scene {
    dir: TempDir,
    realm: Realm,
}

impl Scene {
    fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        balancer::furnish(dir.path());
        let realm = Realm::start(dir.path(), REALM, 88, Preauth::Timestamp);
        Self { dir, realm }
    }

    /// Its certificate has the name that clients know.
    fn gateway(&self) -> KdcProxy {
        let (name, address) = GATEWAYS[0];
        let (kdc, kpasswd) = (self.realm.kdc_address(), self.realm.kpasswd_address());
        let configuration = format!(
            "[gateway]\nlisten = [{{ address = \"{address}:443\", proxy-protocol = true }}]\n\
             trusted-proxies = [\"127.0.0.1\"]\n\
             certificate = \"/etc/haproxy/kdcproxy.pem\"\nkey = \"/etc/haproxy/kdcproxy.pem\"\n\
             [realms.\"{REALM}\"]\nkdcs = [\"{kdc}\"]\nkpasswd-servers = [\"{kpasswd}\"]\n"
        );
        KdcProxy::gateway(&self.dir.path().join(name), 443, &configuration)
    }

    /// A user logs in through the tunnel and by MIT's own client, and all is the laptop's.
    fn is_served(&self, gateway: &KdcProxy) {
        let ca = self.dir.path().join("ca.pem");
        let proxies = format!(
            "[realms.\"{REALM}\"]\nproxies = [\"https://{NAME}/KdcProxy\"]\nca-file = \"{}\"\n",
            ca.display()
        );
        let _loopkdc = Loopkdc::with_config(self.dir.path(), &proxies);
        let client = Client::by_drop_in(self.dir.path(), &[REALM]);
        for count in 1..=3 {
            client.run("kinit user@EXAMPLE.COM", &[PASSWORD]).succeeds();
            let honest = format!(" client={LAPTOP} ");
            gateway.process.wait_for_count(&honest, 2 * count);
            assert_eq!(gateway.process.count(" client="), 2 * count);
        }
    }

    /// No client may say of itself who it is, and nobody comes past the balancer.
    fn believes_nobody_else(&self, gateway: &KdcProxy) {
        let ca_file = self.dir.path().join("ca.pem");
        let site = |address: String| Site {
            address,
            name: NAME,
            ca_file: &ca_file,
            identity: None,
        };
        let before = gateway.process.count(" client=");
        let lie = "POST /KdcProxy HTTP/1.1\r\nX-Forwarded-For: 203.0.113.6\r\n";
        let through = site(format!("{ADDRESS}:443")).ask(lie, b"x").unwrap();
        assert_eq!(through.status, 400);
        gateway.process.wait_for_count(" client=", before + 1);
        // From the balancer's own address, without a header.
        let own = site(format!("{}:443", GATEWAYS[0].1));
        assert_eq!(own.ask(lie, b"x").unwrap().status, 403);
        let health = own.ask("GET /healthz HTTP/1.1\r\n", b"").unwrap();
        assert_eq!(health.text(), "loopkdc: ok\n");
        gateway.process.wait_for_count(" client=", before + 2);
        assert_eq!(gateway.process.count("203.0.113.6"), 0);
    }
}

fn haproxy(dir: &Path, change: impl Fn(String) -> String) -> Process {
    let global = "global\n    log stdout format raw local0 notice\ndefaults\n    log global\n";
    let shown = documented("haproxy").replace("bind :443", &format!("bind {ADDRESS}:443"));
    balancer::haproxy(dir, &format!("{global}{}", change(shown)))
}

/// HAProxy finds the gateway well each time, and hands on whose connection it is.
fn by_haproxy(change: impl Fn(String) -> String) {
    let scene = Scene::open();
    let haproxy = haproxy(scene.dir.path(), change);
    haproxy.wait_for("Server kdcproxy/gateway1 is DOWN");
    let gateway = scene.gateway();
    haproxy.wait_for("Server kdcproxy/gateway1 is UP");
    let down = haproxy.count("gateway1 is DOWN");
    scene.is_served(&gateway);
    scene.believes_nobody_else(&gateway);
    assert_eq!(haproxy.count("gateway1 is DOWN"), down);
}

#[test]
fn haproxy_says_who_connects_in_version_2() {
    isolated(|| by_haproxy(|shown| shown));
}

#[test]
fn haproxy_says_who_connects_in_version_1() {
    isolated(|| by_haproxy(|shown| shown.replace("send-proxy-v2", "send-proxy")));
}

/// With an address of their own they bring no header (`check-send-proxy` would have them do so).
#[test]
fn haproxys_checks_without_a_header_are_answered() {
    isolated(|| {
        by_haproxy(|shown| {
            let (name, address) = GATEWAYS[0];
            let server = format!("server gateway1 {name}:443");
            shown.replace(&server, &format!("{server} addr {address} port 443"))
        });
    });
}

#[test]
fn nginx_says_who_connects() {
    isolated(|| {
        let scene = Scene::open();
        let gateway = scene.gateway();
        let dir = scene.dir.path();
        let shown = documented("nginx").replace("listen 443", &format!("listen {ADDRESS}:443"));
        let file = dir.join("nginx.conf");
        let own = format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\npid {0}/nginx.pid;\n\
             error_log stderr notice;\nevents {{}}\n{shown}",
            dir.display()
        );
        fs::write(&file, own).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&file).args(["-e", "stderr"]);
        let _nginx = Process::spawn("nginx", &mut command);
        balancer::listens();
        scene.is_served(&gateway);
        scene.believes_nobody_else(&gateway);
    });
}
