//! `proxies`: URLs of KDC proxies that are listed, or those that DNS names.

use url::ParseError;

use super::document::{ConfigSection, RealmSection};
use super::error::{ConfigError, Located};
use super::realms::{CliRealm, RealmPattern};
use super::{kdcs, keys};
use crate::relay::explain::UpstreamKind;
use crate::relay::text::urls::without_secrets;
use crate::relay::upstream::dns::Discovery;
pub use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::relay::upstream::kkdcp::UrlError;

/// Has DNS asked for the proxies.
const DISCOVER: &str = "discover";
/// For hints.
pub(super) const EXAMPLE: &str = "\"https://kdcproxy.example.com/KdcProxy\"";

/// Where the proxies of a realm are known from.
#[derive(Debug, Clone)]
pub enum Proxies {
    /// The configuration, in the order to try them. Never empty, no URL twice.
    Listed(Vec<ProxyUrl>),
    /// DNS: URI records as MIT krb5 reads them, or Microsoft's SRV records.
    Discovered(Discovery),
}

impl Proxies {
    /// Those that are listed: none if DNS is to name them.
    #[must_use]
    pub fn listed(&self) -> &[ProxyUrl] {
        match self {
            Self::Listed(listed) => listed,
            Self::Discovered(_) => &[],
        }
    }

    /// Whether requests may cross the network without TLS.
    #[must_use]
    pub fn may_be_plaintext(&self) -> bool {
        match self {
            Self::Listed(listed) => listed.iter().any(ProxyUrl::is_plaintext),
            Self::Discovered(discovery) => discovery.plaintext,
        }
    }
}

/// The realm's proxies, else those of all realms; `given` on the command line, those.
pub(super) fn read(
    pattern: &RealmPattern,
    table: &RealmSection,
    given: Option<&CliRealm>,
) -> Result<Proxies, ConfigError> {
    let plaintext = table.all.flag(&keys::ALLOW_PLAINTEXT);
    let tls_only = (!plaintext).then_some(pattern);
    if let Some(CliRealm { proxies, .. }) = given {
        return match proxies.as_slice() {
            [word] if word.value == DISCOVER => {
                word.parse(|_| discovery(pattern, table, plaintext))
            }
            written => listed(written, tls_only).map(Proxies::Listed),
        };
    }
    // What holds for all realms is told where this one begins.
    let place = if table.own.is_written(&keys::PROXIES) {
        table.own.place(&keys::PROXIES)
    } else {
        table.name.place.clone()
    };
    if check_word(&table.all)? {
        return discovery(pattern, table, plaintext).map_err(|error| error.at(&place));
    }
    let list = table.all.list(&keys::PROXIES);
    if list.is_empty() {
        return Err(ConfigError::new(format!("realm {pattern} has no proxies"))
            .hint(format!("add to it: proxies = [{EXAMPLE}]"))
            .at(&place));
    }
    listed(&list, tls_only).map(Proxies::Listed)
}

/// Checks what `[defaults]` says, even if no realm makes use of it.
pub(super) fn check_defaults(defaults: &ConfigSection) -> Result<(), ConfigError> {
    check_word(defaults)?;
    listed(&defaults.list(&keys::PROXIES), None).map(drop)
}

/// The one word that may stand for a list stands there.
fn check_word(table: &ConfigSection) -> Result<bool, ConfigError> {
    let written = table.text(&keys::PROXIES);
    let Some(word) = written else {
        return Ok(false);
    };
    if word.value == DISCOVER {
        return Ok(true);
    }
    Err(word
        .error("proxies is an array of URLs, or \"discover\"")
        .hint(format!("write it in brackets: proxies = [{EXAMPLE}]")))
}

fn discovery(
    pattern: &RealmPattern,
    table: &RealmSection,
    plaintext: bool,
) -> Result<Proxies, ConfigError> {
    let RealmPattern::Exact(realm) = pattern else {
        return Err(
            ConfigError::new("proxies are looked up for one realm, not for a wildcard")
                .hint(format!("list them: proxies = [{EXAMPLE}]")),
        );
    };
    let networks = kdcs::networks(&table.all)?;
    let discovery = Discovery::new(realm, UpstreamKind::Proxy, networks);
    let mut discovery = discovery.map_err(|error| {
        ConfigError::new(error.to_string()).hint(format!("list its proxies: proxies = [{EXAMPLE}]"))
    })?;
    discovery.plaintext = plaintext;
    Ok(Proxies::Discovered(discovery))
}

/// `tls_only`: the realm that doesn't allow plain text.
fn listed(
    written: &[Located<String>],
    tls_only: Option<&RealmPattern>,
) -> Result<Vec<ProxyUrl>, ConfigError> {
    let mut proxies = Vec::new();
    for written in written {
        let proxy = written.parse(|text| proxy(text, tls_only, &proxies))?;
        proxies.push(proxy);
    }
    Ok(proxies)
}

fn proxy(
    text: &str,
    tls_only: Option<&RealmPattern>,
    before: &[ProxyUrl],
) -> Result<ProxyUrl, ConfigError> {
    if text == DISCOVER {
        return Err(ConfigError::new("a proxy is an https:// URL")
            .hint("for those that DNS names write it without brackets: proxies = \"discover\""));
    }
    let proxy = ProxyUrl::parse(text)?;
    if let Some(pattern) = tls_only.filter(|_| proxy.is_plaintext()) {
        // [MS-KKDCP] 5.1: the transport is what protects the messages.
        return Err(ConfigError::new(format!(
            "http:// would send what realm {pattern} is asked across the network in plain text"
        ))
        .hint("write https://, or set allow-plaintext = true for the realm in the file"));
    }
    if before.contains(&proxy) {
        let shown = without_secrets(&proxy.to_string());
        return Err(ConfigError::new(format!("{shown} is listed twice")));
    }
    Ok(proxy)
}

impl ProxyUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let rule = "a proxy is an https:// URL";
        let like = || format!("write it like {EXAMPLE}");
        Self::read(text).map_err(|error| match error {
            // `host:443/path` reads as a URL whose scheme is `host`.
            UrlError::NoUrl(ParseError::RelativeUrlWithoutBase) | UrlError::Scheme
                if !text.contains("://") && !text.is_empty() =>
            {
                let url = format!("\"https://{}\"", text.trim_start_matches('/'));
                ConfigError::new(rule).hint(format!("write {}", without_secrets(&url)))
            }
            UrlError::NoUrl(error) => ConfigError::new(format!("not a URL: {error}")).hint(like()),
            UrlError::Scheme => ConfigError::new(rule).hint(like()),
            UrlError::Credentials => ConfigError::new(
                "a proxy's URL carries no user name or password: none would be sent",
            )
            .hint("leave out what stands before the @"),
            UrlError::Fragment => {
                ConfigError::new("a proxy's URL has no fragment: it would never be sent")
                    .hint("leave out the # and what follows")
            }
        })
    }
}
