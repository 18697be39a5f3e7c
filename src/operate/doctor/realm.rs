//! A realm: where its requests could go, all of it looked at side by side, and what `kinit` will take.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;
use url::{Origin, Url};

use super::daemon;
use super::report::Section;
use super::{RealmContext, kdc, proxy};
use crate::config::endpoint::Endpoint;
use crate::config::{Direct, Kdcs, Order, Proxies};
use crate::relay::explain::UpstreamKind;
use crate::relay::finding::{Figure, Finding, Layer};
use crate::relay::text::short;
use crate::relay::upstream::dns::{DnsResults, LookUpError, RefusedRecord};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::wire::Service;

/// A look-up in DNS gets this long, as a request waits for it.
const LOOK_UP: Duration = Duration::from_millis(2500);

/// How fast an upstream answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplyTimes {
    /// Over a connection that had to be made.
    pub(super) cold: Duration,
    /// Over one that stood.
    pub(super) warm: Duration,
}

type Examined = (Section, Option<ReplyTimes>);

/// All that is to be said of a realm. `sockets` are those for KDCs that the daemon listens on, or somebody in its place.
pub(super) async fn examine(context: RealmContext<'_>, sockets: &[Endpoint]) -> Vec<Finding> {
    let mut section = Section::new(context.realm, None);
    let (through, upstreams) = tokio::join!(
        daemon::ask_through(context, sockets),
        upstreams(context, &mut section)
    );
    let is_served = upstreams.iter().any(|(_, times)| times.is_some());
    for answer in through {
        section.push(answer.finding(is_served));
    }
    let times: Vec<_> = upstreams
        .iter()
        .map(|(section, times)| (section.upstream().to_owned(), *times))
        .collect();
    let mut findings = section.findings;
    findings.extend(
        upstreams
            .into_iter()
            .flat_map(|(section, _)| section.findings),
    );
    findings.push(estimate(&times).of(context.realm));
    findings
}

/// The upstreams in the order in which they are tried.
async fn upstreams(context: RealmContext<'_>, section: &mut Section) -> Vec<Examined> {
    let (mut of_proxies, mut of_kdcs) = (Vec::new(), Vec::new());
    let ((proxies, by_proxy), (kdcs, by_kdc)) = tokio::join!(
        proxies(context, &mut of_proxies),
        kdcs(context, &mut of_kdcs)
    );
    for finding in of_proxies.into_iter().chain(of_kdcs) {
        section.push(finding);
    }
    let proxies = proxies
        .iter()
        .map(|url| proxy::examine(context, url, &by_proxy));
    let kdcs = kdcs.iter().map(|name| kdc::examine(context, name, &by_kdc));
    let (mut proxies, mut kdcs) = tokio::join!(join_all(proxies), join_all(kdcs));
    let direct = context.entry.direct.as_ref();
    if direct.is_some_and(|direct| direct.order == Order::Prefer) {
        kdcs.append(&mut proxies);
        kdcs
    } else {
        proxies.append(&mut kdcs);
        proxies
    }
}

/// The proxies, and to which addresses their names may lead.
async fn proxies(
    context: RealmContext<'_>,
    findings: &mut Vec<Finding>,
) -> (Vec<ProxyUrl>, Permitted) {
    match &context.entry.proxies {
        Proxies::Listed(listed) => (listed.clone(), Permitted::Any),
        Proxies::Discovered(discovery) => {
            let found = told(UpstreamKind::Proxy, discovery.look_up(), findings).await;
            let found = found.map_or_else(Vec::new, |found| all(&found));
            (found, discovery.permitted())
        }
    }
}

/// The KDCs, and to which addresses their names may lead.
async fn kdcs(context: RealmContext<'_>, findings: &mut Vec<Finding>) -> (Vec<String>, Permitted) {
    let kdcs = context
        .entry
        .direct
        .as_ref()
        .map(|Direct { kdcs, .. }| kdcs);
    match kdcs {
        None => (Vec::new(), Permitted::Any),
        Some(Kdcs::Listed(listed)) => {
            let listed = listed.get(Service::Kdc).iter().flatten();
            (listed.map(ToString::to_string).collect(), Permitted::Any)
        }
        Some(Kdcs::Discovered(discovery)) => {
            let found = told(UpstreamKind::Kdc, discovery.look_up(), findings).await;
            let targets = found.map_or_else(Vec::new, |found| found.kdc);
            let names = targets.iter().map(ToString::to_string).collect();
            (names, discovery.permitted())
        }
    }
}

/// Those for logins, and those for password changes that are none of them.
fn all(found: &DnsResults) -> Vec<ProxyUrl> {
    let mut all: Vec<ProxyUrl> = Vec::new();
    for proxy in found.kdc.iter().chain(&found.kpasswd) {
        let proxy = proxy.proxy().filter(|proxy| !all.contains(proxy));
        all.extend(proxy.cloned());
    }
    all
}

/// What DNS says, and what was found about it.
async fn told(
    kind: UpstreamKind,
    look_up: impl Future<Output = Result<DnsResults, LookUpError>>,
    findings: &mut Vec<Finding>,
) -> Option<DnsResults> {
    let began = Instant::now();
    let found = timeout(LOOK_UP, look_up).await;
    let found = match found.unwrap_or(Err(LookUpError::TimedOut)) {
        Ok(found) => found,
        Err(error) => {
            findings.push(unknown(kind, &error.to_string()));
            return None;
        }
    };
    findings.extend(found.refused.iter().map(refused));
    let names: Vec<_> = found.kdc.iter().map(ToString::to_string).collect();
    findings.push(match (names.is_empty(), kind) {
        (true, UpstreamKind::Proxy) => unknown(kind, "DNS names no KDC proxy of the realm"),
        (true, UpstreamKind::Kdc) => unknown(kind, "DNS names no KDC of the realm"),
        (false, _) => {
            let seconds = i64::try_from(found.good_for.as_secs()).unwrap_or(i64::MAX);
            let took = began.elapsed().as_millis();
            let what = format!("DNS names {} ({took} ms), for this long", names.join(", "));
            Finding::ok(Layer::Names, what).figure(Figure::Seconds(seconds))
        }
    });
    Some(found)
}

/// That there is nothing to ask is no fault of KDCs, which need not be on this network.
fn unknown(kind: UpstreamKind, what: &str) -> Finding {
    match kind {
        UpstreamKind::Kdc => {
            Finding::skipped(Layer::Names, format!("{what}: they may be elsewhere"))
        }
        UpstreamKind::Proxy => Finding::fault(what)
            .on(Layer::Names)
            .command("see whether the network is up", ["cat", "/etc/resolv.conf"])
            .hint("else list them: proxies = [\"https://...\"]"),
    }
}

fn refused(refused: &RefusedRecord) -> Finding {
    let RefusedRecord { name, why } = refused;
    // The path of some proxies is a secret.
    let url = Url::parse(name).ok().map(|url| url.origin());
    let origin = url
        .filter(Origin::is_tuple)
        .map(|origin| origin.ascii_serialization());
    let name = short(origin.as_deref().unwrap_or(name), 80);
    let hint = if name.starts_with("http://") {
        "it is not asked: who runs the zone has to name an https:// URL; allow-plaintext is for tests"
    } else {
        "it is not asked; discover-ports and discover-networks say what is allowed"
    };
    Finding::warning(format!("DNS names {name}: {why}"))
        .on(Layer::Names)
        .hint(hint)
}

/// What `kinit` will take by the first of `upstreams` that serves, which are in the order in which they are tried: a first
/// AS-REQ, which is told what preauthentication is wanted, and a second with it (RFC 4120 3.1.1). SPAKE takes a third.
fn estimate(upstreams: &[(String, Option<ReplyTimes>)]) -> Finding {
    let mut serving = upstreams
        .iter()
        .filter_map(|(name, times)| Some((name, (*times)?)));
    let Some((name, ReplyTimes { cold, warm })) = serving.next() else {
        let why = "nothing serves the realm: kinit fails";
        return Finding::skipped(Layer::Estimate, why);
    };
    let what = format!(
        "kinit by {name} waits this long, and {} ms when a connection stands; with SPAKE {} ms more",
        (2 * warm).as_millis(),
        warm.as_millis()
    );
    Finding::ok(Layer::Estimate, what).figure(cold + warm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::finding::Severity;

    #[test]
    fn the_first_that_serves_is_what_kinit_waits_for() {
        let times = |cold, warm| {
            Some(ReplyTimes {
                cold: Duration::from_millis(cold),
                warm: Duration::from_millis(warm),
            })
        };
        let named = |name: &str, times| (name.to_owned(), times);
        let finding = estimate(&[
            named("a", None),
            named("b", times(90, 30)),
            named("c", times(1, 1)),
        ]);
        assert_eq!(finding.figure, Some(Figure::Milliseconds(120.0)));
        assert!(
            finding.what.contains("by b") && finding.what.contains("60 ms"),
            "{}",
            finding.what
        );
        assert_eq!(estimate(&[named("a", None)]).severity, Severity::Skipped);
    }
}
