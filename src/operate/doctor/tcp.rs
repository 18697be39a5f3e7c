//! TCP to each address of a place, side by side.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::line::{Layer, Line};
use crate::relay::advice::{self, Upstream};
use crate::relay::upstream::{Fault, Unsent};

/// Connects to all of `addresses`, and keeps the connection to the first of them that takes one.
///
/// # Errors
/// None does, and the error of the first.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    within: Duration,
) -> Result<(TcpStream, Line), (SocketAddr, io::Error)> {
    let tries = addresses.iter().map(|address| one(*address, within));
    let mut ends = join_all(tries).await;
    let found = ends.iter().position(|(_, end)| end.is_ok());
    let Some(found) = found else {
        let nowhere = (
            SocketAddr::from(([0; 4], 0)),
            io::ErrorKind::NotFound.into(),
        );
        let first = ends.into_iter().next();
        return Err(first.map_or(nowhere, |(address, end)| {
            (
                address,
                end.err().unwrap_or_else(|| io::ErrorKind::Other.into()),
            )
        }));
    };
    let (address, end) = ends.remove(found);
    let (stream, took) = end.map_err(|error| (address, error))?;
    Ok((stream, line(address, &ends).figure(took)))
}

type End = (SocketAddr, io::Result<(TcpStream, Duration)>);

async fn one(address: SocketAddr, within: Duration) -> End {
    let began = Instant::now();
    let end = timeout(within, TcpStream::connect(address)).await;
    let end = end.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    (address, end.map(|stream| (stream, began.elapsed())))
}

/// What took a connection, and which others of its addresses did not.
fn line(address: SocketAddr, others: &[End]) -> Line {
    let dead = others.iter().filter_map(|(address, end)| {
        let error = end.as_ref().err()?;
        Some(format!("{} does not ({})", address.ip(), why(error)))
    });
    let dead: Vec<_> = dead.collect();
    match dead.is_empty() {
        true => Line::ok(Layer::Tcp, format!("{address} takes connections")),
        false => Line::warn(
            Layer::Tcp,
            format!("{address} takes connections, and {}", dead.join(", ")),
            "the daemon goes on to the next address, which costs a moment; see where routes lead: ip route",
        ),
    }
}

/// The system's words without its number.
pub(super) fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        _ => {
            let text = error.to_string();
            let words = text
                .split_once(" (os error ")
                .map(|(words, _)| words.to_owned());
            words.unwrap_or(text)
        }
    }
}

/// What it says that `address` of `upstream` takes no connection.
pub(super) fn fault(address: SocketAddr, error: &io::Error, upstream: Upstream<'_>) -> Line {
    let unsent = match error.kind() {
        io::ErrorKind::TimedOut => Unsent::ConnectTimeout,
        _ => Unsent::Connect(error.to_string()),
    };
    let advice = advice::on(&Fault::NotSent(unsent), upstream);
    let what = format!("{address}: {}", advice.what);
    Line::fault(Layer::Tcp, what, advice.hint.unwrap_or_default())
}
