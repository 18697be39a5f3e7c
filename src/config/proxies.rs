//! `proxies`: those that are listed, or those that DNS names.

use std::sync::Arc;

use toml::Spanned;

use super::error::{ConfigError, Place, Written};
use super::file::{ProxyList, RealmTable};
use super::given::Given;
use super::kdcs;
use super::proxy::{EXAMPLE, ProxyUrl};
use super::realms::RealmPattern;
use crate::relay::text::urls::without_secrets;
use crate::relay::upstream::dns::{Allowed, ProxyDiscovery};
use crate::relay::upstream::kdc::Permitted;

/// Has DNS asked for the proxies.
const DISCOVER: &str = "discover";

/// Where the proxies of a realm are known from.
#[derive(Debug, Clone)]
pub enum Proxies {
    /// The configuration, in the order to try them. Never empty, no URL twice.
    Listed(Vec<ProxyUrl>),
    /// DNS: URI records as MIT krb5 reads them, or Microsoft's SRV records.
    Discovered(Arc<ProxyDiscovery>),
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
            Self::Discovered(discovery) => discovery.allowed().plaintext,
        }
    }
}

/// The realm's proxies, else those of all realms. The rule on plain text is the realm's own.
pub(super) fn read(
    pattern: &RealmPattern,
    table: &RealmTable,
    defaults: &RealmTable,
    place: &Place,
    given: Option<&Given>,
) -> Result<Proxies, ConfigError> {
    let plaintext = table.allow_plaintext.or(defaults.allow_plaintext);
    let plaintext = plaintext.unwrap_or(false);
    let list = table.proxies.as_ref().or(defaults.proxies.as_ref());
    let written = match (given, list) {
        (Some(given), _) => given.proxies.clone(),
        (None, Some(list)) if is_discovery(list)? => {
            let place = match &table.proxies {
                Some(own) => Place::Span(own.span()),
                None => place.clone(),
            };
            let discovery = discovery(pattern, table, defaults, plaintext);
            return discovery.map_err(|broken| broken.placed(place));
        }
        (None, Some(list)) => list.get_ref().written(),
        (None, None) => Vec::new(),
    };
    match &written[..] {
        [] => {
            let place = list.map_or_else(|| place.clone(), |list| Place::Span(list.span()));
            Err(ConfigError::new(format!("realm {pattern} has no proxies"))
                .hint(format!("add to it: proxies = [{EXAMPLE}]"))
                .placed(place))
        }
        [Written { text, place }] if given.is_some() && text == DISCOVER => {
            discovery(pattern, table, defaults, plaintext)
                .map_err(|broken| broken.placed(place.clone()))
        }
        written => listed(written, (!plaintext).then_some(pattern)).map(Proxies::Listed),
    }
}

/// Checks what `[defaults]` says, whether or not a realm makes use of it.
pub(super) fn check_defaults(defaults: &RealmTable) -> Result<(), ConfigError> {
    match &defaults.proxies {
        Some(list) if !is_discovery(list)? => listed(&list.get_ref().written(), None).map(drop),
        _ => Ok(()),
    }
}

/// Whether the word stands for a list.
fn is_discovery(list: &Spanned<ProxyList>) -> Result<bool, ConfigError> {
    match list.get_ref() {
        ProxyList::List(_) => Ok(false),
        ProxyList::Word(word) if word == DISCOVER => Ok(true),
        ProxyList::Word(word) => Err(ConfigError::new(
            "proxies is an array of URLs, or \"discover\"",
        )
        .hint(match word.contains("://") {
            true => without_secrets(&format!("write it in brackets: proxies = [\"{word}\"]")),
            false => format!("write it like proxies = [{EXAMPLE}]"),
        })
        .at(list.span())),
    }
}

fn discovery(
    pattern: &RealmPattern,
    table: &RealmTable,
    defaults: &RealmTable,
    plaintext: bool,
) -> Result<Proxies, ConfigError> {
    let RealmPattern::Exact(realm) = pattern else {
        return Err(
            ConfigError::new("proxies are looked up for one realm, not for a wildcard")
                .hint(format!("list them: proxies = [{EXAMPLE}]")),
        );
    };
    let networks = kdcs::networks(&table.keys(), &defaults.keys())?;
    let allowed = Allowed {
        plaintext,
        permitted: Permitted::OtherHosts(networks),
    };
    let discovery = ProxyDiscovery::new(realm, allowed).map_err(|error| {
        ConfigError::new(error.to_string()).hint(format!("list its proxies: proxies = [{EXAMPLE}]"))
    })?;
    Ok(Proxies::Discovered(Arc::new(discovery)))
}

/// `tls_only`: the realm that doesn't allow plain text.
fn listed(
    written: &[Written],
    tls_only: Option<&RealmPattern>,
) -> Result<Vec<ProxyUrl>, ConfigError> {
    let mut proxies = Vec::new();
    for Written { text, place } in written {
        let proxy =
            proxy(text, tls_only, &proxies).map_err(|broken| broken.placed(place.clone()))?;
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
