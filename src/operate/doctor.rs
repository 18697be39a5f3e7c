//! `loopkdc doctor`: asks the network, layer by layer, and says what is wrong and what to do next.
//!
//! It sees what the daemon sees: the same configuration, the same TLS, the same way of asking a KDC proxy or a KDC. What the
//! daemon's own client cannot tell, such as the chain of certificates, it looks at over a connection of its own. It asks in the
//! name of nobody, tries no password and changes none.
//!
//! | part | what it looks at |
//! |---|---|
//! | `configuration`, [`krb5_conf`], `ports`, `daemon` | this machine, and the daemon on it |
//! | `gateway`: `handshake` | the same for `loopkdc gateway`, and what it serves HTTPS with |
//! | `realm` | what a realm's requests could go by, all of it side by side |
//! | `proxy`: `connection`, `handshake` | a KDC proxy |
//! | `kdc` | a KDC, and what it replies by whatever way |
//! | `report` | what is told of it |

mod configuration;
mod connection;
mod daemon;
mod gateway;
mod handshake;
mod kdc;
pub mod krb5_conf;
pub(super) mod ports;
mod proxy;
mod realm;
mod report;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::time::timeout;

pub use report::DoctorReport;

use crate::config::endpoint::Endpoint;
use crate::config::{Config, RealmEntry, Sources};
use crate::operate::circumstances::{self, Circumstances, ReadWords};
use crate::operate::status::{self, DaemonProcess, StatusError, StatusReply};
use crate::operate::{service_user, terminal};
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::{Finding, Layer};
use crate::relay::status::DaemonKind;
use crate::relay::text::toml;
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::Realm;
use krb5_conf::ClientConfig;
use report::DoctorOutput;

/// What the doctor takes beside a realm's deadline.
const OWN: Duration = Duration::from_secs(5);
/// Of that, to say what was found.
const TELL: Duration = Duration::from_millis(200);
/// The least that another question is worth asking in.
const LEAST: Duration = Duration::from_millis(300);
/// What is asked of this machine itself is asked for no longer.
const MACHINE: Duration = Duration::from_millis(1200);
/// Where the configuration stands if it is in no file.
const COMMAND_LINE: &str = "the daemon's command line";
/// What the configuration's finding is shown as.
const CONFIG_LINE: &str = "the line config";
/// One realm's look-ups and handshakes must not hold up another's.
const THREADS: usize = 2;

/// Looks at `daemon`, and says on stdout what there is to say: a realm's findings as soon as they are known, or one JSON document.
///
/// | argument | if it is none |
/// |---|---|
/// | `realm` | the default realm of krb5.conf, or all of the configuration; of a gateway's always all |
/// | `file`, the configuration | what the daemon was started with, which `read_words` reads; else the usual places |
///
/// # Errors
/// The runtime cannot be started.
pub fn doctor(
    daemon: DaemonKind,
    realm: Option<&str>,
    file: Option<PathBuf>,
    as_json: bool,
    read_words: ReadWords,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot start the runtime: {error}")))?;
    let mut output = DoctorOutput::new(as_json);
    let read = runtime.block_on(async {
        match daemon {
            DaemonKind::Run => examine(realm, file, read_words, &mut output).await,
            DaemonKind::Gateway => gateway::examine(realm, file, &mut output).await,
        }
    });
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(output.end(read))
}

/// What a terminal of 80 columns shows of `findings`, but for colours.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let text = report::drawn(terminal::WIDTH, None, findings);
    anstream::adapter::strip_str(&text).to_string()
}

/// A realm whose KDCs are asked, and the time that there is.
#[derive(Clone, Copy)]
struct AskedRealm<'a> {
    /// As the configuration spells it.
    realm: &'a Realm,
    deadline: Duration,
    /// When the doctor began.
    began: Instant,
}

impl<'a> AskedRealm<'a> {
    fn new(realm: &'a Realm, deadline: Duration, began: Instant) -> Self {
        Self {
            realm,
            deadline,
            began,
        }
    }

    /// Until all is to be said.
    fn left(&self) -> Duration {
        let end = self.began + OWN + self.deadline - TELL;
        end.saturating_duration_since(Instant::now())
    }

    /// Another question is worth asking.
    fn has_time(&self) -> bool {
        self.left() >= LEAST
    }
}

/// What a realm of `loopkdc run` is looked at with.
#[derive(Clone, Copy)]
struct RealmContext<'a> {
    asked: AskedRealm<'a>,
    entry: &'a RealmEntry,
    roots: &'a SystemRoots,
    /// The configuration's name, for hints.
    file: &'a str,
}

impl RealmContext<'_> {
    /// The realm's table and the file that it is in, for hints.
    fn table(&self) -> String {
        let realm = toml::string(&self.entry.pattern.to_string());
        format!("[realms.{realm}] of {}", self.file)
    }
}

/// Looks at all there is; the configuration that was read.
async fn examine(
    realm: Option<&str>,
    file: Option<PathBuf>,
    read_words: ReadWords,
    output: &mut DoctorOutput,
) -> Option<String> {
    let began = Instant::now();
    let asked = ask(DaemonKind::Run);
    let heard = output.wait_for("the status", MACHINE, asked).await;
    let config = configured(file, read_words, &heard, output).await?;
    let file = config.source.as_ref();
    let file = file.map_or_else(
        || COMMAND_LINE.to_owned(),
        |file| file.display().to_string(),
    );
    let (count, warnings) = (config.realms.len(), config.warnings());
    let valid = configuration::valid(DaemonKind::Run, &file, count, warnings);
    output.tell(valid);
    if let Some(source) = &config.source {
        let process = heard.as_ref().ok().map(|heard| heard.process);
        output.tell(unreadable(DaemonKind::Run, source, config.files(), process).await);
    }
    let read = ClientConfig::of_this_machine;
    let client = within(MACHINE, Layer::Krb5Conf, "krb5.conf", read);
    let client = output.wait_for("the line krb5.conf", MACHINE, client).await;
    let default_realm = client.as_ref().ok().and_then(ClientConfig::default_realm);
    let (realms, said) = configuration::chosen(&config, &file, realm, default_realm);
    output.tell(said);
    let names: Vec<_> = realms.iter().map(|(realm, _)| realm.clone()).collect();
    output.tell(match &client {
        Ok(_) if names.is_empty() => Vec::new(),
        Ok(client) => krb5_conf::examine(client, &config, &names),
        Err(late) => vec![*late.clone()],
    });
    let sockets = machine(&config, &file, &heard, output);
    if realms.is_empty() {
        output.skip_after(Layer::Daemon, "there is no realm to look at");
        return Some(file);
    }
    examine_realms(&realms, &file, &sockets, began, output).await;
    Some(file)
}

/// The configuration in `file`, or else what the daemon that was `heard` was started with. Nothing if it can't be used, which is told.
async fn configured(
    file: Option<PathBuf>,
    read_words: ReadWords,
    heard: &Result<StatusReply, StatusError>,
    output: &mut DoctorOutput,
) -> Option<Config> {
    let heard = heard.as_ref().ok();
    let running = heard.filter(|_| file.is_none());
    let running = running.and_then(|heard| circumstances::sources_of(heard, read_words));
    let sources = running.unwrap_or_else(|| Sources::of_file(file));
    let process = heard.map(|heard| heard.process);
    output.circumstances = Circumstances::new(sources.file.as_deref(), process);
    let file = sources.file.clone();
    let load = load(DaemonKind::Run, file, move |_| Config::load(&sources));
    let waited = output.wait_for(CONFIG_LINE, configuration::LIMIT, load);
    match waited.await {
        Ok(config) => Some(config),
        Err(fault) => {
            output.tell([*fault]);
            daemon_without_configuration(heard, output);
            None
        }
    }
}

async fn examine_realms(
    realms: &[(Realm, &RealmEntry)],
    file: &str,
    sockets: &[Endpoint],
    began: Instant,
    output: &mut DoctorOutput,
) {
    let roots = SystemRoots::load();
    let examined = realms.iter().map(|(realm, entry)| {
        let context = RealmContext {
            asked: AskedRealm::new(realm, entry.deadline, began),
            entry,
            roots: &roots,
            file,
        };
        (context.asked, realm::examine(context, sockets))
    });
    tell_each(examined, output).await;
}

/// The daemon may serve what it has read before.
fn daemon_without_configuration(heard: Option<&StatusReply>, output: &mut DoctorOutput) {
    let why = "there is no configuration to go by";
    match heard {
        Some(heard) => {
            output.skip([Layer::Krb5Conf, Layer::Ports], why);
            output.tell(daemon::goes_on(&heard.document));
            output.skip_after(Layer::Daemon, why);
        }
        None => output.skip_after(Layer::Configuration, why),
    }
}

/// Says what is found of realms, which are looked at side by side, in their order.
async fn tell_each<'a>(
    examined: impl Iterator<Item = (AskedRealm<'a>, impl Future<Output = Vec<Finding>>)>,
    output: &mut DoctorOutput,
) {
    let (asked, mut examined): (Vec<_>, FuturesOrdered<_>) = examined.unzip();
    for asked in asked {
        let lines = format!("the lines of {}", asked.realm);
        let found = output.wait_for(&lines, asked.left() + TELL, examined.next());
        let found = found.await;
        output.tell(found.into_iter().flatten());
    }
}

/// Reads the configuration of `daemon`, as that would.
async fn load<C: Send + 'static>(
    daemon: DaemonKind,
    file: Option<PathBuf>,
    read: impl FnOnce(Option<PathBuf>) -> Result<C, Failure> + Send + 'static,
) -> Result<C, Box<Finding>> {
    let name = file.as_deref().map(Path::to_string_lossy);
    let name = name.map_or("the configuration".to_owned(), Cow::into_owned);
    let load = || read(file);
    let loaded = within(configuration::LIMIT, Layer::Configuration, &name, load).await?;
    loaded.map_err(|failure| Box::new(configuration::unusable(daemon, &failure)))
}

/// What the daemon says of itself, if it does within a moment.
async fn ask(daemon: DaemonKind) -> Result<StatusReply, StatusError> {
    let asked = timeout(MACHINE, status::ask(daemon, None)).await;
    asked.unwrap_or_else(|_| {
        let why = "it does not answer in time".to_owned();
        Err(StatusError::NoStatus("its status socket".into(), why))
    })
}

/// What `read` finds on this machine.
///
/// # Errors
/// It takes too long to read `file`, as where a disk of the network does not answer. Then a thread of its own waits on, and the
/// end of the process is the end of that.
async fn within<T: Send + 'static>(
    limit: Duration,
    layer: Layer,
    file: &str,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Box<Finding>> {
    let read = tokio::task::spawn_blocking(read);
    match timeout(limit, read).await {
        Ok(Ok(found)) => Ok(found),
        // Nobody cancels it: it is a fault of our own, told as every other.
        Ok(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => {
            let limit = limit.as_secs_f64();
            let what = format!("{file}, or a file that it names, is not read within {limit} s");
            let purpose = "see whether the disk that it is on answers";
            let fault = Finding::fault(what).on(layer).typed(purpose, "findmnt");
            Err(Box::new(fault))
        }
    }
}

/// What of `files`, of the configuration `source`, the service may not read.
async fn unreadable(
    daemon: DaemonKind,
    source: &Path,
    files: BTreeSet<PathBuf>,
    process: Option<DaemonProcess>,
) -> Vec<Finding> {
    let (source, pid) = (source.to_owned(), process.and_then(|process| process.pid));
    let read = within(MACHINE, Layer::Configuration, "a file", move || {
        service_user::examine(daemon, &source, &files, pid)
    });
    read.await.unwrap_or_else(|late| vec![*late])
}

/// Looks at this machine; where the KDC service of the daemon that runs can be asked, or of whoever is in its place.
fn machine(
    config: &Config,
    file: &str,
    heard: &Result<StatusReply, StatusError>,
    output: &mut DoctorOutput,
) -> Vec<Endpoint> {
    let status = heard.as_ref().ok().map(|heard| &heard.document);
    let endpoints = config.listen.kdc.iter().chain(&config.listen.kpasswd);
    let ports = ports::examine(DaemonKind::Run, endpoints, file, status);
    output.tell(ports.findings);
    output.tell(daemon::examine(DaemonKind::Run, heard, &ports.owner, file));
    let mut ours = ports.ours;
    ours.retain(|endpoint| config.listen.kdc.contains(endpoint));
    ours
}
