//! What a gateway counts and knows, as Prometheus wants it.
//!
//! Nothing is counted twice: [`Counters`] and the health of upstreams are read where they are when somebody looks; only
//! what belongs to a single request is counted here. There are so many label sets and no more, whatever clients ask for:
//! of realms only those that are configured have a name here.
//!
//! [`Counters`]: crate::relay::counters::Counters

pub mod listener;
mod readings;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use self::readings::Readings;
use crate::gateway::record::{RealmName, RequestRecord};
use crate::relay::exchange::Exchange;

/// The type of what [`Metrics::scrape`] says.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the name of each metric begins with.
const PREFIX: &str = "loopkdc";
/// The kind and the realm of what was no Kerberos message.
const NONE: &str = "none";
/// Any realm that is not configured.
const OTHER: &str = "other";

/// The bounds of the histogram in seconds: from less than a KDC next door takes to more than any deadline that is usual.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Ended, Counter>,
    duration: Family<Asked, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    readings: Arc<Readings>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: &'static str,
    realm: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    kind: &'static str,
}

impl Metrics {
    /// The metrics of a gateway whose room is `exchange`.
    #[must_use]
    pub fn new(exchange: &Arc<Exchange>) -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            readings: Arc::new(Readings::of(exchange)),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", version);
        registry.register(
            "requests",
            "HTTP requests, those to the health check left out",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the end of a request's headers to its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "in_flight",
            "HTTP requests that wait for their answers",
            self.in_flight.clone(),
        );
        registry.register_collector(Box::new(Arc::clone(&self.readings)));
    }

    /// The room that is shown.
    #[must_use]
    pub fn exchange(&self) -> &Arc<Exchange> {
        self.readings.exchange()
    }

    /// Counts a request that has ended.
    pub fn count(&self, record: &RequestRecord) {
        let kind = record.kind.map_or(NONE, |kind| kind.name());
        let ended = Ended {
            kind,
            realm: match &record.realm {
                Some(RealmName::Configured(name)) => name.as_str().into(),
                Some(RealmName::Other(_)) => OTHER.into(),
                None => NONE.into(),
            },
            outcome: record.outcome().name(),
        };
        self.requests.get_or_create(&ended).inc();
        let duration = self.duration.get_or_create(&Asked { kind });
        duration.observe(record.elapsed.as_secs_f64());
    }

    /// Says that a request is under way, until what is returned is dropped.
    #[must_use]
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Says how to tell how many connections are open; only the first word counts.
    pub fn connections_from(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        self.readings.connections_from(Box::new(count));
    }

    /// Says until when the certificate that is shown to new connections is valid.
    pub fn certificate_expires(&self, at: SystemTime) {
        self.readings.certificate_expires(at);
    }

    /// All metrics by now, as [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None that is known.
    pub fn scrape(&self) -> Result<String, fmt::Error> {
        let mut shown = String::new();
        text::encode(&mut shown, &self.registry)?;
        Ok(shown)
    }
}

/// A request under way.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
