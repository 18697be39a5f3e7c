//! What `loopkdc status --json` says: one JSON object.
//!
//! # The schema
//!
//! The field `schema` says how the rest is to be read; this is schema 1. Fields may be added at any time, and words where a
//! field is one of several words: who reads leaves out what it does not know. If a field goes, or comes to mean something
//! else, `schema` grows by one.
//!
//! Moments (`…_at`) are in milliseconds since 1970, and null where there was none. Spans are in milliseconds (`…_ms`) or
//! seconds (`…_seconds`). Upstreams are named by their place in `upstreams`.
//!
//! No principal, no path of a URL and no secret is in it. Realms that only clients have named stand in `exchanges` and, in
//! quotes, in `problems`.

mod problem;
mod problems;
mod text;

use serde::{Deserialize, Serialize};

pub use problem::{About, Problem};
pub(crate) use problems::problems;
pub use text::Text;

/// The schema that is written, and the newest that is understood.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// 1.
    pub schema: u32,
    /// The daemon's version.
    pub version: Text,
    /// The daemon's process.
    pub pid: u32,
    /// When this was written.
    pub written_at: u64,
    /// When the daemon started.
    pub started_at: u64,
    /// For how long it has run, the time that the machine slept included.
    pub uptime_seconds: u64,
    /// Its sockets.
    pub listeners: Vec<Listener>,
    /// What it goes by.
    pub configuration: Configuration,
    /// What is under way, and how much may be.
    pub load: Load,
    /// What the configuration says of realms, the longest match first, and where their requests would go now.
    pub realms: Vec<Realm>,
    /// The ways out of all realms, each once.
    pub upstreams: Vec<Upstream>,
    /// The network, as far as it is heard of.
    pub network: Network,
    /// Copies of requests that clients sent again.
    pub retransmits: Retransmits,
    /// All that is counted since the start.
    pub counters: Vec<Counter>,
    /// The last exchanges, at most 50, the youngest first.
    pub exchanges: Vec<Exchange>,
    /// What is wrong, and what to do about it.
    pub problems: Vec<Problem>,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `kdc` or `kpasswd`.
    pub service: Text,
    /// `udp`, `tcp` or `unix`.
    pub transport: Text,
    /// `127.0.0.1:88`, or a path.
    pub address: Text,
    /// Whether the service manager handed it over; else it was bound here.
    pub inherited: bool,
}

/// What the daemon goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Its file; null if the command line says all.
    pub file: Option<Text>,
    /// When it was read last and found valid.
    pub read_at: u64,
    /// When it was read after that and found wrong: what holds is older than the file.
    pub failed_at: Option<u64>,
    /// What is wrong with it, if it is: where, and which rule is broken; not what is written there.
    pub error: Option<Text>,
    /// Whether `[listen]` says something else by now, which holds after a restart.
    pub restart_needed: bool,
}

/// What is under way, and how much may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Exchanges being led through their upstreams.
    pub in_flight: u64,
    /// As many may be (`max-in-flight`).
    pub max_in_flight: u64,
    /// Connections of clients that are open.
    pub connections: u64,
    /// As many may be (`max-connections`, or less if the process may have fewer descriptors).
    pub max_connections: u64,
}

/// What the configuration says of a realm, or of many by a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Realm {
    /// `EXAMPLE.COM`, `*.EXAMPLE.COM` or `*`.
    pub name: Text,
    /// Its other names.
    pub aliases: Vec<Text>,
    /// Where its AS-REQs and TGS-REQs would go now, in the order in which they would be tried. Empty if nothing is known.
    pub kdc: Vec<Way>,
    /// The same for password changes.
    pub kpasswd: Vec<Way>,
    /// What an exchange may take.
    pub deadline_seconds: u64,
    /// What is looked up in DNS for it.
    pub look_ups: Vec<LookUp>,
}

/// A realm's way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Its place in `upstreams`.
    pub upstream: usize,
    /// Whether it is a KDC that is asked itself where this machine can reach it (`direct`).
    pub direct: bool,
    /// How it stands with this realm.
    pub state: State,
    /// Until when, if it rests.
    pub until_at: Option<u64>,
    /// How often it failed or refused one time after the other, as far as that counts now.
    pub failures: u32,
    /// Why it fails or refuses, if it does.
    pub fault: Option<Fault>,
}

/// How it stands with a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It served last, and will be asked next.
    InUse,
    /// It has answered.
    Healthy,
    /// It was not asked on this network.
    Unknown,
    /// It failed, and will be asked again.
    Failing,
    /// It failed, and the others come first until the moment that is told.
    Resting,
    /// It serves, and refuses this realm; the others come first until the moment that is told.
    Refusing,
    /// A KDC that is not on this network, as far as can be seen: the others come first.
    SetAside,
    /// Of a later version.
    #[serde(other)]
    Other,
}

/// A fault, when it was met, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// When it was met.
    pub met_at: u64,
    /// What it is.
    pub what: Text,
    /// The next command, or the key that matters.
    pub hint: Option<Text>,
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// `proxy` or `kdc`.
    pub kind: Text,
    /// `https` or `http`; null for a KDC.
    pub scheme: Option<Text>,
    /// Its host.
    pub host: Text,
    /// Its port.
    pub port: Option<u16>,
    /// All three as the log has them.
    pub name: Text,
    /// The last fault met on this network, answered since or not.
    pub last_fault: Option<Fault>,
    /// Whether it has replied since then.
    pub replied_since: bool,
    /// How long its answers take.
    pub latency: Latency,
}

/// How long answers take, from the request's leave to the whole answer. Of the numbers only `answers` counts all of them: the
/// others are those of the last 500 to 1000.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// How many there were.
    pub answers: u64,
    /// Half of them take no longer. This and the next two are right to within a quarter.
    pub p50_ms: Option<f64>,
    /// Nine in ten take no longer.
    pub p90_ms: Option<f64>,
    /// 99 in a hundred take no longer.
    pub p99_ms: Option<f64>,
    /// How many of the last ones took how long; those left out are empty.
    pub buckets: Vec<Bucket>,
}

/// How many answers took `from_ms` and less than `to_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// From so many milliseconds on.
    pub from_ms: f64,
    /// Below so many.
    pub to_ms: f64,
    /// So many answers.
    pub count: u64,
}

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Whether changes of it are heard of.
    pub heard: bool,
    /// How often it became another one.
    pub changes: u64,
    /// When it did last.
    pub changed_at: Option<u64>,
    /// How often the machine slept, as far as requests that came after it have shown.
    pub sleeps: u64,
    /// When that was seen last.
    pub woke_at: Option<u64>,
    /// Whether what answers in the place of KDC proxies looks like a login page of the network.
    pub captive_portal: bool,
}

/// What is looked up in DNS for a realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUp {
    /// `kdcs` or `proxies`.
    pub what: Text,
    /// What was found for logins, in no order that matters.
    pub kdc: Vec<Text>,
    /// What was found for password changes.
    pub kpasswd: Vec<Text>,
    /// What was found and is not asked, and why.
    pub refused: Vec<Refused>,
    /// Until when nothing is looked up; null if the next request brings a look-up about.
    pub expires_at: Option<u64>,
    /// Why the last look-up failed, if it did.
    pub error: Option<Text>,
}

/// A name found in DNS that is not asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The name.
    pub name: Text,
    /// Why not.
    pub why: Text,
}

/// Copies of requests that clients sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retransmits {
    /// Those that joined an exchange under way.
    pub joined: u64,
    /// Those that were answered from what is kept.
    pub replayed: u64,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Its name.
    pub name: Text,
    /// What it counts.
    pub help: Text,
    /// How many by now.
    pub value: u64,
}

/// An exchange that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// When it ended.
    pub ended_at: u64,
    /// `AS-REQ`, `TGS-REQ` or `kpasswd`.
    pub kind: Text,
    /// The realm as the client spelled it.
    pub realm: Text,
    /// `udp`, `tcp` or `unix`.
    pub transport: Text,
    /// The upstream that was asked last, by name; null if none was.
    pub upstream: Option<Text>,
    /// `replied`, or why not, in the words of the log.
    pub outcome: Text,
    /// Whether there was a reply.
    pub replied: bool,
    /// The reply's error code (RFC 4120 7.5.9), if it is a KRB-ERROR. To a first AS-REQ 25 is as it should be.
    pub krb_error: Option<i32>,
    /// From the request's last octet to the answer.
    pub took_ms: u64,
}
