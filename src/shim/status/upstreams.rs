//! The upstreams: what they are, what went wrong with them, and how long they take.

use std::time::Duration;

use super::moment::Now;
use crate::relay::advice::{self, Advice, Kind};
use crate::relay::exchange::View;
use crate::relay::routes::{Latency, Met, UpstreamView};
use crate::relay::status as report;
use crate::relay::status::Text;
use crate::relay::upstream::Upstream;

pub(super) fn of_fault(met: &Met, upstream: &Upstream, now: Now) -> report::Fault {
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

pub(super) fn of_upstream(upstream: &Upstream, view: &UpstreamView, now: Now) -> report::Upstream {
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

/// Whether what answered last in the place of a proxy was a page, and no proxy has replied since its last fault.
pub(super) fn is_behind_portal(view: &View) -> bool {
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
