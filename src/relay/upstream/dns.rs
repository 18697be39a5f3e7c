//! Where a realm's requests can go, as DNS knows it: KDCs (RFC 4120 7.2.3.2) and KDC proxies, for realms that the
//! configuration declares and says to look up. A realm that only a client names is never looked up.

mod discovery;
mod records;

pub use discovery::Discovery;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use url::{ParseError, Url};

use super::kdc::Transport;
use crate::wire::Service;

/// How long after a failed look-up the next one is due; until then, what was found before is the best that is known.
pub const RETRY: Duration = Duration::from_secs(30);

/// What a look-up found. A list is empty if DNS says that there is nothing, which is no failure.
#[derive(Clone, Debug, Default)]
pub struct DnsResults {
    /// What serves the realm in the order to ask it, at most 16.
    pub kdc: Vec<UpstreamTarget>,
    /// What changes its passwords, likewise.
    pub kpasswd: Vec<UpstreamTarget>,
    /// What among them takes writes, or leads to what does.
    pub primary: Vec<UpstreamTarget>,
    /// What else is named and won't be asked; worth a line in the log.
    pub refused: Vec<RefusedRecord>,
    /// When it is time for the next look-up: 30 s to an hour.
    pub good_for: Duration,
}

impl DnsResults {
    /// It leads nowhere.
    pub fn is_empty(&self) -> bool {
        self.kdc.is_empty() && self.kpasswd.is_empty()
    }

    /// What it found of one service.
    pub fn get(&self, service: Service) -> &[UpstreamTarget] {
        match service {
            Service::Kdc => &self.kdc,
            Service::Kpasswd => &self.kpasswd,
        }
    }

    /// Both lead to the same places for the same ends; the order, which chance decides within a priority, doesn't matter.
    pub fn has_same_targets(&self, other: &Self) -> bool {
        let sets = |results: &Self| {
            let lists = [&results.kdc, &results.kpasswd, &results.primary];
            lists.map(|list| BTreeSet::from_iter(list.clone()))
        };
        sets(self) == sets(other)
    }
}

/// An upstream, as DNS or the configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpstreamTarget {
    /// A KDC or password service.
    Kdc {
        /// `host:port`.
        name: String,
        /// TCP first if it was found as a TCP service, UDP first if it was found as a UDP service only.
        transport: Transport,
    },
    /// A KDC proxy.
    Proxy(ProxyUrl),
}

impl UpstreamTarget {
    /// What it is called in DNS.
    fn name(&self) -> &str {
        match self {
            Self::Kdc { name, .. } => name,
            Self::Proxy(url) => url.as_url().as_str(),
        }
    }

    /// Its URL, if it is a KDC proxy.
    pub fn proxy(&self) -> Option<&ProxyUrl> {
        match self {
            Self::Kdc { .. } => None,
            Self::Proxy(url) => Some(url),
        }
    }
}

/// As it may be shown to anybody: the path of some proxies is a secret.
impl fmt::Display for UpstreamTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kdc { name, .. } => f.write_str(name),
            Self::Proxy(url) => f.write_str(&url.as_url().origin().ascii_serialization()),
        }
    }
}

/// What DNS names and nobody is asked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// What it is called in DNS.
    pub name: String,
    /// Why it is not asked.
    pub why: String,
}

/// Why nothing is known about a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpError {
    /// The realm is no domain of DNS (RFC 4120 6.1 has other styles as well).
    NotADomain(String),
    /// This name brought no answer, and why.
    NoAnswer(String, String),
    /// The name servers took too long.
    TimedOut,
}

impl fmt::Display for LookUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADomain(realm) => write!(f, "realm {realm} is no DNS domain"),
            Self::NoAnswer(name, why) => write!(f, "cannot look up {name}: {why}"),
            Self::TimedOut => f.write_str("the name servers did not answer in time"),
        }
    }
}

impl std::error::Error for LookUpError {}

/// The path that [MS-KKDCP] 2.1 gives the service.
const PATH: &str = "/KdcProxy";

/// An `https` or `http` URL with a host and a path, without credentials and fragment.
/// A query is kept: front ends that route by one exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProxyUrl(Url);

/// Why a text is no URL of a KDC proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlError {
    /// It is no URL.
    NoUrl(ParseError),
    /// Its scheme is another.
    Scheme,
    /// It carries a user name or a password, which would never be sent.
    Credentials,
    /// It has a fragment, which would never be sent.
    Fragment,
}

impl ProxyUrl {
    /// Reads a URL; one without a path gets the usual one.
    ///
    /// # Errors
    /// It leads to no KDC proxy.
    pub fn read(text: &str) -> Result<Self, UrlError> {
        let mut url = Url::parse(text).map_err(UrlError::NoUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(UrlError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        Ok(Self(url))
    }

    /// The URL itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Requests to it cross the network without TLS.
    pub fn is_plaintext(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
