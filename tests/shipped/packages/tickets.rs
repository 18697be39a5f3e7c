//! From the package to a ticket.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::tempdir;

use super::Workshop;
use super::root::{Root, configured, succeeded};
use crate::support::netns::isolated;
use crate::support::process::Process;
use crate::support::proxy::{self, KdcProxy, Maker, Route};
use crate::support::realm::{PASSWORD, Preauth, Realm};

/// systemd, as far as its tool goes: it holds what the installed units listen on, and starts what they say.
fn activated(root: &Root) -> Process {
    let unit = |name: &str| root.read(&format!("/usr/lib/systemd/system/{name}"));
    let mut tool = Command::new("systemd-socket-activate");
    let mut names = Vec::new();
    for unit in [unit("loopkdc.socket"), unit("loopkdc-kpasswd.socket")] {
        let values =
            |key: &'static str| unit.lines().filter_map(move |line| line.strip_prefix(key));
        let name = values("FileDescriptorName=").next().unwrap();
        for address in values("ListenStream=") {
            tool.args(["--listen", address]);
            names.push(name.to_owned());
        }
    }
    let service = unit("loopkdc.service");
    let start = service
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    // As nobody in particular, in the place of DynamicUser=.
    tool.args(["--fdname", &names.join(":"), "chroot", "--userspec=nobody"])
        .arg(root.path(""))
        .args(start.unwrap().split(' '));
    let process = Process::spawn("systemd-socket-activate", &mut tool);
    process.wait_for_count("Listening on", names.len());
    process
}

/// What the user types for [`PASSWORD`].
pub(super) const TYPED: &str = PASSWORD;

/// The other end: a realm, and the proxy in front of it.
pub(super) struct Office {
    realm: Realm,
    proxy: KdcProxy,
}

impl Office {
    pub(super) fn open(dir: &Path) -> Self {
        let realm = Realm::start(dir, "EXAMPLE.COM", 88, Preauth::Spake);
        let proxy = KdcProxy::of(Maker::Ours, dir, 8443, &[Route::to(&realm)]);
        Self { realm, proxy }
    }

    /// The one edit that the installed configuration asks for.
    pub(super) fn configure(&self, root: &Root) {
        // What an installed Debian has, and that everybody trusts the proxy's certificate, is not the package's part.
        root.run("echo 127.0.0.1 localhost >/etc/hosts; mkdir -p /etc/ssl/certs");
        root.put(&self.proxy.ca_file, "/etc/ssl/certs/ca-certificates.crt");
        let file = root.path("/etc/loopkdc/config.toml");
        let edited = configured(&fs::read_to_string(&file).unwrap());
        let url = self.proxy.url();
        let edited = edited.replace("https://kdcproxy.example.com/KdcProxy", &url);
        fs::write(&file, edited).unwrap();
    }

    /// Nobody listens where the proxy was.
    pub(super) fn stops_proxy(&mut self) {
        self.proxy.process.terminate();
    }

    /// The proxy takes connections, and says nothing.
    pub(super) fn hangs(&self) {
        self.proxy.process.signal("STOP");
    }

    pub(super) fn goes_on(&self) {
        self.proxy.process.signal("CONT");
    }

    /// The configuration of an installed gateway that is to take the place of the office's own, on the port that is the default.
    pub(super) fn configure_gateway(&self, root: &Root, dir: &Path) {
        let made = proxy::gateway(443, &[Route::to(&self.realm)]);
        let (listen, rest) = made.split_once("certificate").unwrap();
        assert!(listen.contains(":443"), "{made}");
        let text = format!("[gateway]\ncertificate{rest}");
        fs::write(root.path("/etc/loopkdc/gateway.toml"), text).unwrap();
        for file in ["leaf.pem", "leaf.key"] {
            root.put(
                &dir.join("proxy-8443").join(file),
                &format!("/etc/loopkdc/{file}"),
            );
        }
        let file = root.path("/etc/loopkdc/config.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("localhost:8443", "localhost")).unwrap();
    }
}

/// The .deb on a clean Debian, one edit of its configuration, and `loopkdc krb5-conf --install`.
#[test]
fn an_installed_package_gives_a_ticket_after_one_edit() {
    isolated(|| {
        let workshop = Workshop::open();
        let dir = tempdir().unwrap();
        let office = Office::open(dir.path());
        let root = Root::new(dir.path());
        root.put(&workshop.deb("1"), "/loopkdc.deb");
        root.run("dpkg -i /loopkdc.deb");
        office.configure(&root);
        root.run("loopkdc krb5-conf --install");
        let tunnel = activated(&root);

        let mut kinit = root.command("kinit");
        let kinit = kinit.arg("user@EXAMPLE.COM").stdin(Stdio::piped());
        let kinit = kinit.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kinit = kinit.spawn().unwrap();
        let typed = format!("{TYPED}\n");
        let mut keyboard = kinit.stdin.take().unwrap();
        keyboard.write_all(typed.as_bytes()).unwrap();
        drop(keyboard);
        succeeded("kinit", &kinit.wait_with_output().unwrap());
        let tickets = root.run("klist");
        let ticket = "krbtgt/EXAMPLE.COM@EXAMPLE.COM";
        assert!(tickets.contains(ticket), "{tickets}");
        tunnel.wait_for(" ready ");
        assert!(office.proxy.asked() > 0);
    });
}
