//! The URL of a KDC proxy, and what to say of one that is none.

use url::ParseError;

use super::error::ConfigError;
use crate::relay::text::urls::without_secrets;
pub use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::relay::upstream::kkdcp::UrlError;

/// For hints.
pub(super) const EXAMPLE: &str = "\"https://kdcproxy.example.com/KdcProxy\"";

impl ProxyUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(text).map_err(|error| match error {
            UrlError::NoUrl(ParseError::RelativeUrlWithoutBase) => without_scheme(text),
            UrlError::NoUrl(_) => {
                ConfigError::new(error.to_string()).hint(format!("write it like {EXAMPLE}"))
            }
            // `host:443/path` reads as a URL whose scheme is `host`.
            UrlError::Scheme(_) if !text.contains("://") => without_scheme(text),
            UrlError::Scheme(ref scheme) => ConfigError::new(error.to_string()).hint(format!(
                "{scheme}:// leads to no KDC proxy: write it like {EXAMPLE}"
            )),
            UrlError::Credentials => {
                ConfigError::new(error.to_string()).hint("leave out what stands before the @")
            }
            UrlError::Fragment => {
                ConfigError::new(error.to_string()).hint("leave out the # and what follows")
            }
        })
    }
}

fn without_scheme(text: &str) -> ConfigError {
    match text.trim_start_matches('/') {
        _ if text.is_empty() => ConfigError::new("a proxy is an https:// URL, this is empty")
            .hint(format!("write it like {EXAMPLE}")),
        rest => {
            let url = without_secrets(&format!("\"https://{rest}\""));
            ConfigError::new("a proxy is an https:// URL").hint(format!("write {url}"))
        }
    }
}
