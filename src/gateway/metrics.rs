//! What a gateway counts and knows, as Prometheus wants it.
//!
//! Nothing is counted twice: [`Counters`] and the health of upstreams are read where they are when somebody looks; only
//! what belongs to a single request is counted here. There are so many label sets and no more, whatever clients ask for:
//! of realms only those that are configured have a name here.
//!
//! [`Counters`]: crate::relay::counters::Counters

pub mod listener;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::gateway::record::{RealmName, RequestRecord};
use crate::relay::exchange::Exchange;
use crate::relay::sync::lock;

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
    requests: Family<RequestLabels, Counter>,
    duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    readings: Arc<Readings>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    realm: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    kind: &'static str,
}

impl Metrics {
    /// The metrics of a gateway that relays through `exchange`.
    #[must_use]
    pub fn new(exchange: &Arc<Exchange>) -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            readings: Arc::new(Readings {
                exchange: Arc::clone(exchange),
                connections: OnceLock::new(),
                certificate_expiry: Mutex::default(),
            }),
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

    /// Whose counters and upstreams are shown.
    #[must_use]
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.readings.exchange
    }

    /// Counts a request that has ended.
    pub fn count(&self, record: &RequestRecord) {
        let kind = record.kind.map_or(NONE, |kind| kind.name());
        let labels = RequestLabels {
            kind,
            realm: match &record.realm {
                Some(RealmName::Configured(name)) => name.as_str().into(),
                Some(RealmName::Other(_)) => OTHER.into(),
                None => NONE.into(),
            },
            outcome: record.outcome().name(),
        };
        self.requests.get_or_create(&labels).inc();
        let duration = self.duration.get_or_create(&DurationLabels { kind });
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
        drop(self.readings.connections.set(Box::new(count)));
    }

    /// Says until when the certificate that is shown to new connections is valid.
    pub fn certificate_expires(&self, at: SystemTime) {
        *lock(&self.readings.certificate_expiry) = Some(at);
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

type Count = Box<dyn Fn() -> usize + Send + Sync>;

/// What is read where it is, whenever somebody looks.
struct Readings {
    exchange: Arc<Exchange>,
    connections: OnceLock<Count>,
    certificate_expiry: Mutex<Option<SystemTime>>,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.counters(&mut encoder)?;
        self.upstreams(&mut encoder)?;
        let connections = self.connections.get().map(|count| count() as u64);
        gauge(
            &mut encoder,
            ("connections", "Connections of clients that are open.", None),
            connections,
        )?;
        let help = "When the certificate that new connections get expires, in seconds since 1970.";
        // None where there is no certificate, as nothing then can expire.
        let expiry = *lock(&self.certificate_expiry);
        let since_1970 = |expiry: SystemTime| expiry.duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge(
            &mut encoder,
            ("certificate_expiry", help, Some(&Unit::Seconds)),
            expiry.map(|expiry| since_1970(expiry).as_secs()),
        )
    }
}

impl Readings {
    fn counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.exchange.counters().each().try_for_each(|counted| {
            let counter = ConstCounter::new(counted.value);
            let metric = counter.metric_type();
            let metric = encoder.encode_descriptor(counted.name, counted.help, None, metric)?;
            counter.encode(metric)
        })
    }

    fn upstreams(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether an upstream serves, as far as the last requests to it tell.";
        let metric = MetricType::Gauge;
        let mut metric = encoder.encode_descriptor("upstream_up", help, None, metric)?;
        for (name, is_up) in self.exchange.upstreams() {
            let labels = [("upstream", name)];
            let one = metric.encode_family(&labels)?;
            ConstGauge::new(u32::from(is_up)).encode(one)?;
        }
        Ok(())
    }
}

/// One gauge, if it has a value.
fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit): (&str, &str, Option<&Unit>),
    value: Option<u64>,
) -> fmt::Result {
    let Some(value) = value else {
        return Ok(());
    };
    let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}

#[cfg(test)]
mod tests;
