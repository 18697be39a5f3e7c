//! The way out over HTTPS: a KDC proxy ([MS-KKDCP] 3.1).

mod proxy_url;

use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Body, Response, StatusCode};
use rustls::ClientConfig;
use url::Url;

use super::body::{FlaggedBody, Sent};
use super::fault::{Fault, OVERSIZED, Unsent};
use super::link::{Connection, Lease, Links};
use crate::wire::{MAX_REPLY, Reply, Service, kkdcp};

pub use proxy_url::{ProxyUrl, UrlError};

/// What an envelope may add to the largest reply: tags, lengths, an echoed target-domain and hint.
const MAX_ENVELOPE: usize = MAX_REPLY + 1024;

/// A KDC proxy: its URL and the connections kept to it.
#[derive(Debug)]
pub struct KdcProxy {
    url: Url,
    name: String,
    links: Links,
}

/// One POST to make.
#[derive(Clone, Debug)]
pub struct Post {
    /// The service that was asked: decides what the reply must be.
    pub service: Service,
    /// The encoded KDC-PROXY-MESSAGE.
    pub envelope: Bytes,
    /// Over which connection it may go.
    pub connection: Connection,
    /// Where to say that octets may have left.
    pub sent: Sent,
}

impl KdcProxy {
    /// A proxy at `url`, spoken to with `tls`; nothing is connected yet.
    #[must_use]
    pub fn new(url: Url, tls: ClientConfig) -> Self {
        Self {
            name: url.origin().ascii_serialization(),
            url,
            links: Links::new(tls),
        }
    }

    /// The proxy's scheme, host and port, for the log: the path of some proxies is a secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Forgets the connections: the network is another one. Requests under way go on.
    pub fn forget(&self) {
        self.links.forget();
    }

    /// Sends one request, exactly once, and reads its reply.
    ///
    /// Name, connect and TLS are bounded in time here; the rest is the caller's, who drops the future when time is up.
    ///
    /// # Errors
    /// A [`Fault`] that says what the other side may have seen.
    pub async fn send(&self, post: Post) -> Result<Reply, Fault> {
        let lease = self.links.lease(post.connection, Instant::now())?;
        if lease.is_kept() {
            post.sent.goes_over_kept();
        }
        let request = lease
            .client()
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/kerberos")
            .body(Body::wrap(FlaggedBody::new(
                post.envelope,
                post.sent.clone(),
            )));
        let response = request
            .send()
            .await
            .map_err(|error| unheard(&error, &post.sent, &lease))?;
        let (body, lease) = receive(response, lease).await?;
        let message =
            kkdcp::decode(&body).map_err(|_| Fault::NotKerberos("no KDC-PROXY-MESSAGE"))?;
        let reply = Reply::parse(post.service, message.message().0)
            .map_err(|_| Fault::NotKerberos("no Kerberos reply inside"))?;
        // Not before: a connection that ends at a captive portal still does when the portal lets others through.
        lease.give_back();
        Ok(reply)
    }
}

/// What an error before the answer's head says of the request.
///
/// It is called back first: what is said not to have left never will.
fn unheard(error: &reqwest::Error, sent: &Sent, lease: &Lease<'_>) -> Fault {
    if sent.withdraw() {
        if error.is_connect() {
            lease.found_nobody();
        }
        return Fault::NotSent(unsent(error));
    }
    if lease.was_reused() {
        lease.found_closed();
        return Fault::Stale;
    }
    Fault::Unanswered
}

fn unsent(error: &reqwest::Error) -> Unsent {
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Unsent::ConnectTimeout,
        (true, false) => Unsent::Connect(root_cause(error)),
        (false, _) => Unsent::HandedBack,
    }
}

/// Reads the answer, capped before it is buffered.
async fn receive(
    mut response: Response,
    mut lease: Lease<'_>,
) -> Result<(Bytes, Lease<'_>), Fault> {
    lease.heard(response.version(), keep_alive(response.headers()));
    if let Some(address) = response.remote_addr() {
        lease.reached(address.ip());
    }
    if let Err(fault) = refuse_status(response.status()) {
        if matches!(fault, Fault::Status(_)) {
            lease.leave_unread();
        }
        return Err(fault);
    }
    let declared = response.content_length().unwrap_or(0);
    if usize::try_from(declared).map_or(true, |declared| declared > MAX_ENVELOPE) {
        return Err(Fault::NotKerberos(OVERSIZED));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Fault::Unanswered)? {
        if body.len() + chunk.len() > MAX_ENVELOPE {
            return Err(Fault::NotKerberos(OVERSIZED));
        }
        body.extend_from_slice(&chunk);
    }
    if body.is_empty() {
        return Err(Fault::NotKerberos("an empty answer"));
    }
    Ok((body.into(), lease))
}

fn refuse_status(status: StatusCode) -> Result<(), Fault> {
    match status.as_u16() {
        200 => Ok(()),
        // RFC 6585 6: Network Authentication Required.
        511 => Err(Fault::NotKerberos("HTTP 511, log in to the network first")),
        300..=399 => Err(Fault::NotKerberos("a redirect")),
        status @ 400..=599 => Err(Fault::Status(status)),
        _ => Err(Fault::NotKerberos("an HTTP status without an answer")),
    }
}

/// The timeout that an HTTP/1.1 server advertises for idle connections, in seconds (RFC 2068 19.7.1.1, still in use).
fn keep_alive(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let timeout = |parameter: &str| {
        parameter
            .trim()
            .strip_prefix("timeout=")?
            .trim()
            .parse()
            .ok()
    };
    value.split(',').find_map(timeout)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
