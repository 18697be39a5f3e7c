//! What a gateway counts and knows, as Prometheus wants it.
//!
//! A new counter is a line in `relay/counters.rs`. Nothing is counted twice: [`Counters`] and the health of upstreams are
//! read where they are when somebody looks; only what belongs to a single request is counted here. There are so many label
//! sets and no more, whatever clients ask for: of realms only those that are configured have a name here.
//!
//! [`Counters`]: crate::relay::counters::Counters

pub mod listener;

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::gateway::record::RequestRecord;
use crate::gateway::tls::Certificates;
use crate::relay::counters::CountedBy;
use crate::relay::exchange::Exchange;

/// The bounds of the histogram in seconds: from less than a KDC next door takes to more than any deadline that is usual.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Family<KindLabel, Histogram, fn() -> Histogram>,
    pub(super) in_flight: Gauge,
    pub(super) connections: Gauge,
    exchange: Arc<Exchange>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    realm: String,
    outcome: &'static str,
}

type KindLabel = [(&'static str, &'static str); 1];

impl Metrics {
    /// The metrics of a gateway that relays through `exchange`, and of the certificate in use if there is one.
    #[must_use]
    pub fn new(exchange: &Arc<Exchange>, certificates: Option<Certificates>) -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("loopkdc"),
            requests: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            exchange: Arc::clone(exchange),
        };
        metrics.register(certificates);
        Arc::new(metrics)
    }

    fn register(&mut self, certificates: Option<Certificates>) {
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
        let help = "HTTP requests that wait for their answers";
        registry.register("in_flight", help, self.in_flight.clone());
        let help = "Connections of clients that are open";
        registry.register("connections", help, self.connections.clone());
        registry.register_collector(Box::new(Readings {
            exchange: Arc::clone(&self.exchange),
            certificates,
        }));
    }

    /// Counts a request that has ended.
    pub fn count(&self, record: &RequestRecord) {
        let kind = record.kind.map_or("none", |kind| kind.name());
        let labels = RequestLabels {
            kind,
            realm: match &record.realm {
                Some(realm) if record.is_configured => realm.as_str().to_owned(),
                Some(_) => "other".to_owned(),
                None => "none".to_owned(),
            },
            outcome: record.outcome(),
        };
        self.requests.get_or_create(&labels).inc();
        let duration = self.duration.get_or_create(&[("kind", kind)]);
        duration.observe(record.elapsed.as_secs_f64());
    }

    /// All metrics by now, in OpenMetrics' text format.
    #[must_use]
    pub fn scrape(&self) -> String {
        let mut shown = String::new();
        // A string takes all that is written.
        let _ = text::encode(&mut shown, &self.registry);
        shown
    }
}

/// One of those that a gauge counts, until this is dropped.
pub(super) struct GaugeGuard(Gauge);

impl GaugeGuard {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What is read where it is, whenever somebody looks.
#[derive(Debug)]
struct Readings {
    exchange: Arc<Exchange>,
    certificates: Option<Certificates>,
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for counted in self.exchange.counters().each(CountedBy::Gateway) {
            let counter = MetricType::Counter;
            let metric = encoder.encode_descriptor(
                counted.name.as_str(),
                counted.help.as_str(),
                None,
                counter,
            )?;
            ConstCounter::new(counted.value).encode(metric)?;
        }
        let help = "Whether a KDC serves, as far as the last requests to it tell.";
        let gauge = MetricType::Gauge;
        let mut metric = encoder.encode_descriptor("upstream_up", help, None, gauge)?;
        for (name, is_up) in self.exchange.upstreams() {
            let labels = [("upstream", name)];
            let one = metric.encode_family(&labels)?;
            ConstGauge::new(u32::from(is_up)).encode(one)?;
        }
        let Some(tls) = self
            .certificates
            .as_ref()
            .map(|tls| Arc::clone(&tls.borrow()))
        else {
            return Ok(());
        };
        let expiries = [
            (
                "certificate_expiry",
                "When the certificate that new connections get expires, in seconds since 1970.",
                tls.validity,
            ),
            (
                "client_crl_expiry",
                "When a list in client-crl-file is past its time, and no certificate of a client is let in, in seconds since 1970.",
                tls.crl_validity,
            ),
        ];
        // None where there is nothing that can expire.
        for (name, help, validity) in expiries {
            let Some(validity) = validity else { continue };
            let since_1970 = validity.not_after().duration_since(UNIX_EPOCH);
            let unit = Some(&Unit::Seconds);
            let metric = encoder.encode_descriptor(name, help, unit, gauge)?;
            ConstGauge::new(since_1970.unwrap_or_default().as_secs()).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
