//! The URL of a KDC proxy.

use std::fmt;

use url::{ParseError, Url};

use super::error::Broken;

/// The path that [MS-KKDCP] 2.1 gives the service.
const PATH: &str = "/KdcProxy";
/// For hints.
pub(super) const EXAMPLE: &str = "\"https://kdcproxy.example.com/KdcProxy\"";

/// An `https` or `http` URL with a host and a path, without credentials and fragment.
/// A query is kept: front ends that route by one exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    /// The URL itself.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Whether requests to it cross the network without TLS.
    pub fn is_plaintext(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Broken> {
        let mut url = Url::parse(text).map_err(|error| unreadable(text, error))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(other_scheme(text, &url));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Broken::new(
                "a proxy's URL carries no user name or password: none would be sent",
            )
            .hint("leave out what stands before the @"));
        }
        if url.fragment().is_some() {
            return Err(
                Broken::new("a proxy's URL has no fragment: it would never be sent")
                    .hint("leave out the # and what follows"),
            );
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

fn unreadable(text: &str, error: ParseError) -> Broken {
    match error {
        ParseError::RelativeUrlWithoutBase if !text.is_empty() => {
            Broken::new("a proxy is an https:// URL").hint(format!(
                "write \"https://{}\"",
                text.trim_start_matches('/')
            ))
        }
        ParseError::RelativeUrlWithoutBase => {
            Broken::new("a proxy is an https:// URL, this is empty")
                .hint(format!("write it like {EXAMPLE}"))
        }
        error => {
            Broken::new(format!("not a URL: {error}")).hint(format!("write it like {EXAMPLE}"))
        }
    }
}

/// `host:443/path` reads as a URL whose scheme is `host`.
fn other_scheme(text: &str, url: &Url) -> Broken {
    let broken = Broken::new("a proxy is an https:// URL");
    if text.contains("://") {
        return broken.hint(format!(
            "{}:// leads to no KDC proxy: write it like {EXAMPLE}",
            url.scheme()
        ));
    }
    broken.hint(format!("write \"https://{text}\""))
}
