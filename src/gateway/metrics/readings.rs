//! What is read where it is, each time that somebody looks.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::relay::exchange::Exchange;
use crate::relay::sync::lock;

type Count = Box<dyn Fn() -> usize + Send + Sync>;

/// Whom to ask.
pub(super) struct Readings {
    exchange: Arc<Exchange>,
    connections: OnceLock<Count>,
    certificate_expiry: Mutex<Option<SystemTime>>,
}

impl Readings {
    pub(super) fn of(exchange: &Arc<Exchange>) -> Self {
        Self {
            exchange: Arc::clone(exchange),
            connections: OnceLock::new(),
            certificate_expiry: Mutex::default(),
        }
    }

    pub(super) fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    pub(super) fn connections_from(&self, count: Count) {
        drop(self.connections.set(count));
    }

    pub(super) fn certificate_expires(&self, at: SystemTime) {
        *lock(&self.certificate_expiry) = Some(at);
    }

    /// Seconds since 1970; none where there is no certificate, as nothing then can expire.
    fn certificate_expiry(&self) -> Option<u64> {
        let expiry = (*lock(&self.certificate_expiry))?;
        Some(
            expiry
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs(),
        )
    }
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
        gauge(
            &mut encoder,
            ("certificate_expiry", help, Some(&Unit::Seconds)),
            self.certificate_expiry(),
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
