//! The status document of a daemon, put together when somebody asks.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::daemon::bind;
use crate::daemon::slots::ConnLimit;
use crate::relay::clock::{ClockReading, unix_ms};
use crate::relay::counters::CountedBy;
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::Failure;
use crate::relay::network::Clocks;
use crate::relay::status::{
    ConfigurationStatus, DaemonKind, ListenerStatus, LoadStatus, SCHEMA, StatusDocument, Text,
    configuration_problems, problems,
};
use crate::relay::sync::lock;

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
    }

    /// The configuration was read again and cannot be used, or not without a restart. Returns what that means, in one line.
    pub(crate) fn failed(&self, failure: &Failure, restart_needed: bool) -> String {
        // The further lines show what is written there, which is not for everybody.
        let what = failure.finding().placed();
        let what = what.lines().next().unwrap_or_default();
        let mut configuration = lock(&self.configuration);
        configuration.failed_at = Some(unix_ms(SystemTime::now()));
        configuration.error = Some(Text::of_origins(what));
        configuration.restart_needed |= restart_needed;
        let problems = configuration_problems(self.daemon, &configuration);
        let problem = problems.into_iter().next();
        problem.map_or_else(String::new, |problem| problem.what)
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

/// Addresses come and go with the networks that they are on.
fn by_now(listener: &ListenerStatus) -> ListenerStatus {
    ListenerStatus {
        awaits_address: bind::is_absent(listener.address.as_str()),
        ..listener.clone()
    }
}

fn file_name(file: &Path) -> Text {
    file.display().to_string().into()
}
