//! `loopkdc gateway`: a KDC proxy, and the KDCs behind it.

mod discovery;
mod kdcs;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::available_parallelism;

use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::tasks::Tasks;
use super::{Daemon, descriptors, in_runtime, obey};
use crate::config::gateway::{GatewayConfig, Serving};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::listen::bind_http;
use crate::listen::https::{self, Certificates, Door, Limits, Socket, Terms};
use crate::upstream::tls;
use discovery::Known;
use kdcs::Directory;

/// Runs the gateway until a signal stops it.
///
/// # Errors
/// What keeps it from starting: a configuration that cannot work, or a socket that cannot be bound.
pub fn gateway(file: Option<&Path>) -> Result<(), Failure> {
    let config = GatewayConfig::load(file)?;
    let threads = available_parallelism().map_or(1, usize::from);
    in_runtime(threads, async {
        let signals = Signals::new()?;
        tokio::task::spawn_blocking(tls::warm_up);
        let gateway = Gateway::start(config, file).await?;
        obey(signals, gateway).await
    })
}

/// A gateway at work.
struct Gateway {
    file: Option<PathBuf>,
    serving: Serving,
    known: Known,
    tasks: Tasks,
    /// Stops what looks up the realms of the configuration as it is.
    discovery: CancellationToken,
}

impl Gateway {
    async fn start(config: GatewayConfig, file: Option<&Path>) -> Result<Self, Failure> {
        let serving = config.serving.clone();
        warn_of(&config);
        let mut directory = Directory::new(config);
        let known = Known {
            exchange: Exchange::new(directory.routing(), serving.max_in_flight),
            directory: Arc::new(Mutex::new(directory)),
        };
        let tasks = Tasks::default();
        let certificates = certificates(&serving)?;
        let doors = doors(&serving, certificates)?;
        let (https, plain) = (addresses(&doors, true), addresses(&doors, false));
        let discovery = tasks.stop.child_token();
        known.discover(&discovery, &tasks.tracker).await;
        let (stop, tracker) = (&tasks.stop, &tasks.tracker);
        https::serve(doors, terms(&serving), &known.exchange, stop, tracker);
        tracing::info!(%https, %plain, "ready");
        Ok(Self {
            file: file.map(Path::to_owned),
            serving,
            known,
            tasks,
            discovery,
        })
    }
}

impl Gateway {
    fn discover_anew(&mut self) {
        self.discovery.cancel();
        self.discovery = self.tasks.stop.child_token();
        let (known, discovery) = (self.known.clone(), self.discovery.clone());
        let tracker = self.tasks.tracker.clone();
        let discover = async move { known.discover(&discovery, &tracker).await };
        self.tasks.tracker.spawn(discover);
    }
}

impl Daemon for Gateway {
    fn reload(&mut self) {
        match GatewayConfig::load(self.file.as_deref()) {
            Ok(config) => {
                tracing::info!("configuration read again");
                warn_of(&config);
                if config.serving != self.serving {
                    tracing::warn!("what [gateway] says now holds after a restart");
                    self.serving = config.serving.clone();
                }
                self.known.directory().configure(config);
                self.known.reroute();
                self.discover_anew();
            }
            Err(failure) => tracing::error!("the old configuration stays: {failure}"),
        }
    }

    async fn stop(self) {
        self.tasks.end(&self.known.exchange).await;
    }
}

fn terms(serving: &Serving) -> Terms {
    Terms {
        path: serving.path.clone(),
        limits: Limits::of(descriptors::for_clients(serving.max_connections)),
    }
}

fn certificates(serving: &Serving) -> Result<Option<Certificates>, Failure> {
    let Some(files) = &serving.tls else {
        return Ok(None);
    };
    let fail = |error: String| Failure::new(crate::failure::Exit::Config, error);
    use rustls::pki_types::pem::PemObject;
    let chain = rustls::pki_types::CertificateDer::pem_file_iter(&files.certificate)
        .map_err(|e| fail(e.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| fail(e.to_string()))?;
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| fail(e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| fail(e.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| fail(e.to_string()))?;
    server.alpn_protocols = https::ALPN.map(<[u8]>::to_vec).to_vec();
    let (sender, receiver) = tokio::sync::watch::channel(Arc::new(server));
    tokio::spawn(async move { sender.closed().await });
    Ok(Some(receiver))
}

/// Binds what the configuration asks for.
fn doors(serving: &Serving, certificates: Option<Certificates>) -> Result<Vec<Door>, Failure> {
    let mut doors = Vec::new();
    for endpoint in &serving.https {
        let socket = bind_http("listen", endpoint, serving.unix_mode)?;
        let tls = certificates.clone();
        doors.extend(socket.map(|socket| Door { socket, tls }));
    }
    for endpoint in &serving.plain {
        let socket = bind_http("plain-listen", endpoint, serving.unix_mode)?;
        doors.extend(socket.map(|socket| Door { socket, tls: None }));
    }
    Ok(doors)
}

/// Where there are doors with TLS, or without, as text.
fn addresses(doors: &[Door], tls: bool) -> String {
    let doors = doors.iter().filter(|door| door.tls.is_some() == tls);
    let addresses: Vec<_> = doors.map(|door| Socket::address(&door.socket)).collect();
    match addresses.is_empty() {
        true => "none".to_owned(),
        false => addresses.join(","),
    }
}

fn warn_of(config: &GatewayConfig) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}
