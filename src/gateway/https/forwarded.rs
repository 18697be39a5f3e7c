//! The client behind a reverse proxy: X-Forwarded-For, and Forwarded (RFC 7239).
//!
//! Only a trusted proxy is believed, and of what it hands on only as much as trusted proxies said: from the right, up to the
//! first address that is none of theirs. What stands left of it is whatever that client wrote.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

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
        let itself = (peer.map(|peer| peer.ip().to_canonical()), false);
        if !self.believes(peer) {
            return itself;
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
        said.map_or(itself, |said| (Some(said), true))
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
            let Some(address) = node else { break };
            farthest = Some(address);
            if !self.covers(address) {
                break;
            }
        }
        farthest
    }
}

/// The address that a proxy was asked from: nothing if it does not say.
type Node = Option<IpAddr>;

/// The elements of X-Forwarded-For.
fn list(line: &str) -> Option<Vec<Node>> {
    Some(line.split(',').map(|text| node(text.trim())).collect())
}

/// The `for` of each element of Forwarded; nothing if the line breaks RFC 7239's grammar: a quote that a client left open
/// would swallow what its proxy wrote behind it.
fn elements(line: &str) -> Option<Vec<Node>> {
    let elements = split(line, ',')?.into_iter();
    elements.map(element).collect()
}

fn element(text: &str) -> Option<Node> {
    let mut found = None;
    for pair in split(text, ';')? {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        let value = unquoted(value)?;
        if !is_token(name)
            || (name.eq_ignore_ascii_case("for") && found.replace(node(value)).is_some())
        {
            return None;
        }
    }
    Some(found.flatten())
}

/// The parts of `text` between separators outside of quoted strings (RFC 9110 5.6.4); nothing if the last one has no end.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(|char| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match char {
            '"' if !was_escaped => is_quoted = !is_quoted,
            '\\' if !was_escaped => is_escaped = is_quoted,
            _ => {}
        }
        char == separator && !is_quoted
    });
    let parts = parts.collect();
    (!is_quoted).then_some(parts)
}

/// What a token or a quoted string holds. An address needs no escapes, which stay as they are.
fn unquoted(value: &str) -> Option<&str> {
    let quoted = value.strip_prefix('"');
    let quoted = quoted.and_then(|quoted| quoted.strip_suffix('"'));
    quoted.or_else(|| is_token(value).then_some(value))
}

fn is_token(text: &str) -> bool {
    let is_tchar = |octet: u8| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&octet);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// An address, with or without a port (RFC 7239 6); some proxies add one in X-Forwarded-For too.
fn node(text: &str) -> Node {
    // A port may be obfuscated.
    let text = text.split_once(":_").map_or(text, |(address, _)| address);
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = if let Some(address) = bracketed {
        address.parse::<Ipv6Addr>().ok()?.into()
    } else {
        let with_port = |_| text.parse::<SocketAddr>().map(|address| address.ip());
        text.parse::<IpAddr>().or_else(with_port).ok()?
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests;
