//! Names: what they stand for, asked as the daemon asks.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::line::{Layer, Line};
use crate::relay::advice::{self, Upstream};
use crate::relay::text::shell;
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::{Fault, Unsent};

/// So many addresses of a name are tried, all at once: a zone may have thousands.
const MOST: usize = 16;

/// A host and a port to be reached, and whose they are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The key of the configuration that it comes from.
    pub(super) key: &'static str,
}

impl Place {
    /// The place that `text`, `host:port`, names.
    pub(super) fn parse(text: &str, key: &'static str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: port.parse().ok()?,
            key,
        })
    }

    /// The address that it is, if it is none but that.
    fn address(&self) -> Option<SocketAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        Some((address, self.port).into())
    }
}

/// The addresses of `place` that are `permitted`, and a line on them.
pub(super) async fn look_up(
    place: &Place,
    permitted: &Permitted,
    upstream: Upstream<'_>,
    within: Duration,
) -> (Vec<SocketAddr>, Line) {
    if let Some(address) = place.address() {
        let line = Line::ok(
            Layer::Names,
            format!("{} is an address: no name", place.host),
        );
        return judge(vec![address], permitted, line, place);
    }
    let began = Instant::now();
    let found = timeout(within, lookup_host((place.host.as_str(), place.port))).await;
    let found = found.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match found.map(distinct) {
        Ok(found) if !found.is_empty() => {
            let shown = list(&found);
            let line = Line::ok(Layer::Names, format!("{} is {shown}", place.host));
            judge(found, permitted, line.figure(began.elapsed()), place)
        }
        Ok(_) => (
            Vec::new(),
            nowhere("the name has no address", place, upstream),
        ),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (Vec::new(), silent(place).figure(began.elapsed()))
        }
        Err(error) => {
            let why = error.to_string();
            let why = why.rsplit(": ").next().unwrap_or_default();
            let line = match why.contains("Temporary failure") {
                true => silent(place),
                false => nowhere(why, place, upstream),
            };
            (Vec::new(), line.figure(began.elapsed()))
        }
    }
}

/// Each address once, and no more than are tried.
fn distinct(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = Vec::new();
    for address in found {
        if seen.len() < MOST && !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen
}

fn list(found: &[SocketAddr]) -> String {
    let shown = found.iter().map(|address| address.ip().to_string());
    shown.collect::<Vec<_>>().join(", ")
}

/// Leaves out what the daemon would not connect to.
fn judge(
    found: Vec<SocketAddr>,
    permitted: &Permitted,
    line: Line,
    place: &Place,
) -> (Vec<SocketAddr>, Line) {
    let mut refused = None;
    let kept: Vec<_> = found
        .into_iter()
        .filter(|address| {
            let why = permitted.refuses(address.ip());
            refused = refused.or(why.map(|why| (address.ip(), why)));
            why.is_none()
        })
        .collect();
    match (refused, kept.is_empty()) {
        (Some((address, why)), true) => {
            let what = format!("{} is {address}, which is refused: {why}", place.host);
            let hint = "if DNS says so rightly, allow its network: discover-networks";
            (kept, Line::fault(Layer::Names, what, hint))
        }
        _ => (kept, line),
    }
}

fn silent(place: &Place) -> Line {
    let what = format!("no name server answers about {}", place.host);
    let hint =
        "see whether the network is up and which name servers are asked: cat /etc/resolv.conf";
    Line::fault(Layer::Names, what, hint)
}

fn nowhere(why: &str, place: &Place, upstream: Upstream<'_>) -> Line {
    let what = format!("{}: {why}", place.host);
    if place.key != upstream.kind.key() {
        let hint = format!(
            "see whether {} spells its name right: getent hosts {}",
            place.key,
            shell::word(&place.host)
        );
        return Line::fault(Layer::Names, what, hint);
    }
    let fault = Fault::NotSent(Unsent::Connect(format!("lookup: {why}")));
    let hint = advice::on(&fault, upstream).hint;
    Line::fault(Layer::Names, what, hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::doctor::Verdict;
    use crate::relay::advice::Kind;

    const PROXY: Upstream<'_> = Upstream {
        kind: Kind::Proxy,
        name: "https://kdcproxy.example.com",
    };

    #[test]
    fn a_place_is_read_with_and_without_brackets() {
        let place = |text| Place::parse(text, "kdcs").map(|place| (place.host, place.port));
        assert_eq!(
            place("dc1.example.com:88"),
            Some(("dc1.example.com".to_owned(), 88))
        );
        assert_eq!(place("[::1]:88"), Some(("::1".to_owned(), 88)));
        assert_eq!(place("dc1.example.com"), None);
    }

    #[test]
    fn of_many_addresses_some_are_tried_each_once() {
        let address = |last: u8| SocketAddr::from(([192, 0, 2, last], 443));
        let twice = (0..200).map(|number| address(number / 2));
        let expected: Vec<_> = (0..16).map(address).collect();
        assert_eq!(distinct(twice), expected);
        assert_eq!(distinct([address(1), address(1)].into_iter()), [address(1)]);
    }

    #[tokio::test]
    async fn an_address_is_looked_up_nowhere_and_judged_all_the_same() {
        let place = Place::parse("127.0.0.1:443", "proxies").unwrap();
        let within = Duration::from_secs(1);
        let (found, line) = look_up(&place, &Permitted::Any, PROXY, within).await;
        assert_eq!((found.len(), line.verdict), (1, Verdict::Ok));
        let others = Permitted::OtherHosts(Vec::new());
        let (found, line) = look_up(&place, &others, PROXY, within).await;
        assert_eq!((found.len(), line.verdict), (0, Verdict::Fault));
        assert!(line.hint.unwrap().contains("discover-networks"));
    }
}
