//! What this daemon knows of itself, put together when somebody asks.

mod exchanges;
mod moment;
mod realms;
#[cfg(unix)]
mod socket;
mod upstreams;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::config::{Config, Listen};
use crate::daemon::bind::ServiceListener;
use crate::relay::discovery::RelayHandle;
use crate::relay::failure::Failure;
use crate::relay::network::Clocks;
use crate::relay::status as report;
use crate::relay::status::{Report, SCHEMA, Text};
use crate::relay::sync::lock;
use crate::shim::listeners::OpenConnections;
use crate::wire::Service;
use exchanges::{counters, of_exchange};
use moment::{Now, millis};
#[cfg(unix)]
pub(super) use socket::bind;
use upstreams::{is_behind_portal, of_upstream};

/// What is known of the daemon as a whole.
#[derive(Debug)]
pub(super) struct Status {
    started: SystemTime,
    clocks: Clocks,
    /// What `[listen]` said at the start, which is what holds.
    listen: Listen,
    listeners: Vec<report::Listener>,
    relay: RelayHandle,
    connections: OpenConnections,
    max_connections: usize,
    configured: Mutex<Configured>,
    /// Whether changes of the network are heard of.
    hears: Arc<AtomicBool>,
}

/// What came of reading the configuration.
#[derive(Debug)]
struct Configured {
    file: Option<String>,
    read: SystemTime,
    failed: Option<(SystemTime, String)>,
    restart_needed: bool,
}

/// What a relay listens on, before it takes it over.
pub(super) fn listeners(listeners: &[ServiceListener]) -> Vec<report::Listener> {
    let listener = |listener: &ServiceListener| report::Listener {
        service: match listener.service {
            Service::Kdc => "kdc".into(),
            Service::Kpasswd => "kpasswd".into(),
        },
        transport: listener.transport().into(),
        address: listener.address().trim_start_matches("unix:").into(),
        inherited: listener.inherited,
    };
    listeners.iter().map(listener).collect()
}

impl Status {
    pub(super) fn new(
        config: &Config,
        listeners: Vec<report::Listener>,
        relay: RelayHandle,
        connections: OpenConnections,
        max_connections: usize,
    ) -> Self {
        let file = config.source.as_ref();
        let started = SystemTime::now();
        Self {
            started,
            clocks: Clocks::now(),
            listen: config.listen.clone(),
            listeners,
            relay,
            connections,
            max_connections,
            configured: Mutex::new(Configured {
                file: file.map(|file| file.display().to_string()),
                read: started,
                failed: None,
                restart_needed: false,
            }),
            hears: Arc::default(),
        }
    }

    /// Where to say whether changes of the network are heard of.
    pub(super) fn hears(&self) -> &Arc<AtomicBool> {
        &self.hears
    }

    /// The configuration was read again and is valid; this is its `[listen]`.
    pub(super) fn reloaded(&self, listen: &Listen) {
        let mut configured = lock(&self.configured);
        configured.read = SystemTime::now();
        configured.failed = None;
        configured.restart_needed = *listen != self.listen;
    }

    /// The configuration was read again and is wrong.
    pub(super) fn failed(&self, failure: &Failure) {
        // The further lines show what is written there, which is not for everybody.
        let what = failure.message().lines().next().unwrap_or_default();
        lock(&self.configured).failed = Some((SystemTime::now(), what.to_owned()));
    }

    /// The document.
    pub(super) fn document(&self) -> Vec<u8> {
        // There is nothing in it that JSON has no form for.
        let mut document = serde_json::to_vec(&self.report()).unwrap_or_default();
        document.push(b'\n');
        document
    }

    fn report(&self) -> Report {
        let exchange = &self.relay.exchange;
        let view = exchange.view();
        let now = Now {
            instant: tokio::time::Instant::now().into_std(),
            wall: SystemTime::now(),
        };
        let upstreams: Vec<_> = view
            .upstreams
            .iter()
            .map(|(upstream, view)| of_upstream(upstream, view, now))
            .collect();
        let mut report = Report {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            written_at: millis(now.wall),
            started_at: millis(self.started),
            uptime_seconds: self.uptime(now).as_secs(),
            listeners: self.listeners.clone(),
            configuration: self.configuration(),
            load: report::Load {
                in_flight: view.in_flight as u64,
                max_in_flight: view.max_in_flight as u64,
                connections: self.connections.count() as u64,
                max_connections: self.max_connections as u64,
            },
            realms: realms::realms(&view, &self.relay.lookups(), now),
            network: report::Network {
                heard: self.hears.load(Ordering::Relaxed),
                changes: exchange.counters().networks.get(),
                changed_at: view.moments.changed.map(millis),
                sleeps: exchange.counters().sleeps.get(),
                woke_at: view.moments.woke.map(millis),
                captive_portal: is_behind_portal(&view),
            },
            upstreams,
            retransmits: report::Retransmits {
                joined: exchange.counters().joined.get(),
                replayed: exchange.counters().replayed.get(),
            },
            counters: counters(exchange),
            exchanges: view.exchanges.iter().map(of_exchange).collect(),
            problems: Vec::new(),
        };
        report.problems = report::problems(&report);
        report
    }

    /// The time asleep counts: that is how long ago it was started.
    fn uptime(&self, now: Now) -> Duration {
        let since = Clocks::now().boot.saturating_sub(self.clocks.boot);
        match since.is_zero() {
            true => now.wall.duration_since(self.started).unwrap_or_default(),
            false => since,
        }
    }

    fn configuration(&self) -> report::Configuration {
        let configured = lock(&self.configured);
        let failed = configured.failed.as_ref();
        report::Configuration {
            file: configured.file.as_deref().map(Text::from),
            read_at: millis(configured.read),
            failed_at: failed.map(|(at, _)| millis(*at)),
            error: failed.map(|(_, what)| Text::of_origins(what)),
            restart_needed: configured.restart_needed,
        }
    }
}
