use std::time::Duration;

use super::*;
use crate::gateway::record::tests::record;
use crate::gateway::tls::tests::until_2049;
use crate::relay::answer::OnFailure;
use crate::relay::counters::CountedBy;
use crate::relay::exchange::Routing;
use crate::relay::routes::Routes;
use crate::wire::{Kind, Realm};

fn exchange() -> Arc<Exchange> {
    let routing = Routing::new(Routes::default(), Vec::new(), OnFailure::Unreachable);
    Exchange::new(routing, 1)
}

/// The lines of the metric `name`, without the help.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let shown = metrics.scrape();
    let lines = shown.lines().filter(|line| line.starts_with(name));
    lines.map(ToOwned::to_owned).collect()
}

#[test]
fn requests_are_counted_by_kind_realm_and_outcome() {
    let metrics = Metrics::new(&exchange(), None);
    metrics.count(&record());
    metrics.count(&record());
    metrics.count(&RequestRecord {
        error_code: Some(25),
        ..record()
    });
    metrics.count(&RequestRecord {
        kind: None,
        realm: None,
        status: Some(404),
        ..record()
    });
    let mut counted = lines(&metrics, "loopkdc_requests_total");
    counted.sort();
    let expected = [
        r#"loopkdc_requests_total{kind="AS-REQ",realm="EXAMPLE.COM",outcome="krb_error"} 1"#,
        r#"loopkdc_requests_total{kind="AS-REQ",realm="EXAMPLE.COM",outcome="reply"} 2"#,
        r#"loopkdc_requests_total{kind="none",realm="none",outcome="not_found"} 1"#,
    ];
    assert_eq!(counted, expected);
}

#[test]
fn realms_that_clients_think_of_are_one() {
    let metrics = Metrics::new(&exchange(), None);
    for number in 0..1000 {
        let realm = Realm::parse(format!("R{number}").as_bytes()).unwrap();
        metrics.count(&RequestRecord {
            realm: Some(realm),
            is_configured: false,
            ..record()
        });
    }
    let other = r#"loopkdc_requests_total{kind="AS-REQ",realm="other",outcome="reply"} 1000"#;
    assert_eq!(lines(&metrics, "loopkdc_requests_total"), [other]);
}

#[test]
fn durations_are_in_seconds_and_by_kind() {
    let metrics = Metrics::new(&exchange(), None);
    for (kind, micros) in [
        (Kind::AsReq, 400),
        (Kind::AsReq, 11_000_000),
        (Kind::Kpasswd, 3_000),
    ] {
        metrics.count(&RequestRecord {
            kind: Some(kind),
            elapsed: Duration::from_micros(micros),
            ..record()
        });
    }
    let lines = lines(&metrics, "loopkdc_request_duration_seconds");
    for line in [
        r#"loopkdc_request_duration_seconds_bucket{le="0.0005",kind="AS-REQ"} 1"#,
        r#"loopkdc_request_duration_seconds_bucket{le="10.0",kind="AS-REQ"} 1"#,
        r#"loopkdc_request_duration_seconds_bucket{le="+Inf",kind="AS-REQ"} 2"#,
        r#"loopkdc_request_duration_seconds_count{kind="kpasswd"} 1"#,
        r#"loopkdc_request_duration_seconds_sum{kind="kpasswd"} 0.003"#,
        r#"loopkdc_request_duration_seconds_bucket{le="0.0025",kind="kpasswd"} 0"#,
        r#"loopkdc_request_duration_seconds_bucket{le="0.005",kind="kpasswd"} 1"#,
    ] {
        assert!(
            lines.iter().any(|shown| shown == line),
            "{line}: {lines:#?}"
        );
    }
}

#[test]
fn a_request_is_in_flight_until_it_is_dropped() {
    let metrics = Metrics::new(&exchange(), None);
    let [one, two] = [(); 2].map(|()| GaugeGuard::new(&metrics.in_flight));
    drop(one);
    assert_eq!(
        lines(&metrics, "loopkdc_in_flight"),
        ["loopkdc_in_flight 1"]
    );
    drop(two);
    assert_eq!(
        lines(&metrics, "loopkdc_in_flight"),
        ["loopkdc_in_flight 0"]
    );
}

#[test]
fn every_counter_of_the_relay_is_shown() {
    let exchange = exchange();
    let metrics = Metrics::new(&exchange, None);
    exchange.counters().evicted.add();
    assert_eq!(
        lines(&metrics, "loopkdc_evicted"),
        ["loopkdc_evicted_total 1"]
    );
    for counted in exchange.counters().each(CountedBy::Gateway) {
        let name = format!("loopkdc_{}_total ", counted.name);
        assert_eq!(lines(&metrics, &name).len(), 1, "{name}");
    }
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let metrics = Metrics::new(&exchange(), None);
    let connections = || lines(&metrics, "loopkdc_connections");
    assert_eq!(connections(), ["loopkdc_connections 0"]);
    let _open = GaugeGuard::new(&metrics.connections);
    assert_eq!(connections(), ["loopkdc_connections 1"]);
}

#[test]
fn the_end_of_a_certificate_is_shown_if_there_is_one() {
    let shown = |certificates| {
        let metrics = Metrics::new(&exchange(), certificates);
        lines(&metrics, "loopkdc_certificate_")
    };
    assert!(shown(None).is_empty());
    let (_sender, certificates) = tokio::sync::watch::channel(Arc::new(until_2049()));
    assert_eq!(
        shown(Some(certificates)),
        ["loopkdc_certificate_expiry_seconds 2495923200"]
    );
}

/// What Prometheus would refuse: a name that stands twice, a sample before its type, no end.
#[test]
fn the_whole_is_well_formed() {
    let metrics = Metrics::new(&exchange(), None);
    metrics.count(&record());
    let shown = metrics.scrape();
    assert!(shown.ends_with("\n# EOF\n"), "{shown}");
    let version = format!(
        "loopkdc_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION")
    );
    assert!(shown.contains(&version), "{shown}");
    let types = shown
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<_> = types.filter_map(|line| line.split(' ').next()).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), names.len(), "{names:?}");
    for line in shown.lines().filter(|line| !line.starts_with('#')) {
        assert!(names.iter().any(|name| line.starts_with(name)), "{line}");
    }
}
