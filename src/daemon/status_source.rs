//! The status document of a daemon, put together when somebody asks.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::daemon::slots::ConnLimit;
use crate::daemon::tasks::Tasks;
use crate::daemon::{bind, notify};
use crate::relay::clock::{ClockReading, unix_ms};
use crate::relay::counters::CountedBy;
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::Failure;
use crate::relay::network::Clocks;
use crate::relay::status::{
    CandidateState, CandidateStatus, ConfigurationStatus, DaemonKind, ListenerStatus, LoadStatus,
    RealmStatus, SCHEMA, StatusDocument, Text, configuration_problems, problems,
};
use crate::relay::sync::lock;

/// Between two lines for the service manager.
const PAUSE: Duration = Duration::from_secs(1);
/// Most characters of one: systemd reads no more than 4096 octets.
const MAX_LINE: usize = 1000;

/// What is known of the daemon as a whole.
#[derive(Debug)]
pub(crate) struct StatusSource {
    daemon: DaemonKind,
    started: SystemTime,
    clocks: Clocks,
    listeners: Vec<ListenerStatus>,
    relay: RelayHandle,
    connections: ConnLimit,
    max_connections: usize,
    configuration: Mutex<ConfigurationStatus>,
    watches_network: Arc<AtomicBool>,
    /// The line that the service manager shows.
    shown: Mutex<String>,
}

impl StatusSource {
    pub(crate) fn new(
        daemon: DaemonKind,
        file: Option<&Path>,
        listeners: Vec<ListenerStatus>,
        relay: RelayHandle,
        connections: ConnLimit,
        max_connections: usize,
    ) -> Self {
        let started = SystemTime::now();
        Self {
            daemon,
            started,
            clocks: Clocks::now(),
            listeners,
            relay,
            connections,
            max_connections,
            configuration: Mutex::new(ConfigurationStatus {
                file: file.map(file_name),
                read_at: Some(unix_ms(started)),
                failed_at: None,
                error: None,
                restart_needed: false,
            }),
            watches_network: Arc::default(),
            shown: Mutex::default(),
        }
    }

    /// To be set while changes of the network are seen.
    pub(crate) fn watches_network(&self) -> &Arc<AtomicBool> {
        &self.watches_network
    }

    /// The configuration in effect was first read at `read_at`; nothing if it is the one without realms.
    pub(crate) fn set_read_at(&self, read_at: Option<SystemTime>) {
        lock(&self.configuration).read_at = read_at.map(unix_ms);
    }

    /// The configuration in `file` was read again and is valid; perhaps some of it takes a restart.
    pub(crate) fn reloaded(&self, file: Option<&Path>, restart_needed: bool) {
        let mut configuration = lock(&self.configuration);
        configuration.file = file.map(file_name);
        configuration.read_at = Some(unix_ms(SystemTime::now()));
        configuration.failed_at = None;
        configuration.error = None;
        configuration.restart_needed = restart_needed;
        drop(configuration);
        self.show();
    }

    /// The configuration was read again and cannot be used, or not without a restart.
    pub(crate) fn failed(&self, failure: &Failure, restart_needed: bool) {
        // The further lines show what is written there, which is not for everybody.
        let what = failure.finding().placed();
        let what = what.lines().next().unwrap_or_default();
        let mut configuration = lock(&self.configuration);
        configuration.failed_at = Some(unix_ms(SystemTime::now()));
        configuration.error = Some(Text::of_origins(what));
        configuration.restart_needed |= restart_needed;
        drop(configuration);
        self.show();
    }

    /// Has the service manager, if there is one, show in `tasks` what becomes of the realms.
    pub(crate) fn follow(self: &Arc<Self>, tasks: &Tasks) {
        if !notify::is_expected() {
            return;
        }
        let (source, mut changes) = (Arc::clone(self), self.relay.exchange.reachability());
        tasks.spawn(async move {
            while changes.changed().await.is_ok() {
                source.show();
                tokio::time::sleep(PAUSE).await;
            }
        });
    }

    fn show(&self) {
        let mut shown = lock(&self.shown);
        let line = self.line();
        if *shown != line {
            notify::status(&line);
            *shown = line;
        }
    }

    /// That the configuration has a mistake, or else what is known of the realms, those that can't be reached first.
    fn line(&self) -> String {
        {
            let configuration = lock(&self.configuration);
            let mut problems = configuration_problems(self.daemon, &configuration).into_iter();
            let mistake = problems.next().filter(|_| configuration.error.is_some());
            if let Some(mistake) = mistake {
                return mistake.what;
            }
        }
        let exchange = &self.relay.exchange;
        let (mut realms, upstreams) = exchange.realms_and_upstreams(ClockReading::now());
        if self.daemon == DaemonKind::Gateway {
            let by_kdcs = |realm: &mut RealmStatus| realm.reachable = reachable_by(&realm.kdc);
            realms.iter_mut().for_each(by_kdcs);
        }
        realms.sort_by_key(|realm| realm.reachable);
        let state = |realm: &RealmStatus| {
            let next = realm
                .kdc
                .first()
                .and_then(|next| upstreams.get(next.upstream));
            let state = match (realm.reachable?, next) {
                (true, Some(next)) => format!("active, {}", next.name.as_str()),
                (true, None) => "active".to_owned(),
                (false, _) => "no KDC can be reached".to_owned(),
            };
            Some(format!("{}: {state}", realm.name.as_str()))
        };
        let states: Vec<_> = realms.iter().filter_map(state).collect();
        states.join("; ").chars().take(MAX_LINE).collect()
    }

    /// The document as it is written to the socket. A gateway's certificate is valid until then.
    pub(crate) fn json(&self, certificate_until: Option<SystemTime>) -> Vec<u8> {
        let document = self.document(certificate_until.map(unix_ms));
        // There is nothing in it that JSON has no form for.
        let mut json = serde_json::to_vec(&document).unwrap_or_default();
        json.push(b'\n');
        json
    }

    fn document(&self, certificate_until: Option<u64>) -> StatusDocument {
        let exchange = &self.relay.exchange;
        let now = ClockReading::now();
        let (mut realms, upstreams) = exchange.realms_and_upstreams(now);
        for (realm, look_up) in self.relay.lookups(now) {
            let is_its = |name: &Text| name.as_str().eq_ignore_ascii_case(&realm);
            let realm = realms.iter_mut().find(|realm| is_its(&realm.name));
            if let Some(realm) = realm {
                realm.look_ups.push(look_up);
            }
        }
        let (in_flight, max_in_flight) = exchange.in_flight();
        let watched = self.watches_network.load(Ordering::Relaxed);
        let counted_by = match self.daemon {
            DaemonKind::Run => CountedBy::Run,
            DaemonKind::Gateway => CountedBy::Gateway,
        };
        let mut document = StatusDocument {
            schema: SCHEMA,
            daemon: self.daemon,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            written_at: unix_ms(now.wall),
            started_at: unix_ms(self.started),
            uptime_seconds: self.uptime(now).as_secs(),
            listeners: self.listeners.iter().map(by_now).collect(),
            configuration: lock(&self.configuration).clone(),
            load: LoadStatus {
                in_flight,
                max_in_flight,
                connections: self.connections.open() as u64,
                max_connections: self.max_connections as u64,
            },
            realms,
            upstreams,
            network: exchange.network_status(watched),
            certificate_until,
            counters: exchange.counters().each(counted_by).collect(),
            exchanges: exchange.recent_exchanges(),
            problems: Vec::new(),
        };
        document.problems = problems(&document);
        document
    }

    /// The time asleep counts: that is how long ago it was started.
    fn uptime(&self, now: ClockReading) -> Duration {
        let since = Clocks::now().boot.saturating_sub(self.clocks.boot);
        if since.is_zero() {
            return now.wall.duration_since(self.started).unwrap_or_default();
        }
        since
    }
}

/// Whether a gateway's realm can be reached, by what is known of its KDCs; nothing if the next one was not asked yet.
fn reachable_by(kdcs: &[CandidateStatus]) -> Option<bool> {
    match kdcs.first()?.state {
        CandidateState::Active | CandidateState::Up => Some(true),
        CandidateState::Untried => None,
        _ => Some(false),
    }
}

/// Addresses come and go with the networks that they are on.
fn by_now(listener: &ListenerStatus) -> ListenerStatus {
    ListenerStatus {
        awaits_address: bind::is_absent(listener.address.as_str()),
        ..listener.clone()
    }
}

fn file_name(file: &Path) -> Text {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    file.display().to_string().into()
}
