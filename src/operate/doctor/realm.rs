//! A realm: where its requests could go, all of it looked at side by side.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;
use url::{Origin, Url};

use super::estimate::{self, Pace};
use super::line::{Figure, Layer, Line};
use super::sheet::Sheet;
use super::through::Asked;
use super::{Terms, direct, proxy, through};
use crate::config::{Direct, Kdcs, Order, Proxies};
use crate::relay::advice::Kind;
use crate::relay::text::short;
use crate::relay::upstream::dns::{DnsResults, LookUpError, RefusedRecord};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::wire::Service;

/// A look-up in DNS gets this long, as a request waits for it.
const LOOK_UP: Duration = Duration::from_millis(2500);

/// Where requests could go.
#[derive(Debug)]
struct Ways<T> {
    all: Vec<T>,
    permitted: Permitted,
}

type Examined = (Sheet, Option<Pace>);

/// All that is to be said of a realm. `sockets` are those for KDCs that the daemon listens on, or somebody in its place.
pub(super) async fn examine(terms: Terms<'_>, sockets: &[Asked]) -> Vec<Line> {
    let mut sheet = Sheet::new(terms.realm, None);
    let (through, ways) = tokio::join!(through::ask(terms, sockets), ways(terms, &mut sheet));
    let serves = ways.iter().any(|(_, pace)| pace.is_some());
    through
        .iter()
        .for_each(|through| sheet.push(through.line(serves, terms.realm)));
    let paces: Vec<_> = ways
        .iter()
        .map(|(sheet, pace)| (sheet.about().to_owned(), *pace))
        .collect();
    let mut lines = sheet.lines;
    lines.extend(ways.into_iter().flat_map(|(sheet, _)| sheet.lines));
    lines.push(estimate::of(&paces).of(terms.realm));
    lines
}

/// The ways out in the order in which they are tried.
async fn ways(terms: Terms<'_>, sheet: &mut Sheet) -> Vec<Examined> {
    let (mut of_dns, mut also_of_dns) = (Vec::new(), Vec::new());
    let (proxies, kdcs) = tokio::join!(proxies(terms, &mut of_dns), kdcs(terms, &mut also_of_dns));
    of_dns.append(&mut also_of_dns);
    of_dns.into_iter().for_each(|line| sheet.push(line));
    let by_proxy = proxies.all.iter();
    let by_proxy = by_proxy.map(|url| proxy::examine(terms, url, &proxies.permitted));
    let by_kdc = kdcs.all.iter();
    let by_kdc = by_kdc.map(|name| direct::examine(terms, name, &kdcs.permitted));
    let (mut by_proxy, mut by_kdc) = tokio::join!(join_all(by_proxy), join_all(by_kdc));
    match terms.entry.direct.as_ref().map(|direct| direct.order) {
        Some(Order::Prefer) => {
            by_kdc.append(&mut by_proxy);
            by_kdc
        }
        _ => {
            by_proxy.append(&mut by_kdc);
            by_proxy
        }
    }
}

async fn proxies(terms: Terms<'_>, lines: &mut Vec<Line>) -> Ways<ProxyUrl> {
    match &terms.entry.proxies {
        Proxies::Listed(listed) => Ways {
            all: listed.clone(),
            permitted: Permitted::Any,
        },
        Proxies::Discovered(discovery) => {
            let found = told(Kind::Proxy, discovery.look_up(), lines).await;
            Ways {
                all: found.map_or_else(Vec::new, |found| all(&found)),
                permitted: discovery.allowed().permitted.clone(),
            }
        }
    }
}

async fn kdcs(terms: Terms<'_>, lines: &mut Vec<Line>) -> Ways<String> {
    match terms.entry.direct.as_ref() {
        None => Ways {
            all: Vec::new(),
            permitted: Permitted::Any,
        },
        Some(Direct {
            kdcs: Kdcs::Listed(listed),
            ..
        }) => {
            let listed = listed.get(Service::Kdc).iter().flatten();
            Ways {
                all: listed.map(ToString::to_string).collect(),
                permitted: Permitted::Any,
            }
        }
        Some(Direct {
            kdcs: Kdcs::Discovered(discover),
            ..
        }) => {
            let found = told(Kind::Kdc, discover.discovery.look_up(), lines).await;
            let targets = found.map_or_else(Vec::new, |found| found.kdc);
            Ways {
                all: targets.iter().map(ToString::to_string).collect(),
                permitted: Permitted::OtherHosts(discover.networks.clone()),
            }
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

/// What DNS says, and lines on it.
async fn told(
    kind: Kind,
    look_up: impl Future<Output = Result<DnsResults, LookUpError>>,
    lines: &mut Vec<Line>,
) -> Option<DnsResults> {
    let began = Instant::now();
    let found = timeout(LOOK_UP, look_up).await;
    let found = match found.unwrap_or(Err(LookUpError::TimedOut)) {
        Ok(found) => found,
        Err(error) => {
            lines.push(unknown(kind, error.to_string()));
            return None;
        }
    };
    lines.extend(found.refused.iter().map(refused));
    let names: Vec<_> = found.kdc.iter().map(ToString::to_string).collect();
    lines.push(match (names.is_empty(), kind) {
        (true, Kind::Proxy) => unknown(kind, "DNS names no KDC proxy of the realm".to_owned()),
        (true, Kind::Kdc) => unknown(kind, "DNS names no KDC of the realm".to_owned()),
        (false, _) => {
            let seconds = i64::try_from(found.good_for.as_secs()).unwrap_or(i64::MAX);
            let took = began.elapsed().as_millis();
            let what = format!("DNS names {} ({took} ms), for this long", names.join(", "));
            Line::ok(Layer::Names, what).figure(Figure::Seconds(seconds))
        }
    });
    Some(found)
}

/// That there is nothing to ask is no fault of KDCs, which need not be on this network.
fn unknown(kind: Kind, what: String) -> Line {
    match kind {
        Kind::Kdc => Line::skipped(Layer::Names, format!("{what}: they may be elsewhere")),
        Kind::Proxy => Line::fault(
            Layer::Names,
            what,
            "see whether the network is up: cat /etc/resolv.conf; else list them: proxies = [\"https://...\"]",
        ),
    }
}

fn refused(refused: &RefusedRecord) -> Line {
    let RefusedRecord { name, why } = refused;
    // The path of some proxies is a secret.
    let url = Url::parse(name).ok().map(|url| url.origin());
    let origin = url
        .filter(Origin::is_tuple)
        .map(|origin| origin.ascii_serialization());
    let name = short(origin.as_deref().unwrap_or(name), 80);
    let hint = match name.starts_with("http://") {
        true => {
            "it is not asked: who runs the zone has to name an https:// URL; allow-plaintext is for tests"
        }
        false => "it is not asked; discover-ports and discover-networks say what is allowed",
    };
    Line::warn(Layer::Names, format!("DNS names {name}: {why}"), hint)
}
