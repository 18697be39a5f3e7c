//! Names and TCP: the addresses of a host, looked up as the daemon does it, and a connection to the first that takes one.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::relay::finding::{Finding, Layer};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::look_up;

/// So many addresses of a name are tried, all at once: a zone may have thousands.
const MOST: usize = 16;

/// A host and a port to connect to.
#[derive(Clone, Debug)]
pub(super) struct HostPort {
    /// `host:port`, an IPv6 address in brackets.
    pub(super) name: String,
    /// The key of the configuration that it comes from.
    pub(super) key: &'static str,
}

impl HostPort {
    fn host(&self) -> &str {
        let host = self.name.rsplit_once(':').map_or("", |(host, _)| host);
        host.trim_matches(['[', ']'])
    }

    /// Its addresses that are `permitted`, and what was found.
    ///
    /// # Errors
    /// It has none.
    pub(super) async fn look_up(
        &self,
        permitted: &Permitted,
        limit: Duration,
    ) -> Result<(Vec<SocketAddr>, Finding), Finding> {
        let began = Instant::now();
        let found = timeout(limit, look_up(self.name.clone(), permitted.clone())).await;
        let found = found.unwrap_or_else(|_| Err((io::ErrorKind::TimedOut, String::new())));
        let addresses =
            found.map_err(|(kind, why)| self.unknown(kind, &why).figure(began.elapsed()))?;
        let addresses = distinct(&addresses);
        let host = self.host();
        let finding = if self.name.parse::<SocketAddr>().is_ok() {
            Finding::ok(Layer::Names, format!("{host} is an address: no name"))
        } else {
            let shown = addresses.iter().map(|address| address.ip().to_string());
            let shown: Vec<_> = shown.collect();
            Finding::ok(Layer::Names, format!("{host} is {}", shown.join(", ")))
                .figure(began.elapsed())
        };
        Ok((addresses, finding))
    }

    fn unknown(&self, kind: io::ErrorKind, why: &str) -> Finding {
        let host = self.host();
        let fault = |what: String| Finding::fault(what).on(Layer::Names);
        if kind == io::ErrorKind::PermissionDenied {
            return fault(format!("{host}: {why}"))
                .hint("if DNS says so rightly, allow its network: discover-networks");
        }
        if kind == io::ErrorKind::TimedOut || why.contains("Temporary failure") {
            let purpose = "see whether the network is up and which name servers are asked";
            return fault(format!("no name server answers about {host}"))
                .command(purpose, ["cat", "/etc/resolv.conf"]);
        }
        let why = match why.rsplit(": ").next() {
            None | Some("") => "the name has no address",
            Some(why) => why,
        };
        fault(format!("{host}: {why}")).command(
            format!("see whether {} spells its name right", self.key),
            ["getent", "hosts", host],
        )
    }
}

/// Each address once, and no more than are tried.
fn distinct(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut seen = Vec::new();
    for address in found {
        if seen.len() < MOST && !seen.contains(address) {
            seen.push(*address);
        }
    }
    seen
}

/// Connects to all of `addresses`, and keeps the connection to the first of them that takes one.
///
/// # Errors
/// None does: the first of them, and why.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<(TcpStream, Finding), (SocketAddr, io::Error)> {
    let began = Instant::now();
    let tries = addresses.iter().map(|address| async move {
        let connected = timeout(limit, TcpStream::connect(*address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => Ok((*address, stream, began.elapsed())),
            Err(error) => Err((*address, error)),
        }
    });
    let (mut connected, mut failed) = (Vec::new(), Vec::new());
    for tried in join_all(tries).await {
        match tried {
            Ok(one) => connected.push(one),
            Err(one) => failed.push(one),
        }
    }
    match connected.into_iter().next() {
        Some((address, stream, took)) => Ok((stream, reached(address, &failed).figure(took))),
        None => Err(failed.into_iter().next().unwrap_or_else(|| {
            let nowhere = SocketAddr::from(([0; 4], 0));
            (nowhere, io::ErrorKind::NotFound.into())
        })),
    }
}

/// What took a connection, and which others of its addresses did not.
fn reached(address: SocketAddr, failed: &[(SocketAddr, io::Error)]) -> Finding {
    let what = format!("{address} takes connections");
    if failed.is_empty() {
        return Finding::ok(Layer::Tcp, what);
    }
    let failed = failed
        .iter()
        .map(|(address, error)| format!("{} does not ({})", address.ip(), why(error)));
    let failed: Vec<_> = failed.collect();
    Finding::warning(format!("{what}, and {}", failed.join(", ")))
        .on(Layer::Tcp)
        .hint("the daemon goes on to the next address, which costs a moment")
        .command("see where routes lead", ["ip", "route"])
}

/// The system's words without its number.
pub(super) fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::TimedOut {
        return "timed out".to_owned();
    }
    let text = error.to_string();
    let words = text.split_once(" (os error ").map(|(words, _)| words);
    words.unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::finding::Severity;

    #[test]
    fn of_many_addresses_some_are_tried_each_once() {
        let address = |last: u8| SocketAddr::from(([192, 0, 2, last], 443));
        let twice: Vec<_> = (0..200).map(|number| address(number / 2)).collect();
        let expected: Vec<_> = (0..16).map(address).collect();
        assert_eq!(distinct(&twice), expected);
        assert_eq!(distinct(&[address(1), address(1)]), [address(1)]);
    }

    #[tokio::test]
    async fn an_address_is_looked_up_nowhere_and_judged_all_the_same() {
        let limit = Duration::from_secs(1);
        for name in ["127.0.0.1:443", "[::1]:443"] {
            let place = HostPort {
                name: name.to_owned(),
                key: "proxies",
            };
            let (found, finding) = place.look_up(&Permitted::Any, limit).await.unwrap();
            assert_eq!(found, [name.parse().unwrap()]);
            assert!(finding.what.ends_with("1 is an address: no name"));
            let others = Permitted::OtherHosts(Vec::new());
            let fault = place.look_up(&others, limit).await.unwrap_err();
            assert_eq!(fault.severity, Severity::Fault);
            assert!(fault.advice().contains("discover-networks"));
        }
    }
}
