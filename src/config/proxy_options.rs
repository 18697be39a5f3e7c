//! How requests get to KDC proxies, and what they show there.

use std::path::{Path, PathBuf};

use reqwest::header::AUTHORIZATION;
use url::{Host, Url};

use super::document::ConfigSection;
use super::error::{ConfigError, Located};
use super::keys::{self, ConfigKey, Mark};
use super::proxies::{EXAMPLE, Proxies, ProxyUrl};
use super::read::{self, NamedFile};
use super::realms::RealmPattern;
use super::{negotiate, pem};
use crate::relay::text::urls::without_secrets;
use crate::relay::upstream::proxy_options::{
    ForwardProxy, ForwardProxyUrl, Header, ProxyOptions, RequestHeaders, parse_header,
    parse_headers, parse_token,
};
use crate::relay::upstream::tls::Pin;

const FORWARD_PROXY_EXAMPLE: &str = "write it like \"http://proxy.example.com:3128\" or \"socks5h://127.0.0.1:1080\", or \"environment\"";

/// What `table` says. `base`: what files are relative to.
pub(super) fn read(table: &ConfigSection, base: &Path) -> Result<ProxyOptions, ConfigError> {
    Ok(ProxyOptions {
        forward_proxy: forward_proxy(table)?,
        client_certificate: pem::client_certificate(table, base)?,
        headers: headers(table, base)?,
        negotiate: negotiate::read(table, base)?,
        pins: pins(table)?,
        min_tls: table.get(&keys::MIN_TLS)?,
        secret_files: secret_files(table, base)?,
    })
}

/// The keys with `mark` that were written, whatever their type, and ask for anything.
fn marked(table: &ConfigSection, mark: Mark) -> impl Iterator<Item = &'static ConfigKey> {
    let keys = keys::RUN.realm.keys.iter().copied();
    keys.filter(move |key| key.is(mark) && table.is_written(key))
        .filter(|key| **key != keys::AUTH || auth(table).is_some())
}

/// The way to authenticate, if there is to be one.
fn auth(table: &ConfigSection) -> Option<Located<String>> {
    table.text(&keys::AUTH).filter(|auth| auth.value != "none")
}

/// Refuses what any local user could use for a realm of their choice, unless it is meant.
pub(super) fn check_any_realm(
    table: &ConfigSection,
    pattern: &RealmPattern,
) -> Result<(), ConfigError> {
    let mut of_this_machine = marked(table, Mark::Proof).chain(marked(table, Mark::SendsSecret));
    match of_this_machine.next() {
        Some(key) if matches!(pattern, RealmPattern::Any) && !table.flag(&keys::ANY_REALM) => {
            let rule = "with realm * any local user could have a realm of their choice asked with this machine's";
            Err(table
                .error(key, format!("{rule} {}", key.name))
                .hint("name the realms, or say any-realm = true if that is meant"))
        }
        _ => Ok(()),
    }
}

/// Refuses proxies that can't be reached that way, or to which what is to be shown would go in plain text.
pub(super) fn check_proxies(table: &ConfigSection, proxies: &Proxies) -> Result<(), ConfigError> {
    if let Some(marked) = marked(table, Mark::SendsSecret).next() {
        let key = marked.name;
        if let Proxies::Discovered(_) = proxies {
            let rule = format!("what {key} is to show would go to whichever host DNS names");
            return Err(table.error(marked, rule).hint(format!(
                "list the proxies that may see it: proxies = [{EXAMPLE}]"
            )));
        }
        if proxies.listed().into_iter().any(ProxyUrl::is_plaintext) {
            let rule =
                format!("an http:// proxy would be sent in plain text what {key} is to show it");
            return Err(table.error(marked, rule).hint("write https:// in proxies"));
        }
    }
    let is_ipv6 = |proxy: &&ProxyUrl| matches!(proxy.as_url().host(), Some(Host::Ipv6(_)));
    let by_number = proxies.listed().into_iter().find(is_ipv6);
    match (by_number, forward_proxy(table)?) {
        (None, _) | (_, ForwardProxy::None) => Ok(()),
        // reqwest takes the brackets for a part of the name that is to be in the certificate.
        (Some(proxy), _) => {
            let shown = without_secrets(&proxy.to_string());
            let rule =
                "a KDC proxy that goes by an IPv6 address can't be reached through another proxy";
            Err(table
                .error(&keys::HTTP_PROXY, rule)
                .hint(format!("write a name in its place: {shown}")))
        }
    }
}

fn secret_files(table: &ConfigSection, base: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files: Vec<_> = marked(table, Mark::SecretFile)
        .filter_map(|key| table.written(key))
        .collect();
    if !table.is_written(&keys::CLIENT_KEY) {
        files.extend(table.written(&keys::CLIENT_CERTIFICATE));
    }
    files.iter().map(|file| read::path(base, file)).collect()
}

fn forward_proxy(table: &ConfigSection) -> Result<ForwardProxy, ConfigError> {
    let proxy = table.parse(&keys::HTTP_PROXY, |text| match text {
        "none" => Ok(ForwardProxy::None),
        "environment" => Ok(ForwardProxy::Environment),
        url => forward_proxy_url(url).map(ForwardProxy::Url),
    });
    proxy.map(Option::unwrap_or_default)
}

fn forward_proxy_url(text: &str) -> Result<ForwardProxyUrl, ConfigError> {
    let url = Url::parse(text).ok();
    let is_bare =
        |url: &Url| matches!(url.path(), "" | "/") && url.query().or(url.fragment()).is_none();
    if url
        .as_ref()
        .is_some_and(|url| url.has_host() && !is_bare(url))
    {
        return Err(ConfigError::new("http-proxy has nothing after its port").hint(
            "in a user's name or password write / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A",
        ));
    }
    url.and_then(ForwardProxyUrl::new).ok_or_else(|| {
        ConfigError::new("http-proxy is an http:// or socks5h:// URL").hint(FORWARD_PROXY_EXAMPLE)
    })
}

fn headers(table: &ConfigSection, base: &Path) -> Result<RequestHeaders, ConfigError> {
    let listed = table.parse_each(&keys::HEADERS, |text: &String| {
        parse_header(text).map_err(ConfigError::new)
    })?;
    let mut all = listed.clone();
    let headers_file = NamedFile::of(table, &keys::HEADERS_FILE, base)?;
    if let Some(file) = &headers_file {
        let headers = parse_headers(file.text()?);
        all.extend(headers.map_err(|error| file.error(format!("{file}, {error}")))?);
    }
    let token_file = NamedFile::of(table, &keys::BEARER_TOKEN_FILE, base)?;
    if let Some(file) = &token_file {
        let token = parse_token(file.text()?);
        all.extend(token.map_err(|error| file.error(format!("{file}: {error}")))?);
    }
    check_one_authorization(table, &all)?;
    Ok(RequestHeaders {
        fixed: listed,
        headers_file: headers_file.map(|file| file.path),
        bearer_token_file: token_file.map(|file| file.path),
    })
}

/// A second Authorization would replace the first.
fn check_one_authorization(table: &ConfigSection, headers: &[Header]) -> Result<(), ConfigError> {
    let auth = auth(table);
    let has_auth = usize::from(auth.is_some());
    let others = headers.iter().filter(|(name, _)| name == AUTHORIZATION);
    match auth.or_else(|| table.written(&keys::BEARER_TOKEN_FILE)) {
        Some(written) if others.count() + has_auth > 1 => Err(written
            .error("a request has one Authorization, and there are two")
            .hint("of auth, bearer-token-file and a header Authorization choose one")),
        _ => Ok(()),
    }
}

fn pins(table: &ConfigSection) -> Result<Vec<Pin>, ConfigError> {
    table.parse_each(&keys::PINS, |text: &String| {
        Pin::parse(text).ok_or_else(|| {
            ConfigError::new("a pin is \"sha256/\" and the base64 of a key's SHA-256")
                .hint("for a certificate in FILE: openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64")
        })
    })
}
