//! Names and TCP: the addresses of a host, looked up as the daemon does it, and a connection to the first that takes one.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::operate::terminal::joined;
use crate::relay::explain::explain;
use crate::relay::finding::{Finding, Layer};
use crate::relay::upstream::kdc::Permitted;
use crate::relay::upstream::{Fault, look_up};

/// So many addresses of a name are tried, all at once: a zone may have thousands.
const MOST: usize = 16;

/// Connects to `place`, `host:port`, at those of its addresses that are `permitted`; what is found of `upstream`, which is there,
/// goes into `found`.
///
/// # Errors
/// Why it cannot be connected to.
pub(super) async fn connect(
    upstream: &str,
    place: &str,
    permitted: &Permitted,
    limit: Duration,
    found: &mut Vec<Finding>,
) -> Result<TcpStream, Finding> {
    let began = Instant::now();
    let looked_up = timeout(limit, look_up(place.to_owned(), permitted.clone())).await;
    let late = "no name server answers in time".to_owned();
    let addresses = looked_up.unwrap_or(Err((ErrorKind::NotFound, late)));
    let not_found = |(kind, why)| refused(upstream, &io::Error::new(kind, why));
    let addresses = distinct(&addresses.map_err(not_found)?);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let what = format!("{host} is {}", joined(addresses.iter().map(SocketAddr::ip)));
    found.push(Finding::ok(Layer::Names, what).figure(began.elapsed()));
    let limit = limit.saturating_sub(began.elapsed());
    let (stream, finding) = first_of(upstream, &addresses, limit).await?;
    found.push(finding);
    Ok(stream)
}

fn refused(upstream: &str, error: &io::Error) -> Finding {
    explain(&Fault::NotSent(error.into()), upstream)
}

/// Each address once, and no more than are tried.
fn distinct(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    let found = found.iter().copied();
    found.filter(|it| seen.insert(*it)).take(MOST).collect()
}

/// Connects to all of `addresses`, and keeps the connection to the first of them that takes one.
///
/// # Errors
/// None does: why the first of them does not.
async fn first_of(
    upstream: &str,
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<(TcpStream, Finding), Finding> {
    let began = Instant::now();
    let tries = addresses.iter().map(|address| async move {
        let connected = timeout(limit, TcpStream::connect(*address)).await;
        let connected = connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
        (address, connected, began.elapsed())
    });
    let (mut reached, mut failed) = (None, Vec::new());
    for (address, connected, took) in join_all(tries).await {
        match connected {
            Ok(stream) => reached = reached.or(Some((address, stream, took))),
            Err(error) => {
                let fault = refused(upstream, &error);
                let what = format!("{address}: {}", fault.what);
                failed.push(fault.reworded(what));
            }
        }
    }
    let Some((address, stream, took)) = reached else {
        let none = || refused(upstream, &ErrorKind::TimedOut.into());
        return Err(failed.into_iter().next().unwrap_or_else(none));
    };
    let mut what = format!("{address} takes connections");
    if failed.is_empty() {
        return Ok((stream, Finding::ok(Layer::Tcp, what).figure(took)));
    }
    for fault in &failed {
        what.push_str(&format!("; {}", fault.what));
    }
    let some = Finding::warning(what).on(Layer::Tcp).figure(took);
    let some = some.hint("the daemon goes on to the next address, which costs a moment");
    Ok((stream, some.typed("see where routes lead", "ip route")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for host in ["127.0.0.1", "[::1]"] {
            let listener = std::net::TcpListener::bind(format!("{host}:0")).unwrap();
            let name = listener.local_addr().unwrap().to_string();
            let mut found = Vec::new();
            let connected = connect(&name, &name, &Permitted::Any, limit, &mut found).await;
            assert_eq!(connected.unwrap().peer_addr().unwrap().to_string(), name);
            assert!(found[0].what.starts_with(host), "{found:?}");
            let others = Permitted::OtherHosts(Vec::new());
            let refused = connect(&name, &name, &others, limit, &mut Vec::new()).await;
            let advice = refused.unwrap_err().advice();
            assert!(advice.contains("discover-networks"), "{advice}");
        }
    }
}
