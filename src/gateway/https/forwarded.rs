//! The client behind a reverse proxy: X-Forwarded-For, and Forwarded (RFC 7239).
//!
//! Only a trusted proxy is believed, and of what it hands on only as much as trusted proxies said: from the right, up to the
//! first address that is none of theirs. What stands left of it is whatever that client wrote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::HeaderMap;
use hyper::header::{FORWARDED, HeaderName, HeaderValue};

use crate::config::gateway::TrustedProxies;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Most proxies in a row that are believed.
const HOPS: usize = 16;

impl TrustedProxies {
    /// True if what `peer` says of others is believed; without an address it is on a Unix socket.
    pub(super) fn believes(&self, peer: Option<SocketAddr>) -> bool {
        let peer = peer.map(|peer| peer.ip().to_canonical());
        peer.map_or(self.unix, |peer| self.covers(peer))
    }

    /// The address of the client that asked `peer`, or of `peer` itself if it is not trusted or does not say; nothing for one on
    /// a Unix socket. And true if it was a proxy that said so.
    pub(super) fn client(
        &self,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> (Option<IpAddr>, bool) {
        let is_believed = self.believes(peer);
        let peer = peer.map(|peer| peer.ip().to_canonical());
        if !is_believed {
            return (peer, false);
        }
        let listed = |name, read: fn(&str) -> Option<Vec<Node>>| {
            let mut lines = headers.get_all(name).iter().rev().peekable();
            let present = lines.peek().is_some();
            present.then(|| self.farthest(lines, read))
        };
        // A proxy that keeps one of the two hands the other on as its client wrote it: where both stand and disagree,
        // there is no telling which of them is which.
        let said = match (listed(X_FORWARDED_FOR, list), listed(FORWARDED, elements)) {
            (Some(one), Some(other)) => one.filter(|one| other == Some(*one)),
            (one, other) => one.or(other).flatten(),
        };
        said.map_or((peer, false), |said| (Some(said), true))
    }

    fn covers(&self, address: IpAddr) -> bool {
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(&address))
    }

    /// The first address from the right that is not trusted, or the last one that could be had.
    fn farthest<'a>(
        &self,
        lines: impl Iterator<Item = &'a HeaderValue>,
        read: fn(&str) -> Option<Vec<Node>>,
    ) -> Option<IpAddr> {
        // A line that can't be read hides what stands left of it.
        let read = |line: &HeaderValue| line.to_str().ok().and_then(read).unwrap_or(vec![None]);
        let nodes = lines.flat_map(|line| read(line).into_iter().rev());
        let mut farthest = None;
        for node in nodes.take(HOPS) {
            let Some(address) = node else {
                return farthest;
            };
            farthest = Some(address);
            if !self.covers(address) {
                return farthest;
            }
        }
        farthest
    }
}

/// The address that a proxy was asked from: nothing if it does not say.
type Node = Option<IpAddr>;

/// The elements of X-Forwarded-For.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it has the shape of its neighbour"
)]
fn list(line: &str) -> Option<Vec<Node>> {
    Some(line.split(',').map(|text| node(text.trim())).collect())
}

/// The `for` of each element of Forwarded; nothing if the line breaks RFC 7239's grammar anywhere: a quote that a client left
/// open would swallow what its proxy wrote behind it.
fn elements(line: &str) -> Option<Vec<Node>> {
    let mut rest = line;
    // Of each element whether it has a `for`, and which.
    let mut nodes: Vec<Option<Node>> = vec![None];
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        let name = name.trim_matches([' ', '\t']);
        if name.is_empty() || !name.bytes().all(is_token) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") && nodes.last_mut()?.replace(node(&value)).is_some() {
            return None;
        }
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.chars().next() {
            None => return Some(nodes.into_iter().map(Option::flatten).collect()),
            Some(';') => after.get(1..)?,
            Some(',') => {
                nodes.push(None);
                after.get(1..)?
            }
            Some(_) => return None,
        };
    }
}

/// A token or a quoted string (RFC 9110 5.6), and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|octet| !is_token(octet));
        let (token, rest) = text.split_at(end.unwrap_or(text.len()));
        return (!token.is_empty()).then(|| (token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(char),
        }
    }
    None
}

fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet)
}

/// An address, with or without a port (RFC 7239 6); some proxies add one in X-Forwarded-For too.
fn node(text: &str) -> Node {
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        address.parse::<Ipv6Addr>().ok().filter(|_| is_port)?.into()
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        address
            .parse::<Ipv4Addr>()
            .ok()
            .filter(|_| is_port(port))?
            .into()
    };
    Some(address.to_canonical())
}

/// A number, or an obfuscated port.
fn is_port(text: &str) -> bool {
    let is_obfuscated = |text: &str| text.bytes().all(is_token);
    text.parse::<u16>().is_ok() || text.strip_prefix('_').is_some_and(is_obfuscated)
}

#[cfg(test)]
mod tests;
