//! `loopkdc doctor`: asks the network, layer by layer, and says what is wrong and what to do next.
//!
//! It sees what the daemon sees: the same configuration, the same TLS, the same way of asking a KDC proxy or a KDC. What the
//! daemon's own client cannot tell, such as the chain of certificates, it looks at over a connection of its own. It asks in the
//! name of nobody, tries no password and changes none.
//!
//! | part | what it looks at |
//! |---|---|
//! | `configuration`, [`krb5_conf`], `ports` with `sockets` and `process`, `daemon` | this machine |
//! | `realm` | what a realm's requests could go by, all of it side by side |
//! | `proxy`: `names`, `tcp` with `forward`, `handshake`, `post` | a KDC proxy |
//! | `direct` | a KDC |
//! | `through` | the daemon's sockets, as a client has them |
//! | `as_req`, `kdc_reply` | what is asked of a KDC, and what its reply says |
//! | `line`, `sheet`, `report`, `render`, `estimate` | what is told |

mod as_req;
mod configuration;
mod daemon;
mod direct;
mod estimate;
mod forward;
mod handshake;
mod kdc_reply;
pub mod krb5_conf;
mod line;
mod names;
mod ports;
mod post;
mod process;
mod proxy;
mod realm;
mod render;
mod report;
mod sheet;
mod sockets;
mod tcp;
mod through;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use line::{Figure, Layer, Line, Verdict};
pub use report::Report;

use crate::config::endpoint::Endpoint;
use crate::config::{Config, RealmEntry};
use crate::operate::status;
use crate::operate::status::{Heard, Silence};
use crate::relay::failure::{Exit, Failure};
use crate::relay::text::{json, toml};
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::Realm;
use configuration::Read;
use krb5_conf::Scene;
use render::Renderer;
use through::Asked;

/// What the doctor takes beside a realm's deadline.
const OWN: Duration = Duration::from_secs(5);
/// Of that, to say what was found.
const TELL: Duration = Duration::from_millis(200);
/// What is asked of this machine itself is asked for no longer.
const MACHINE: Duration = Duration::from_millis(1200);
/// One realm's look-ups and handshakes must not hold up another's.
const THREADS: usize = 2;

/// What is asked of the doctor.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// A realm. None: the default realm of krb5.conf, or all of the configuration.
    pub realm: Option<String>,
    /// As JSON.
    pub json: bool,
    /// The configuration. None: the usual places.
    pub file: Option<PathBuf>,
}

/// Looks, and says on stdout what there is to say: a realm's lines as soon as they are known, or one JSON document.
///
/// # Errors
/// The runtime cannot be started.
pub fn doctor(question: &Question) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| Failure::new(Exit::Bug, format!("cannot start the runtime: {error}")))?;
    let mut teller = Teller::new(question.json);
    let file = runtime.block_on(examine(question, &mut teller));
    // A name look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(teller.end(file))
}

/// What a terminal shows of `lines`, but for colours: 80 columns.
#[must_use]
pub fn text(lines: &[Line]) -> String {
    Renderer::new(false).text(lines)
}

/// What a realm is looked at with.
#[derive(Clone, Copy)]
struct Terms<'a> {
    /// As the configuration spells it.
    realm: &'a Realm,
    entry: &'a RealmEntry,
    roots: &'a SystemRoots,
    /// Its table and the file that it is in, for hints.
    table: &'a str,
    /// When the doctor began.
    began: Instant,
}

impl Terms<'_> {
    /// By when all is said.
    fn ends(&self) -> Instant {
        self.began + OWN + self.entry.deadline - TELL
    }

    /// As [`crate::daemon`] has it.
    fn target_domain(&self) -> String {
        let own = self.entry.target_domain.as_deref();
        own.unwrap_or(self.realm.as_str()).to_owned()
    }
}

/// Looks at all there is; the configuration that was read.
async fn examine(question: &Question, teller: &mut Teller) -> Option<String> {
    let began = Instant::now();
    let realm = question.realm.as_deref();
    let read = {
        let (file, realm) = (question.file.clone(), question.realm.clone());
        within(configuration::LIMIT, move || {
            configuration::read(file, realm.as_deref())
        })
        .await
    };
    let read = match read.unwrap_or_else(|| Err(configuration::late(question.file.as_deref()))) {
        Ok(read) => read,
        Err(line) => {
            teller.tell(&[*line]);
            teller.skip(Layer::Configuration, "there is no configuration to go by");
            return None;
        }
    };
    teller.tell(&read.lines);
    let scene = within(MACHINE, Scene::of_this_machine).await;
    let default_realm = scene.as_ref().and_then(Scene::default_realm);
    let chosen = configuration::chosen(&read, realm, default_realm);
    match &chosen {
        Ok(chosen) if realm.is_none() => {
            let left_out = configuration::left_out(&read, chosen);
            teller.tell(left_out.as_slice());
        }
        Ok(_) => {}
        Err(line) => teller.tell(std::slice::from_ref(line)),
    }
    let names: Vec<_> = chosen
        .iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    let pointers = async {
        match &scene {
            Some(scene) => pointers(scene, &read.config, &names).await,
            None => vec![krb5_conf::late()],
        }
    };
    let (pointers, heard) = tokio::join!(pointers, ask());
    teller.tell(&pointers);
    let sockets = machine(&read, &heard, teller);
    let Ok(chosen) = chosen else {
        teller.skip(Layer::Daemon, "there is no realm to look at");
        return Some(read.file);
    };
    let roots = SystemRoots::load();
    let tables: Vec<_> = chosen
        .iter()
        .map(|(_, entry)| {
            let realm = toml::string(&entry.pattern.to_string());
            format!("[realms.{realm}] of {}", read.file)
        })
        .collect();
    let realms = chosen.iter().zip(&tables);
    let mut realms: FuturesOrdered<_> = realms
        .map(|((realm, entry), table)| {
            let terms = Terms {
                realm,
                entry,
                roots: &roots,
                table,
                began,
            };
            realm::examine(terms, &sockets)
        })
        .collect();
    while let Some(lines) = realms.next().await {
        teller.tell(&lines);
    }
    drop(realms);
    Some(read.file)
}

/// Where krb5.conf sends `realms`, and whether those answer whom it names beside the daemon.
async fn pointers(scene: &Scene, config: &Config, realms: &[Realm]) -> Vec<Line> {
    if realms.is_empty() {
        return Vec::new();
    }
    let others = krb5_conf::others(scene, config, realms);
    let tried = others.iter().map(|other| async move {
        let connected = timeout(MACHINE, TcpStream::connect(other.as_str())).await;
        (!matches!(connected, Ok(Ok(_)))).then(|| other.clone())
    });
    let unreachable: Vec<_> = join_all(tried).await.into_iter().flatten().collect();
    krb5_conf::examine(scene, config, realms, &unreachable)
}

/// What the daemon says of itself, if it does within a moment.
async fn ask() -> Result<Heard, Silence> {
    let asked = within(MACHINE, || status::ask(None)).await;
    asked.unwrap_or_else(|| Err(Silence::TooLate("its status socket".into())))
}

/// What `read` finds on this machine. None: it takes too long, as where a disk of the network does not answer. Then a thread
/// of its own waits on, and the end of the process is the end of that.
async fn within<T: Send + 'static>(
    limit: Duration,
    read: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let read = tokio::task::spawn_blocking(read);
    match timeout(limit, read).await {
        Ok(Ok(found)) => Some(found),
        // Nobody cancels it: it is a fault of our own, told as every other.
        Ok(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
        Err(_) => None,
    }
}

/// Looks at this machine; where the KDC service of the daemon that runs can be asked, or of whoever is in its place.
fn machine(read: &Read, heard: &Result<Heard, Silence>, teller: &mut Teller) -> Vec<Asked> {
    let Read { config, file, .. } = read;
    let report = heard.as_ref().ok().map(|heard| &heard.report);
    let ports = ports::examine(&config.listen, file, report);
    teller.tell(&ports.lines);
    teller.tell(&daemon::examine(heard, &ports, file));
    let of_kdc = |endpoint: &Endpoint| config.listen.kdc.contains(endpoint);
    let asked = |is_ours| move |endpoint| Asked { endpoint, is_ours };
    let ours = ports.ours.into_iter().filter(of_kdc).map(asked(true));
    let unknown = ports.unknown.into_iter().filter(of_kdc).map(asked(false));
    ours.chain(unknown).collect()
}

/// Says what was found, and remembers it.
struct Teller {
    /// None: it is said at the end, in JSON.
    renderer: Option<Renderer>,
    lines: Vec<Line>,
}

impl Teller {
    fn new(json: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = io::stdout().is_terminal() && !no_color;
        Self {
            renderer: (!json).then(|| Renderer::new(colour)),
            lines: Vec::new(),
        }
    }

    fn tell(&mut self, lines: &[Line]) {
        if let Some(renderer) = &mut self.renderer {
            // A reader that is gone changes nothing about what is found.
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(renderer.text(lines).as_bytes());
            let _ = stdout.flush();
        }
        self.lines.extend_from_slice(lines);
    }

    /// The layers after `layer` are not looked at, and why.
    fn skip(&mut self, layer: Layer, why: &str) {
        let after = Layer::ALL.iter().filter(|after| **after > layer);
        let lines: Vec<_> = after.map(|after| Line::skipped(*after, why)).collect();
        self.tell(&lines);
    }

    /// All was said that a terminal is told; the exit status.
    fn end(self, configuration: Option<String>) -> Exit {
        let report = Report::new(configuration, self.lines);
        if self.renderer.is_none() {
            let json = json::pretty(&report).unwrap_or_default();
            let _ = writeln!(io::stdout().lock(), "{json}");
        }
        let code = |layer: Layer| Exit::Layer(layer.exit_code());
        report.fault.map_or(Exit::Ok, code)
    }
}
