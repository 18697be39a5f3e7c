//! A relay in this process, on ports of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use loopkdc::config::{Config, Sources};
use loopkdc::relay::counters::Counters;
use loopkdc::shim;
use loopkdc::shim::Relay;
use loopkdc::wire::Service;
use tempfile::TempDir;

use crate::certificates;
use crate::clients::{Heard, Stream, Udp};
use crate::messages::{REALM, Request};
use crate::upstream::Upstream;

/// How a request goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub const BOTH: [Self; 2] = [Self::Udp, Self::Tcp];
}

/// A configuration to be written, in TOML, as a user writes it.
pub struct Setup {
    listen: String,
    defaults: String,
    realms: String,
    dir: TempDir,
}

impl Setup {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), certificates::trusted()).unwrap();
        Self {
            listen: String::new(),
            defaults: "ca-file = \"ca.pem\"\n".to_owned(),
            realms: String::new(),
            dir,
        }
    }

    /// [`REALM`] by these upstreams, in this order.
    pub fn by(upstreams: &[&Upstream]) -> Self {
        Self::new().realm(REALM, upstreams, "")
    }

    /// Adds lines to `[listen]`.
    pub fn listen(mut self, lines: &str) -> Self {
        self.listen.push_str(lines);
        self.listen.push('\n');
        self
    }

    /// Adds lines to `[defaults]`.
    pub fn defaults(mut self, lines: &str) -> Self {
        self.defaults.push_str(lines);
        self.defaults.push('\n');
        self
    }

    /// `deadline-seconds`, where a test has to see the end of one.
    pub fn deadline(self, seconds: u32) -> Self {
        self.defaults(&format!("deadline-seconds = {seconds}"))
    }

    /// Adds a realm, with further lines of its table.
    pub fn realm(self, name: &str, upstreams: &[&Upstream], lines: &str) -> Self {
        let urls: Vec<_> = upstreams.iter().map(|upstream| upstream.url()).collect();
        self.realm_at(name, &urls, lines)
    }

    /// The same by URLs.
    pub fn realm_at(mut self, name: &str, urls: &[String], lines: &str) -> Self {
        self.realms.push_str(&format!(
            "[realms.\"{name}\"]\nproxies = {urls:?}\n{lines}\n"
        ));
        self
    }

    /// Adds these lines as they are, instead of what is known of [`REALM`].
    pub fn raw(mut self, lines: &str) -> Self {
        self.realms = lines.to_owned();
        self
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Takes the directory over, and with it the file.
    pub fn into_dir(self) -> TempDir {
        self.dir
    }

    /// Writes the file; addresses are port 0 unless `[listen]` says something else.
    pub fn write(&self) -> PathBuf {
        let mut listen = self.listen.clone();
        for service in ["kdc", "kpasswd"] {
            if !listen
                .lines()
                .any(|line| line.starts_with(&format!("{service} =")))
            {
                listen.push_str(&format!("{service} = [\"127.0.0.1:0\"]\n"));
            }
        }
        let file = self.dir().join("config.toml");
        let text = format!(
            "[listen]\n{listen}[defaults]\n{}{}",
            self.defaults, self.realms
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// Starts a relay. Must be called inside a runtime.
    pub fn start(self) -> Running {
        let sources = Sources {
            file: Some(self.write()),
            ..Sources::default()
        };
        let config = Config::load(&sources).unwrap_or_else(|failure| panic!("{failure}"));
        let listeners = shim::listeners(&config.listen, &[]);
        let listeners = listeners.unwrap_or_else(|failure| panic!("{failure}"));
        Running {
            relay: Relay::start(&config, listeners).unwrap(),
            _dir: self.dir,
        }
    }
}

/// A relay at work.
pub struct Running {
    relay: Relay,
    _dir: TempDir,
}

impl Running {
    pub fn counters(&self) -> &Counters {
        self.relay.exchange.counters()
    }
}

impl Reached for Running {
    fn shown(&self, service: Service) -> &str {
        match service {
            Service::Kdc => &self.relay.kdc,
            Service::Kpasswd => &self.relay.kpasswd,
        }
    }
}

/// What clients find at addresses of its own.
pub trait Reached {
    /// The addresses of `service` as they are told when all is ready.
    fn shown(&self, service: Service) -> &str;

    /// Where `service` listens, in the order of the configuration.
    fn addresses(&self, service: Service) -> Vec<SocketAddr> {
        let shown = self.shown(service).split(',');
        shown.filter_map(|address| address.parse().ok()).collect()
    }

    fn address(&self, service: Service) -> SocketAddr {
        self.addresses(service)[0]
    }

    /// A new UDP client of `service`.
    async fn udp(&self, service: Service) -> Udp {
        Udp::connect(self.address(service)).await
    }

    /// A new TCP client of `service`.
    async fn tcp(&self, service: Service) -> Stream {
        Stream::connect(self.address(service)).await
    }

    /// Asks once, by a client of its own.
    async fn ask(&self, transport: Transport, request: &Request) -> Heard {
        match transport {
            Transport::Udp => {
                let client = self.udp(request.service).await;
                client.send(&request.bytes).await;
                Heard::Message(client.hear().await)
            }
            Transport::Tcp => {
                let mut client = self.tcp(request.service).await;
                client.send(&request.bytes).await;
                client.hear().await
            }
        }
    }
}
