//! The URL of a KDC proxy.

use std::fmt;

use url::{ParseError, Url};

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
    #[must_use]
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Requests to it cross the network without TLS.
    #[must_use]
    pub fn is_plaintext(&self) -> bool {
        self.0.scheme() == "http"
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}
