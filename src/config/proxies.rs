//! `proxies`: URLs of KDC proxies that are listed, or those that DNS names.

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
}

/// The realm's proxies, else those of all realms; `given` on the command line, those.
pub(super) fn read(
    pattern: &RealmPattern,
    table: &RealmSection,
    given: Option<&CliRealm>,
) -> Result<Proxies, ConfigError> {
    let plaintext = table.all.flag(&keys::ALLOW_PLAINTEXT);
    let tls_only = (!plaintext).then_some(pattern);
    let listed = given.map_or_else(|| written(&table.all), |given| given.proxies.clone());
    // What holds for all realms is told where this one begins.
    let place = match given {
        Some(given) => given.name.place.clone(),
        None if table.own.is_written(&keys::PROXIES) => table.own.place(&keys::PROXIES),
        None => table.name.place.clone(),
    };
    if is_discover(&listed) {
        return discovery(pattern, table, plaintext).map_err(|error| error.at(&place));
    }
    if listed.is_empty() {
        return Err(ConfigError::new(format!("realm {pattern} has no proxies"))
            .hint(format!("add to it: proxies = [{EXAMPLE}]"))
            .at(&place));
    }
    urls(&listed, tls_only).map(Proxies::Listed)
}

/// Checks what `[defaults]` says, even if no realm makes use of it.
pub(super) fn check_defaults(defaults: &ConfigSection) -> Result<(), ConfigError> {
    let written = written(defaults);
    if is_discover(&written) {
        return Ok(());
    }
    urls(&written, None).map(drop)
}

/// What stands in a table. One string is a list of one.
fn written(table: &ConfigSection) -> Vec<Located<String>> {
    let one = table.text(&keys::PROXIES).map(|one| vec![one]);
    one.unwrap_or_else(|| table.list(&keys::PROXIES))
}

fn is_discover(list: &[Located<String>]) -> bool {
    matches!(list, [word] if word.value == DISCOVER)
}

fn discovery(
    pattern: &RealmPattern,
    table: &RealmSection,
    plaintext: bool,
) -> Result<Proxies, ConfigError> {
    let broken = |rule: String| {
        ConfigError::new(rule).hint(format!("list its proxies: proxies = [{EXAMPLE}]"))
    };
    let Some(realm) = pattern.exact() else {
        let rule = "proxies are looked up for one realm, not for a wildcard";
        return Err(broken(rule.to_owned()));
    };
    let networks = kdcs::networks(&table.all)?;
    let discovery = Discovery::new(realm, UpstreamKind::Proxy, networks);
    let mut discovery = discovery.map_err(|error| broken(error.to_string()))?;
    discovery.plaintext = plaintext;
    Ok(Proxies::Discovered(discovery))
}

/// `tls_only`: the realm that doesn't allow plain text.
fn urls(
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
        let hint = if text.contains("://") || text.is_empty() {
            format!("write it like {EXAMPLE}")
        } else {
            let url = format!("\"https://{}\"", text.trim_start_matches('/'));
            format!("write {}", without_secrets(&url))
        };
        let rule = |error| match error {
            UrlError::NoUrl(error) => format!("not a URL: {error}"),
            UrlError::Scheme => "a proxy is an https:// URL".to_owned(),
            UrlError::Credentials | UrlError::Fragment => {
                "a proxy's URL has no user name, password or fragment: none would be sent"
                    .to_owned()
            }
        };
        Self::read(text).map_err(|error| ConfigError::new(rule(error)).hint(hint))
    }
}
