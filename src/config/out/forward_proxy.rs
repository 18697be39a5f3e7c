//! `http-proxy`.

use toml::Spanned;
use url::Url;

use crate::config::error::ConfigError;
use crate::relay::upstream::out::{ForwardProxy, Via};

const EXAMPLE: &str = "write it like \"http://proxy.example.com:3128\" or \"socks5h://127.0.0.1:1080\", or \"environment\"";

pub(super) fn via(written: Option<&Spanned<String>>) -> Result<Via, ConfigError> {
    let Some(written) = written else {
        return Ok(Via::Nothing);
    };
    match written.get_ref().as_str() {
        "none" => Ok(Via::Nothing),
        "environment" => Ok(Via::Environment),
        url => proxy(url)
            .map(Via::Proxy)
            .map_err(|broken| broken.at(written.span())),
    }
}

fn proxy(text: &str) -> Result<ForwardProxy, ConfigError> {
    let url =
        Url::parse(text).map_err(|_| ConfigError::new("http-proxy is a URL").hint(EXAMPLE))?;
    match url.scheme() {
        "http" | "socks5h" => {}
        "socks5" => {
            return Err(
                ConfigError::new("socks5:// would look the KDC proxy's name up here")
                    .hint("write socks5h://, and the SOCKS proxy looks it up"),
            );
        }
        "https" => {
            return Err(
                ConfigError::new("the way to an HTTP proxy is http://").hint(
                    "what is sent through it to an https:// KDC proxy is encrypted all the same",
                ),
            );
        }
        _ => return Err(ConfigError::new("http-proxy is http:// or socks5h://").hint(EXAMPLE)),
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::new("http-proxy has nothing after its port")
            .hint("in a user's name or password write / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A"));
    }
    ForwardProxy::new(url).ok_or_else(|| ConfigError::new("http-proxy has no host").hint(EXAMPLE))
}
