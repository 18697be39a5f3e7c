//! `proxies`: URLs of KDC proxies that are listed, or those that DNS names.

use super::document::{ConfigSection, RealmSection};
use super::error::{ConfigError, Located};
use super::keys::ConfigKey;
use super::realms::{CliRealm, RealmPattern};
use super::{kdcs, keys};
use crate::relay::explain::UpstreamKind;
use crate::relay::text::closest;
use crate::relay::text::urls::without_secrets;
use crate::relay::upstream::dns::Discovery;
pub use crate::relay::upstream::dns::ProxyUrl;
use crate::relay::upstream::dns::UrlError;
use crate::wire::ByService;

/// Has DNS asked for the proxies.
const DISCOVER: &str = "discover";
/// For hints.
pub(super) const EXAMPLE: &str = "\"https://kdcproxy.example.com/KdcProxy\"";

/// Where the proxies of a realm are known from.
#[derive(Debug, Clone)]
pub enum Proxies {
    /// The configuration, in the order to try them, with whether they lead to the primary KDC. Never empty, no URL twice.
    Listed(ByService<Vec<(ProxyUrl, bool)>>),
    /// DNS: URI records as MIT krb5 reads them, or Microsoft's SRV records.
    Discovered(Discovery),
}

impl Proxies {
    /// Those that are listed, each once, and last those for password changes alone: none if DNS is to name them.
    pub fn listed(&self) -> Vec<&ProxyUrl> {
        let Self::Listed(ByService { kdc, kpasswd }) = self else {
            return Vec::new();
        };
        let others = kpasswd.iter().filter(|proxy| !kdc.contains(proxy));
        kdc.iter().chain(others).map(|(url, _)| url).collect()
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
    // What was typed out goes before all that the file says of proxies.
    let own = given.is_none().then_some(&table.own);
    if is_discover(&listed) {
        own.map_or(Ok(()), check_beside_discover)?;
        return discovery(pattern, table, plaintext).map_err(|error| error.at(&place));
    }
    let proxies = urls(&listed, tls_only)?;
    let special = |key| own.map_or(Ok(Vec::new()), |own| special(own, key, tls_only));
    let primary = special(&keys::PRIMARY_PROXIES)?;
    if proxies.is_empty() && primary.is_empty() {
        return Err(ConfigError::new(format!("realm {pattern} has no proxies"))
            .hint(format!("add to it: proxies = [{EXAMPLE}]"))
            .at(&place));
    }
    let kpasswd = special(&keys::KPASSWD_PROXIES)?;
    Ok(Proxies::Listed(by_service(proxies, &primary, kpasswd)))
}

/// Proxies for some of a realm's requests, if any are listed.
fn special(
    own: &ConfigSection,
    key: &'static ConfigKey,
    tls_only: Option<&RealmPattern>,
) -> Result<Vec<ProxyUrl>, ConfigError> {
    let listed = own.list(key);
    if listed.is_empty() && own.is_written(key) {
        let rule = format!("{} is empty", key.name);
        return Err(own.error(key, rule).hint("take the line away"));
    }
    urls(&listed, tls_only)
}

/// The order to try them. Those that lead to the primary KDC come last for what any KDC serves, unless `proxies` has them too, as
/// libkrb5 has it with primary_kdc; and first for password changes, if those have no proxies of their own.
fn by_service(
    mut proxies: Vec<ProxyUrl>,
    primary: &[ProxyUrl],
    mut kpasswd: Vec<ProxyUrl>,
) -> ByService<Vec<(ProxyUrl, bool)>> {
    let also = |first: &[ProxyUrl], more: &[ProxyUrl]| {
        let more = more.iter().filter(|proxy| !first.contains(proxy));
        more.cloned().collect::<Vec<_>>()
    };
    if kpasswd.is_empty() {
        kpasswd = [primary, &also(primary, &proxies)].concat();
    }
    proxies.extend(also(&proxies, primary));
    let marked = |list: Vec<ProxyUrl>| {
        let marked = list.into_iter().map(|it| (primary.contains(&it), it));
        marked.map(|(is_primary, it)| (it, is_primary)).collect()
    };
    ByService {
        kdc: marked(proxies),
        kpasswd: marked(kpasswd),
    }
}

/// DNS says of the proxies that it names what each is for.
fn check_beside_discover(own: &ConfigSection) -> Result<(), ConfigError> {
    for key in [&keys::PRIMARY_PROXIES, &keys::KPASSWD_PROXIES] {
        if own.is_written(key) {
            let rule = "with proxies = \"discover\" DNS says what each proxy is for";
            let hint = format!("list proxies too, or take {} away", key.name);
            return Err(own.error(key, rule).hint(hint));
        }
    }
    Ok(())
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
    if text == DISCOVER {
        let rule = "\"discover\" stands alone, in proxies";
        return Err(
            ConfigError::new(rule).hint("list URLs, or have DNS name them: proxies = \"discover\"")
        );
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

/// The URL that is meant by what is none: with another scheme or none, as Apple has it, or as Windows does (`<https host:port:path />`).
fn meant(text: &str) -> Option<String> {
    let bare = text.trim_start_matches("<https").trim_end_matches("/>");
    let bare = bare.trim().replace('\\', "/");
    let (scheme, bare) = bare.split_once("//").unwrap_or(("", &bare));
    let scheme = scheme.trim_end_matches(':');
    if !scheme.is_empty() && closest(scheme, ["https", "kkdcp"]).is_none() {
        return None;
    }
    let bare = bare.trim_start_matches('/');
    let host = bare.find(']').map_or(0, |end| end + 1);
    let (host, rest) = bare.split_at(host + bare.get(host..)?.find(':').unwrap_or_default());
    let of_windows = rest.strip_prefix(':').and_then(|rest| rest.split_once(':'));
    let url = match of_windows {
        Some(("", path)) => format!("https://{host}/{path}"),
        Some((port, path)) => format!("https://{host}:{port}/{path}"),
        None => format!("https://{bare}"),
    };
    ProxyUrl::read(&url).ok().map(|_| url)
}

impl ProxyUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let hint = match meant(text) {
            Some(url) => format!("write {}", without_secrets(&format!("{url:?}"))),
            None => format!("write it like {EXAMPLE}"),
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
