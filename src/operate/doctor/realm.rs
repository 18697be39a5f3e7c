//! A realm: where its requests could go, all of it looked at side by side, and what `kinit` will take.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use super::daemon;
use super::report::is_fault;
use super::{AskedRealm, RealmContext, kdc, proxy};
use crate::config::endpoint::Endpoint;
use crate::config::{Kdcs, Order, Proxies};
use crate::operate::terminal::joined;
use crate::relay::explain::UpstreamKind;
use crate::relay::finding::{Figure, Finding, Layer};
use crate::relay::text::{short, urls};
use crate::relay::upstream::dns::ProxyUrl;
use crate::relay::upstream::dns::{Discovery, DnsResults, LookUpError, RefusedRecord};
use crate::relay::upstream::kdc::{Permitted, Reach};
use crate::wire::ByService;

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

/// What was found about an upstream of a realm.
pub(super) struct Examined {
    name: String,
    pub(super) findings: Vec<Finding>,
    /// How fast it is, if it serves.
    pub(super) times: Option<ReplyTimes>,
}

impl Examined {
    /// What was `found` about the upstream `name` until that `ended`. Those of its `layers` of which nothing was found were not
    /// looked at: after a fault for that reason, else `why`.
    pub(super) fn new(
        asked: AskedRealm<'_>,
        name: String,
        mut found: Vec<Finding>,
        ended: Result<ReplyTimes, Finding>,
        (layers, why): (&[Layer], &str),
    ) -> Self {
        let times = ended.map_err(|last| found.push(last)).ok();
        let why = if found.iter().any(is_fault) {
            "not asked, as there is a fault before it"
        } else {
            why
        };
        for layer in layers {
            if !found.iter().any(|it| it.subject.layer == Some(*layer)) {
                found.push(Finding::skipped(*layer, why));
            }
        }
        let found = found.into_iter();
        Self {
            findings: found.map(|it| it.of(asked.realm).at(&name)).collect(),
            name,
            times,
        }
    }
}

/// All that is to be said of a realm. `sockets` are those for KDCs that the daemon listens on, or somebody in its place.
pub(super) async fn examine(context: RealmContext<'_>, sockets: &[Endpoint]) -> Vec<Finding> {
    let (through, (mut findings, upstreams)) = tokio::join!(
        daemon::ask_through(context.asked, sockets),
        upstreams(context)
    );
    let is_served = upstreams.iter().any(|upstream| upstream.times.is_some());
    let answers = through.iter();
    findings.extend(answers.map(|answer| answer.finding(is_served)));
    let estimate = estimate(&upstreams).of(context.asked.realm);
    let of_realm = findings.into_iter().map(|it| it.of(context.asked.realm));
    let of_upstreams = upstreams.into_iter().flat_map(|it| it.findings);
    of_realm.chain(of_upstreams).chain([estimate]).collect()
}

/// What DNS says, and the upstreams in the order in which they are tried.
async fn upstreams(context: RealmContext<'_>) -> (Vec<Finding>, Vec<Examined>) {
    let ((mut findings, mut proxies), (of_kdcs, mut kdcs)) =
        tokio::join!(proxies(context), kdcs(context));
    findings.extend(of_kdcs);
    let direct = context.entry.direct.as_ref();
    if direct.is_some_and(|direct| direct.order == Order::Prefer) {
        std::mem::swap(&mut proxies, &mut kdcs);
    }
    proxies.append(&mut kdcs);
    (findings, proxies)
}

async fn proxies(context: RealmContext<'_>) -> (Vec<Finding>, Vec<Examined>) {
    let mut findings = Vec::new();
    let proxies = &context.entry.proxies;
    let (by_service, permitted) = match proxies {
        Proxies::Listed(listed) => {
            let urls =
                |listed: &[(ProxyUrl, _)]| listed.iter().map(|(url, _)| url.clone()).collect();
            let ByService { kdc, kpasswd } = listed;
            let (kdc, kpasswd) = (urls(kdc), urls(kpasswd));
            (ByService { kdc, kpasswd }, Permitted::Any)
        }
        Proxies::Discovered(discovery) => {
            let found = look_up_and_report(discovery, Reach::Always, &mut findings).await;
            (urls_in(&found), discovery.permitted())
        }
    };
    let ByService { kdc, kpasswd } = &by_service;
    let logins = kdc.len();
    let others = kpasswd.iter().filter(|url| !kdc.contains(url));
    let urls = kdc.iter().chain(others);
    let examined =
        urls.map(|url| proxy::examine(context, (url, kpasswd.contains(url)), &permitted));
    let mut examined = join_all(examined).await;
    // What is for password changes alone makes no login.
    for proxy in examined.iter_mut().skip(logins) {
        proxy.times = None;
    }
    (findings, examined)
}

async fn kdcs(context: RealmContext<'_>) -> (Vec<Finding>, Vec<Examined>) {
    let (mut findings, reach) = (Vec::new(), Reach::OnSomeNetworks);
    let Some(direct) = &context.entry.direct else {
        return (findings, Vec::new());
    };
    let (names, permitted) = kdc_names(&direct.kdcs, reach, &mut findings).await;
    let kdcs = names.kdc.iter();
    let examined = kdcs.map(|name| kdc::examine(context.asked, name, &permitted, reach));
    (findings, join_all(examined).await)
}

/// KDCs by their names, and the addresses that they may have.
pub(super) async fn kdc_names(
    kdcs: &Kdcs,
    reach: Reach,
    findings: &mut Vec<Finding>,
) -> (ByService<Vec<String>>, Permitted) {
    match kdcs {
        Kdcs::Listed(ByService { kdc, kpasswd }) => {
            let kdc = names(kdc.iter().flatten());
            let kpasswd = names(kpasswd.iter().flatten());
            (ByService { kdc, kpasswd }, Permitted::Any)
        }
        Kdcs::Discovered(discovery) => {
            let found = look_up_and_report(discovery, reach, findings).await;
            let (kdc, kpasswd) = (names(&found.kdc), names(&found.kpasswd));
            (ByService { kdc, kpasswd }, discovery.permitted())
        }
    }
}

fn names<T: ToString>(servers: impl IntoIterator<Item = T>) -> Vec<String> {
    let names = servers.into_iter().map(|server| server.to_string());
    names.collect()
}

/// The KDC proxies among what DNS names, each once.
fn urls_in(found: &DnsResults) -> ByService<Vec<ProxyUrl>> {
    let [kdc, kpasswd] = [&found.kdc, &found.kpasswd].map(|targets| {
        let mut urls: Vec<ProxyUrl> = Vec::new();
        for url in targets.iter().filter_map(|target| target.proxy()) {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
        urls
    });
    ByService { kdc, kpasswd }
}

/// What DNS says of the realm's upstreams.
async fn look_up_and_report(
    discovery: &Discovery,
    reach: Reach,
    findings: &mut Vec<Finding>,
) -> DnsResults {
    let began = Instant::now();
    let found = timeout(LOOK_UP, discovery.look_up()).await;
    let found = match found.unwrap_or(Err(LookUpError::TimedOut)) {
        Ok(found) => found,
        Err(error) => {
            findings.push(unknown(discovery.kind, reach, Some(&error)));
            return DnsResults::default();
        }
    };
    findings.extend(found.refused.iter().map(refused));
    findings.push(if found.kdc.is_empty() {
        unknown(discovery.kind, reach, None)
    } else {
        let name = |target| {
            let is_primary = found.primary.contains(target);
            format!("{target}{}", if is_primary { " (primary)" } else { "" })
        };
        let names = joined(found.kdc.iter().map(name));
        let seconds = i64::try_from(found.good_for.as_secs()).unwrap_or(i64::MAX);
        let took = began.elapsed().as_millis();
        let what = format!("DNS names {names} ({took} ms), for this long");
        Finding::ok(Layer::Names, what).figure(Figure::Seconds(seconds))
    });
    found
}

/// That there is nothing to ask is no fault of KDCs that need not be on this network.
fn unknown(kind: UpstreamKind, reach: Reach, error: Option<&LookUpError>) -> Finding {
    let what = |kind: &str| match error {
        Some(error) => error.to_string(),
        None => format!("DNS names no {kind} of the realm"),
    };
    let (what, list) = match (kind, reach) {
        (UpstreamKind::Kdc, Reach::OnSomeNetworks) => {
            let elsewhere = format!("{}: they may be elsewhere", what("KDC"));
            return Finding::skipped(Layer::Names, elsewhere);
        }
        (UpstreamKind::Kdc, Reach::Always) => (what("KDC"), "kdcs = [\"dc1.example.com\"]"),
        (UpstreamKind::Proxy, _) => (what("KDC proxy"), "proxies = [\"https://...\"]"),
    };
    Finding::fault(what)
        .on(Layer::Names)
        .typed("see whether the network is up", "cat /etc/resolv.conf")
        .hint(format!("else list them: {list}"))
}

fn refused(refused: &RefusedRecord) -> Finding {
    // The path of some proxies is a secret.
    let name = short(&urls::origins(&refused.name), 80);
    Finding::warning(format!("DNS names {name}: {}", refused.why))
        .on(Layer::Names)
        .hint("it is not asked: the zone has to name an https:// URL, or a name that discover-ports and discover-networks allow")
}

/// What `kinit` will take by the first of `upstreams` that serves, which are in the order in which they are tried: a first
/// AS-REQ, which is told what preauthentication is wanted, and a second with it (RFC 4120 3.1.1). SPAKE takes a third.
fn estimate(upstreams: &[Examined]) -> Finding {
    let serving = upstreams.iter().find_map(|it| Some((&it.name, it.times?)));
    let Some((name, ReplyTimes { cold, warm })) = serving else {
        return Finding::skipped(Layer::Estimate, "nothing serves the realm: kinit fails");
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
        let named = |name: &str, times| Examined {
            name: name.to_owned(),
            findings: Vec::new(),
            times,
        };
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
