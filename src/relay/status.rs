//! The status document: what `loopkdc status --json` prints, one JSON object.
//!
//! # The schema
//!
//! The field `schema` says how the rest is to be read; this is schema 2. Fields may be added at any time, and words where a
//! field is one of several words: a reader leaves out what it does not know. If a field goes, or comes to mean something
//! else, `schema` grows by one.
//!
//! Times (`…_at`) are in milliseconds since 1970, and null where there was none. Durations are in milliseconds (`…_ms`) or
//! seconds (`…_seconds`). Candidates refer to upstreams by their index in `upstreams`, findings by name.
//!
//! No principal, no path of a URL and no secret is in it. Realms that only clients have named stand in `exchanges` and, in
//! quotes, in `problems`.

mod problems;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::relay::finding::Finding;

pub use crate::relay::text::Text;
pub(crate) use problems::{configuration_problems, of_listeners, problems};

/// The schema that is written, and the newest that is understood.
pub const SCHEMA: u32 = 2;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// 2.
    pub schema: u32,
    /// Whose it is. It is absent in those of version 0.1.0, which are all of `run`.
    #[serde(default)]
    pub daemon: DaemonKind,
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
    pub listeners: Vec<ListenerStatus>,
    /// The configuration that is in effect.
    pub configuration: ConfigurationStatus,
    /// What is in progress, and the limits.
    pub load: LoadStatus,
    /// The realms and wildcards of the configuration, the most specific first, and where their requests would go now.
    pub realms: Vec<RealmStatus>,
    /// The proxies and KDCs of all realms, each once.
    pub upstreams: Vec<UpstreamStatus>,
    /// The network of this machine.
    pub network: NetworkStatus,
    /// Until when a gateway's certificate is valid, if it has one.
    #[serde(default)]
    pub certificate_until: Option<u64>,
    /// All that is counted since the start.
    pub counters: Vec<CounterStatus>,
    /// The last exchanges, at most 50, the newest first.
    pub exchanges: Vec<ExchangeRecord>,
    /// What is wrong, and what to do about it. Nothing of severity "ok" or "skipped".
    pub problems: Vec<Finding>,
}

/// Which command a daemon is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonKind {
    /// `loopkdc run`.
    #[default]
    Run,
    /// `loopkdc gateway`.
    Gateway,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// `kdc` or `kpasswd`; of a gateway `https`, `http` or `metrics`.
    pub service: Text,
    /// `udp`, `tcp` or `unix`.
    pub transport: Text,
    /// `127.0.0.1:88`, or a path.
    pub address: Text,
    /// The service manager handed it over; else it was bound here.
    pub inherited: bool,
    /// No interface of this machine has its address at the moment: it serves once one has.
    #[serde(default)]
    pub awaits_address: bool,
}

/// The configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationStatus {
    /// Its file, by its absolute name; null if the command line says all.
    pub file: Option<Text>,
    /// When it was read last and found valid; of one that was kept from an earlier start, when it was read first. Null: it never was,
    /// and no realm is served.
    pub read_at: Option<u64>,
    /// When it was read after that and found invalid: what is in effect is older than the file.
    pub failed_at: Option<u64>,
    /// Why it is invalid: where, and which rule is broken; not what is written there.
    pub error: Option<Text>,
    /// `[listen]`, or `[gateway]`, was changed, which takes effect after a restart.
    pub restart_needed: bool,
}

/// What is in progress, and the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadStatus {
    /// Exchanges in progress.
    pub in_flight: u64,
    /// Their limit (`max-in-flight`).
    pub max_in_flight: u64,
    /// Open connections of clients.
    pub connections: u64,
    /// Their limit (`max-connections`, or less if the process may have fewer descriptors).
    pub max_connections: u64,
}

/// A realm of the configuration, or a wildcard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RealmStatus {
    /// `EXAMPLE.COM`, `*.EXAMPLE.COM` or `*`.
    pub name: Text,
    /// Its other names.
    pub aliases: Vec<Text>,
    /// Where its AS-REQs and TGS-REQs would go now, in the order in which they would be tried. Empty if nothing is known.
    pub kdc: Vec<CandidateStatus>,
    /// The same for password changes.
    pub kpasswd: Vec<CandidateStatus>,
    /// An AS-REQ or TGS-REQ of it was answered, and none has failed since. Null if that is not known: none came yet, the last one failed
    /// for a reason that may be its own, or this is a wildcard.
    pub reachable: Option<bool>,
    /// How long an exchange may take.
    pub deadline_seconds: u64,
    /// What is looked up in DNS for it.
    pub look_ups: Vec<LookUpStatus>,
    /// Until when its AS-REQs ask for the KDC that takes writes, if a password was changed lately.
    pub primary_until: Option<u64>,
}

/// A proxy or KDC as one realm sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateStatus {
    /// Its index in `upstreams`.
    pub upstream: usize,
    /// It is a KDC that is asked directly where this machine can reach it (`direct`).
    pub direct: bool,
    /// It is the primary KDC, which takes writes, or leads to it.
    pub primary: bool,
    /// What is known of it.
    pub state: CandidateState,
    /// When it is retried, if it is down or refuses this realm.
    pub retry_at: Option<u64>,
    /// How often in a row it failed or refused, as far as that counts now.
    pub failures: u32,
    /// Why it fails or refuses, if it does.
    pub fault: Option<FaultRecord>,
}

/// What is known of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateState {
    /// It served last, and gets the next request.
    Active,
    /// It has answered.
    Up,
    /// It was not tried on this network.
    Untried,
    /// It failed, and is tried again with the next request.
    Failing,
    /// It failed; the others are tried first until `retry_at`.
    Down,
    /// It serves, but refuses this realm; the others are tried first until `retry_at`.
    Refusing,
    /// A KDC that cannot be reached on this network, as it seems: the others are tried first.
    OffNetwork,
    /// A word of a later version.
    #[serde(other)]
    Other,
}

impl CandidateState {
    /// Nothing speaks against it.
    pub(crate) fn is_good(self) -> bool {
        matches!(self, Self::Active | Self::Up | Self::Untried)
    }
}

impl fmt::Display for CandidateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Up => "up",
            Self::Untried => "not tried yet",
            Self::Failing => "failed",
            Self::Down => "down",
            Self::Refusing => "refuses this realm",
            Self::OffNetwork => "not on this network",
            Self::Other => "in a state of a later version",
        })
    }
}

/// A fault, and when it was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// When.
    pub seen_at: u64,
    /// What it is, and what to do about it.
    pub finding: Finding,
}

/// A proxy or KDC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// `proxy` or `kdc`.
    pub kind: Text,
    /// Scheme, host and port; a KDC has no scheme.
    pub name: Text,
    /// The last fault on this network, whether it has replied since or not.
    pub last_fault: Option<FaultRecord>,
    /// It has replied since then.
    pub replied_since: bool,
    /// How long its answers take.
    pub latency: LatencyStatus,
}

/// How long answers take, from the sending of the request to the whole answer. The percentiles are of the last 500 answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyStatus {
    /// How many answers there were.
    pub answers: u64,
    /// Half of them take no longer.
    pub p50_ms: Option<f64>,
    /// Nine in ten take no longer.
    pub p90_ms: Option<f64>,
    /// 99 in a hundred take no longer.
    pub p99_ms: Option<f64>,
}

/// The network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// The kernel reports its changes.
    pub watched: bool,
    /// How often it changed.
    pub changes: u64,
    /// When it changed last.
    pub changed_at: Option<u64>,
    /// How often the machine slept, as far as requests that came after it have shown.
    pub sleeps: u64,
    /// When that was seen last.
    pub woke_at: Option<u64>,
    /// What answers in place of the KDC proxies looks like a login page of the network.
    pub captive_portal: bool,
}

/// What is looked up in DNS for a realm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpStatus {
    /// `kdcs` or `proxies`.
    pub what: Text,
    /// What was found for logins, in no order that matters.
    pub kdc: Vec<Text>,
    /// What was found for password changes.
    pub kpasswd: Vec<Text>,
    /// What was found and is not used, and why.
    pub rejected: Vec<RejectedName>,
    /// Until when nothing is looked up; null if the next request causes a look-up.
    pub expires_at: Option<u64>,
    /// Why the last look-up failed, if it did.
    pub error: Option<Text>,
}

/// A name found in DNS that is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedName {
    /// The name.
    pub name: Text,
    /// Why not.
    pub why: Text,
}

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterStatus {
    /// Its name.
    pub name: Text,
    /// What it counts.
    pub help: Text,
    /// How many by now.
    pub value: u64,
}

/// An exchange that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRecord {
    /// When it ended.
    pub ended_at: u64,
    /// `AS-REQ`, `TGS-REQ` or `kpasswd`.
    pub kind: Text,
    /// The realm as the client spelled it.
    pub realm: Text,
    /// `udp`, `tcp` or `unix`, or at a gateway `https`, `http` or `unix`; `own` if the daemon asked by itself whether the realm can be reached.
    pub transport: Text,
    /// The upstream that was asked last, by name; null if none was.
    pub upstream: Option<Text>,
    /// How it ended.
    pub outcome: ExchangeOutcome,
    /// The upstream's fault, if it failed for one.
    pub fault: Option<Text>,
    /// The reply's error code (RFC 4120 7.5.9), if it is a KRB-ERROR. To a first AS-REQ 25 is as it should be.
    pub krb_error: Option<i32>,
    /// From the request's last octet to the answer.
    pub took_ms: u64,
    /// Its attempts in this order, if there was more than one. A single one is not listed: `upstream`, `fault` and `took_ms` tell of it.
    pub attempts: Vec<AttemptRecord>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeOutcome {
    /// With a reply, which may be a KRB-ERROR.
    Replied,
    /// No upstream answered.
    Failed,
    /// Nothing is configured for the realm.
    NoUpstream,
    /// This service of the realm is not offered.
    NotOffered,
    /// Neither the configuration nor DNS names an upstream.
    UpstreamUnknown,
    /// Too many requests were in progress.
    Overloaded,
    /// A word of a later version.
    #[serde(other)]
    Other,
}

/// As the log has it.
impl fmt::Display for ExchangeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replied => "replied",
            Self::Failed => "no answer",
            Self::NoUpstream => "no proxy or KDC for the realm",
            Self::NotOffered => "this service of the realm is not offered",
            Self::UpstreamUnknown => "no proxy or KDC is known at the moment",
            Self::Overloaded => "too many requests are under way",
            Self::Other => "an outcome of a later version",
        })
    }
}

/// One sending of a request to an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The upstream, by name.
    pub upstream: Text,
    /// Why it was sent there.
    pub why: AttemptReason,
    /// Its fault; null if it answered, or if another attempt was answered before it.
    pub fault: Option<Text>,
    /// How long it took.
    pub took_ms: u64,
}

/// Why a request was sent to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptReason {
    /// It was the first.
    First,
    /// The one before had failed, or could not be sent.
    Failover,
    /// The answer to the one before was late.
    Hedge,
    /// The network changed.
    Resume,
    /// A word of a later version.
    #[serde(other)]
    Other,
}

/// The word that JSON has.
impl fmt::Display for AttemptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
