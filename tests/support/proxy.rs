//! A KDC proxy with TLS: `loopkdc gateway`, or one of another maker, Debian's python3-kdcproxy under gunicorn.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::authority::Authority;
use super::process::Process;
use super::realm::Realm;

const PROGRAM: &str = env!("CARGO_BIN_EXE_loopkdc");

/// Whose proxy it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Maker {
    /// `loopkdc gateway`.
    Ours,
    /// python3-kdcproxy.
    Kdcproxy,
}

/// A running proxy and the certificate authority that vouches for it.
pub(crate) struct KdcProxy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    url: String,
    /// What clients must trust, in PEM.
    pub(crate) ca_file: PathBuf,
    /// The program, with a line for each request.
    pub(crate) process: Process,
    /// What stands in such a line and nowhere else.
    request: &'static str,
}

/// Where a proxy is to send what it gets for one realm.
pub(crate) struct Route {
    /// The realm, spelled as the proxy matches it.
    pub(crate) realm: String,
    /// Where its KDC is asked.
    pub(crate) kdc: SocketAddr,
    /// Where its password server is asked.
    pub(crate) kpasswd: SocketAddr,
}

impl Route {
    /// Straight to the servers of `realm`.
    pub(crate) fn to(realm: &Realm) -> Route {
        let name = realm.name.to_owned();
        Route {
            realm: name,
            kdc: realm.kdc_address(),
            kpasswd: realm.kpasswd_address(),
        }
    }
}

/// Where a proxy stands, and who vouches for which name of it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Where it listens, the first of them for those who know it by address.
    pub(crate) listen: &'a [SocketAddr],
    pub(crate) name: &'a str,
    pub(crate) authority: &'a Authority,
}

impl KdcProxy {
    /// Starts another maker's proxy for these realms on 127.0.0.1:`port`, with its files in `dir`.
    pub(crate) fn start(dir: &Path, port: u16, routes: &[Route]) -> KdcProxy {
        KdcProxy::of(Maker::Kdcproxy, dir, port, routes)
    }

    /// Starts the proxy that `maker` makes for these realms on 127.0.0.1:`port`, with its files in `dir`.
    pub(crate) fn of(maker: Maker, dir: &Path, port: u16, routes: &[Route]) -> KdcProxy {
        let dir = dir.join(format!("proxy-{port}"));
        fs::create_dir(&dir).unwrap();
        certify(&dir);
        match maker {
            Maker::Ours => KdcProxy::gateway(&dir, port, &gateway(port, routes)),
            Maker::Kdcproxy => KdcProxy::of_another_maker(&dir, port, &configuration(routes)),
        }
    }

    /// Starts the proxy that `maker` makes for these realms at this place, with its files in `dir`, for the first time or again.
    pub(crate) fn at(maker: Maker, dir: &Path, place: Place, routes: &[Route]) -> KdcProxy {
        fs::create_dir_all(dir).unwrap();
        place.authority.write(&dir.join("ca.pem"));
        place.authority.certify(dir, &[place.name]);
        let url = format!("https://{}/KdcProxy", place.name);
        match maker {
            Maker::Ours => {
                KdcProxy::gateway_at(dir, place.listen, url, &gateway_on(place.listen, routes))
            }
            Maker::Kdcproxy => {
                KdcProxy::of_another_maker_at(dir, place.listen, url, &configuration(routes))
            }
        }
    }

    /// Starts `loopkdc gateway` with this configuration in `dir`, which holds its certificate.
    pub(crate) fn gateway(dir: &Path, port: u16, configuration: &str) -> KdcProxy {
        let address = loopback(port);
        KdcProxy::gateway_at(dir, &[address], url(address), configuration)
    }

    fn gateway_at(dir: &Path, listen: &[SocketAddr], url: String, configuration: &str) -> KdcProxy {
        let file = dir.join("gateway.toml");
        fs::write(&file, configuration).unwrap();
        let runtime = dir.join("gateway-runtime");
        fs::create_dir_all(&runtime).unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .env("RUNTIME_DIRECTORY", runtime)
            .args(["gateway", "--log", "debug", "--config"])
            .arg(&file);
        KdcProxy {
            address: listen[0],
            url,
            ca_file: dir.join("ca.pem"),
            process: Process::start("loopkdc gateway", &mut command, "ready"),
            request: " client=",
        }
    }

    /// Starts another maker's proxy with this configuration in `dir`, which holds its certificate.
    pub(crate) fn of_another_maker(dir: &Path, port: u16, configuration: &str) -> KdcProxy {
        let address = loopback(port);
        KdcProxy::of_another_maker_at(dir, &[address], url(address), configuration)
    }

    fn of_another_maker_at(
        dir: &Path,
        listen: &[SocketAddr],
        url: String,
        configuration: &str,
    ) -> KdcProxy {
        fs::write(dir.join("kdcproxy.conf"), configuration).unwrap();
        // Debian's gunicorn runs under Debian's Python, whatever `python3` means in PATH.
        let mut command = Command::new("/usr/bin/gunicorn");
        command
            .env("KDCPROXY_CONFIG", dir.join("kdcproxy.conf"))
            .current_dir(dir)
            .args(["--certfile", "leaf.pem", "--keyfile", "leaf.key"])
            .args([
                "--worker-class",
                "gthread",
                "--threads",
                "8",
                "--keep-alive",
                "20",
            ])
            .args(["--access-logfile", "-"])
            .args(listen.iter().map(|address| format!("--bind={address}")))
            // Loaded before the worker boots, so that the first request finds it warm.
            .args(["--preload", "kdcproxy:application"]);
        let process = Process::start("kdcproxy", &mut command, "Booting worker");
        KdcProxy {
            address: listen[0],
            url,
            ca_file: dir.join("ca.pem"),
            process,
            request: "\"POST ",
        }
    }

    /// Starts kdcproxy for these realms on 127.0.0.1:`port` under uWSGI, with its files in `dir`: it closes each connection some moments
    /// after its answer, and does not say so unless `options` tell it to.
    pub(crate) fn under_uwsgi(
        dir: &Path,
        port: u16,
        routes: &[Route],
        options: &[&str],
    ) -> KdcProxy {
        let (dir, address) = (dir.join(format!("proxy-{port}")), loopback(port));
        fs::create_dir(&dir).unwrap();
        certify(&dir);
        fs::write(dir.join("kdcproxy.conf"), configuration(routes)).unwrap();
        let mut command = Command::new("uwsgi");
        command
            .env("KDCPROXY_CONFIG", dir.join("kdcproxy.conf"))
            .current_dir(&dir)
            .args(["--plugins", "http,python3", "--master", "--die-on-term"])
            .arg(format!("--https={address},leaf.pem,leaf.key"))
            .args(["--module", "kdcproxy:application"])
            .args(options);
        KdcProxy {
            address,
            url: url(address),
            ca_file: dir.join("ca.pem"),
            process: Process::start("uwsgi", &mut command, "spawned uWSGI http"),
            request: "] POST ",
        }
    }

    /// Its address as configurations have it.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// How many messages it has logged so far: each after having answered it.
    pub(crate) fn asked(&self) -> usize {
        self.process.count(self.request)
    }

    /// Fails the test unless it was brought `count` messages in all.
    ///
    /// It logs a message after having answered it: the last line may be still to come.
    #[track_caller]
    pub(crate) fn was_asked(&self, count: usize) {
        self.process.wait_for_count(self.request, count);
        assert_eq!(
            self.process.count(self.request),
            count,
            "messages to the proxy"
        );
    }
}

/// The address of a proxy that is reached at `address`.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("https://localhost:{}/KdcProxy", address.port())
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn configuration(routes: &[Route]) -> String {
    let mut text = String::from("[global]\nuse_dns = false\n");
    for Route {
        realm,
        kdc,
        kpasswd,
    } in routes
    {
        write!(
            text,
            "[{realm}]\nkerberos = kerberos+tcp://{kdc}\nkpasswd = kpasswd+tcp://{kpasswd}\n"
        )
        .unwrap();
    }
    text
}

/// The configuration of `loopkdc gateway` for these realms.
pub(crate) fn gateway(port: u16, routes: &[Route]) -> String {
    gateway_on(&[loopback(port)], routes)
}

fn gateway_on(listen: &[SocketAddr], routes: &[Route]) -> String {
    let listen: Vec<_> = listen.iter().map(ToString::to_string).collect();
    let mut text =
        format!("[gateway]\nlisten = {listen:?}\ncertificate = \"leaf.pem\"\nkey = \"leaf.key\"\n");
    for Route {
        realm,
        kdc,
        kpasswd,
    } in routes
    {
        write!(
            text,
            "[realms.\"{realm}\"]\nkdcs = [\"{kdc}\"]\nkpasswd-servers = [\"{kpasswd}\"]\n"
        )
        .unwrap();
    }
    text
}

/// Writes a leaf for localhost and its authority into `dir`: leaf.pem, leaf.key, ca.pem.
pub(crate) fn certify(dir: &Path) {
    let authority = Authority::new();
    authority.write(&dir.join("ca.pem"));
    authority.certify(dir, &["localhost", "127.0.0.1"]);
}
