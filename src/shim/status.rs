//! The status document of this daemon, put together when somebody asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::prepared::Mistake;
use crate::config::{Config, Listen};
use crate::daemon::bind::ServiceListener;
use crate::daemon::slots::ConnLimit;
use crate::relay::counters::CountedBy;
use crate::relay::discovery::RelayHandle;
use crate::relay::network::Clocks;
use crate::relay::status::{
    ClockReading, ConfigurationStatus, ListenerStatus, LoadStatus, SCHEMA, StatusDocument, Text,
    configuration_problems, problems, unix_ms,
};
use crate::relay::sync::lock;
use crate::wire::Service;

/// What is known of the daemon as a whole.
#[derive(Debug)]
pub(super) struct StatusSource {
    started: SystemTime,
    clocks: Clocks,
    /// `[listen]` as it was at the start, which is in effect.
    listen: Listen,
    listeners: Vec<ListenerStatus>,
    relay: RelayHandle,
    connections: ConnLimit,
    max_connections: usize,
    configuration: Mutex<ConfigurationStatus>,
    watches_network: Arc<AtomicBool>,
}

/// What a relay listens on, before it takes it over.
pub(super) fn listener_statuses(listeners: &[ServiceListener]) -> Vec<ListenerStatus> {
    let status = |listener: &ServiceListener| ListenerStatus {
        service: match listener.service {
            Service::Kdc => "kdc".into(),
            Service::Kpasswd => "kpasswd".into(),
        },
        transport: listener.transport().into(),
        address: listener.address().trim_start_matches("unix:").into(),
        inherited: listener.inherited,
    };
    listeners.iter().map(status).collect()
}

fn file_name(config: &Config) -> Option<Text> {
    let file = config.source.as_ref();
    file.map(|file| file.display().to_string().into())
}

impl StatusSource {
    pub(super) fn new(
        config: &Config,
        listeners: Vec<ListenerStatus>,
        relay: RelayHandle,
        connections: ConnLimit,
        max_connections: usize,
    ) -> Self {
        let started = SystemTime::now();
        Self {
            started,
            clocks: Clocks::now(),
            listen: config.listen.clone(),
            listeners,
            relay,
            connections,
            max_connections,
            configuration: Mutex::new(ConfigurationStatus {
                file: file_name(config),
                read_at: Some(unix_ms(started)),
                failed_at: None,
                error: None,
                restart_needed: false,
            }),
            watches_network: Arc::default(),
        }
    }

    /// To be set while changes of the network are seen.
    pub(super) fn watches_network(&self) -> &Arc<AtomicBool> {
        &self.watches_network
    }

    /// The configuration in effect was first read at `read_at`; nothing if it is the one without realms.
    pub(super) fn set_read_at(&self, read_at: Option<SystemTime>) {
        lock(&self.configuration).read_at = read_at.map(unix_ms);
    }

    /// `config` was read again and is valid. Returns whether some of it takes a restart.
    pub(super) fn reloaded(&self, config: &Config) -> bool {
        let mut configuration = lock(&self.configuration);
        configuration.file = file_name(config);
        configuration.read_at = Some(unix_ms(SystemTime::now()));
        configuration.failed_at = None;
        configuration.error = None;
        configuration.restart_needed = config.listen != self.listen;
        configuration.restart_needed
    }

    /// The configuration was read again and cannot be used. Returns what that means, in one line.
    pub(super) fn failed(&self, mistake: &Mistake) -> String {
        // The further lines show what is written there, which is not for everybody.
        let what = mistake.failure.finding().placed();
        let what = what.lines().next().unwrap_or_default();
        let mut configuration = lock(&self.configuration);
        configuration.failed_at = Some(unix_ms(SystemTime::now()));
        configuration.error = Some(Text::of_origins(what));
        configuration.restart_needed |= mistake.unopened.is_some();
        let problems = configuration_problems(&configuration);
        let problem = problems.into_iter().next();
        problem.map_or_else(String::new, |problem| problem.what)
    }

    /// The document as it is written to the socket.
    pub(super) fn json(&self) -> Vec<u8> {
        // There is nothing in it that JSON has no form for.
        let mut json = serde_json::to_vec(&self.document()).unwrap_or_default();
        json.push(b'\n');
        json
    }

    fn document(&self) -> StatusDocument {
        let exchange = &self.relay.exchange;
        let now = ClockReading {
            instant: tokio::time::Instant::now().into_std(),
            wall: SystemTime::now(),
        };
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
        let mut document = StatusDocument {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            written_at: unix_ms(now.wall),
            started_at: unix_ms(self.started),
            uptime_seconds: self.uptime(now).as_secs(),
            listeners: self.listeners.clone(),
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
            counters: exchange.counters().each(CountedBy::Run).collect(),
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
