//! What this daemon knows of itself, put together when somebody asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::directory::{Directory, LookedUp};
use crate::advice::{self, Advice, Kind};
use crate::config::{Config, Listen, StatusSocket};
use crate::daemon::discovery::Known;
use crate::exchange::{Ended, Exchange, Outcome, View};
use crate::failure::Failure;
use crate::listen::{self, Listener, Places};
use crate::network::Clocks;
use crate::route::{Latency, Met, RealmPattern, RouteView, State, UpstreamView, Way};
use crate::status as report;
use crate::status::{Report, SCHEMA, Text};
use crate::upstream::Upstream;
use crate::wire::Service;

/// What is known of the daemon as a whole.
#[derive(Debug)]
pub(super) struct Status {
    started: SystemTime,
    clocks: Clocks,
    /// What `[listen]` said at the start, which is what holds.
    listen: Listen,
    listeners: Vec<report::Listener>,
    known: Known<Directory>,
    places: Places,
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

/// One moment on both clocks: faults and rests are told by the one, and people by the other.
#[derive(Clone, Copy)]
struct Now {
    instant: Instant,
    wall: SystemTime,
}

impl Now {
    fn of(self, instant: Instant) -> u64 {
        let wall = match instant.checked_duration_since(self.instant) {
            Some(ahead) => self.wall.checked_add(ahead),
            None => self.wall.checked_sub(self.instant.duration_since(instant)),
        };
        wall.map_or(0, millis)
    }
}

fn millis(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// What a relay listens on, before it takes it over.
pub(super) fn listeners(listeners: &[Listener]) -> Vec<report::Listener> {
    let listener = |listener: &Listener| report::Listener {
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
        known: Known<Directory>,
        places: Places,
        max_connections: usize,
    ) -> Self {
        let file = config.source.as_ref();
        let started = SystemTime::now();
        Self {
            started,
            clocks: Clocks::now(),
            listen: config.listen.clone(),
            listeners,
            known,
            places,
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
        let exchange = &self.known.exchange;
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
                connections: self.places.taken() as u64,
                max_connections: self.max_connections as u64,
            },
            realms: self.realms(&view, now),
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

    fn realms(&self, view: &View, now: Now) -> Vec<report::Realm> {
        // Each search is asked when nobody holds the directory: the other way round they hold both.
        let looked_up = self.known.directory().looked_up();
        let mut routes: Vec<_> = view.routes.iter().collect();
        routes.sort_by_key(|route| match &route.pattern {
            RealmPattern::Exact(_) => (0, 0),
            RealmPattern::Suffix(suffix) => (1, usize::MAX - suffix.as_str().len()),
            RealmPattern::Any => (2, 0),
        });
        let realm = |route: &RouteView| {
            let of_realm = |ways: &[Way]| -> Vec<_> {
                let way = |way: &Way| of_way(way, route, view, now);
                ways.iter().map(way).collect()
            };
            report::Realm {
                name: route.pattern.to_string().into(),
                aliases: route
                    .aliases
                    .iter()
                    .map(|alias| alias.as_str().into())
                    .collect(),
                kdc: of_realm(&route.ways.kdc),
                kpasswd: of_realm(&route.ways.kpasswd),
                deadline_seconds: route.terms.deadline.as_secs(),
                look_ups: look_ups(route, &looked_up, now),
            }
        };
        routes.into_iter().map(realm).collect()
    }
}

fn of_way(way: &Way, route: &RouteView, view: &View, now: Now) -> report::Way {
    use report::State as Shown;
    let (state, until) = match way.state {
        State::InUse => (Shown::InUse, None),
        State::Healthy => (Shown::Healthy, None),
        State::Unknown => (Shown::Unknown, None),
        State::Failing => (Shown::Failing, None),
        State::Resting(until) => (Shown::Resting, Some(until)),
        State::Refusing(until) => (Shown::Refusing, Some(until)),
        State::SetAside => (Shown::SetAside, None),
    };
    let upstream = view.upstreams.get(way.id.0).map(|(upstream, _)| upstream);
    let met = way.met.as_ref().zip(upstream);
    report::Way {
        upstream: way.id.0,
        direct: route.terms.direct.contains(&way.id),
        state,
        until_at: until.map(|until| now.of(until)),
        failures: way.failures,
        fault: met.map(|(met, upstream)| of_fault(met, upstream, now)),
    }
}

fn of_fault(met: &Met, upstream: &Upstream, now: Now) -> report::Fault {
    let (kind, name) = (kind(upstream), upstream.name());
    let Advice { what, hint } = advice::on(&met.fault, advice::Upstream { kind, name });
    report::Fault {
        met_at: now.of(met.at),
        what: Text::of_origins(&what),
        // It says which origin to try, and no path that is the configuration's.
        hint: hint.map(Text::from),
    }
}

fn kind(upstream: &Upstream) -> Kind {
    match upstream {
        Upstream::Proxy(_) => Kind::Proxy,
        _ => Kind::Kdc,
    }
}

fn of_upstream(upstream: &Upstream, view: &UpstreamView, now: Now) -> report::Upstream {
    let name = upstream.name();
    let (scheme, authority) = match name.split_once("://") {
        Some((scheme, authority)) => (Some(scheme), authority),
        None => (None, name),
    };
    let port = authority
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let usual = match scheme {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    report::Upstream {
        kind: match kind(upstream) {
            Kind::Proxy => "proxy".into(),
            Kind::Kdc => "kdc".into(),
        },
        scheme: scheme.map(Text::from),
        host: port.map_or(authority, |(host, _)| host).into(),
        port: port.map(|(_, port)| port).or(usual),
        name: name.into(),
        last_fault: view.met.as_ref().map(|met| of_fault(met, upstream, now)),
        replied_since: view.has_replied_since,
        latency: of_latency(&view.latency),
    }
}

fn of_latency(latency: &Latency) -> report::Latency {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let quantile = |hundredths| latency.quantile(hundredths).map(millis);
    let buckets = latency.buckets().map(|bucket| report::Bucket {
        from_ms: millis(bucket.from),
        to_ms: millis(bucket.to),
        count: bucket.count.into(),
    });
    report::Latency {
        answers: latency.answers(),
        p50_ms: quantile(50),
        p90_ms: quantile(90),
        p99_ms: quantile(99),
        buckets: buckets.collect(),
    }
}

fn look_ups(route: &RouteView, looked_up: &[LookedUp], now: Now) -> Vec<report::LookUp> {
    let RealmPattern::Exact(realm) = &route.pattern else {
        return Vec::new();
    };
    let key = realm.key();
    let of_realm = looked_up.iter().filter(|looked_up| looked_up.realm == key);
    let look_up = |looked_up: &LookedUp| {
        let texts = |names: &[String]| names.iter().map(|name| Text::of_origins(name)).collect();
        let standing = looked_up.search.standing();
        let next = standing.next.filter(|next| *next > now.instant);
        let refused = looked_up.refused.iter().map(|refused| report::Refused {
            name: Text::of_origins(&refused.name),
            why: refused.why.to_string().into(),
        });
        report::LookUp {
            what: looked_up.what.into(),
            kdc: texts(&looked_up.kdc),
            kpasswd: texts(&looked_up.kpasswd),
            refused: refused.collect(),
            expires_at: next.map(|next| now.of(next)),
            error: standing.failed.map(|error| error.to_string().into()),
        }
    };
    of_realm.map(look_up).collect()
}

fn of_exchange(ended: &Ended) -> report::Exchange {
    let krb_error = match ended.outcome {
        Outcome::Replied(code) => code,
        _ => None,
    };
    // What could not be shown to a proxy, the libraries say, and they may name principals.
    let outcome = match &ended.outcome {
        Outcome::Failed(fault) => advice::in_short(fault),
        outcome => outcome.to_string(),
    };
    report::Exchange {
        ended_at: millis(ended.at),
        kind: ended.kind.name().into(),
        realm: ended.realm.as_str().into(),
        transport: ended.transport.into(),
        upstream: ended.upstream.as_deref().map(Text::from),
        outcome: Text::of_origins(&outcome),
        replied: matches!(ended.outcome, Outcome::Replied(_)),
        krb_error,
        took_ms: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn counters(exchange: &Exchange) -> Vec<report::Counter> {
    let counter = |counted: crate::counters::Counted| report::Counter {
        name: counted.name.into(),
        help: counted.help.into(),
        value: counted.value,
    };
    exchange.counters().each().map(counter).collect()
}

/// Whether what answered last in the place of a proxy was a page, and no proxy has replied since its last fault.
fn is_behind_portal(view: &View) -> bool {
    let proxies = || {
        let proxies = view.upstreams.iter();
        proxies.filter(|(upstream, _)| kind(upstream) == Kind::Proxy)
    };
    let is_page = |view: &UpstreamView| {
        let met = view.met.as_ref();
        met.is_some_and(|met| advice::is_portal(&met.fault))
    };
    proxies().any(|(_, view)| is_page(view)) && !proxies().any(|(_, view)| view.has_replied_since)
}

/// Binds the socket that the status is read from; none if there is to be none, or the usual place will not do.
///
/// # Errors
/// The socket that the configuration names can't be bound.
#[cfg(unix)]
pub(super) fn bind(listen: &Listen) -> Result<Option<listen::status::Socket>, Failure> {
    let path = match &listen.status_socket {
        StatusSocket::Off => return Ok(None),
        StatusSocket::At(path) => return listen::bind_status(path, listen.status_mode).map(Some),
        StatusSocket::Usual => report::of_daemon(),
    };
    let Some(path) = path else {
        tracing::info!(
            "there is no usual place for the status: status-socket under [listen] can name one"
        );
        return Ok(None);
    };
    if let Some(folder) = path.parent() {
        // If that fails, so does what follows, and says why.
        drop(std::fs::create_dir(folder));
    }
    match listen::bind_status(&path, listen.status_mode) {
        Ok(socket) => Ok(Some(socket)),
        Err(failure) => {
            let why = failure.message();
            tracing::info!(
                "the status can't be read: {why}; status-socket under [listen] can name another place"
            );
            Ok(None)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
