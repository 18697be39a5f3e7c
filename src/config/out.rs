//! How requests get to KDC proxies, and what they show there.

use std::path::{Path, PathBuf};

use reqwest::header::AUTHORIZATION;
use url::{Host, Url};

use super::document::ConfigSection;
use super::error::{ConfigError, Located};
use super::keys::{self, ConfigKey};
use super::proxies::{EXAMPLE, Proxies, ProxyUrl};
use super::read::NamedFiles;
use super::realms::RealmPattern;
use super::{negotiate, pem};
use crate::relay::upstream::proxy_options::{
    ForwardProxy, ForwardProxyUrl, Header, MinTls, ProxyOptions, RequestHeaders, parse_headers,
    parse_token,
};
use crate::relay::upstream::tls::Pin;

const FORWARD_PROXY_EXAMPLE: &str = "write it like \"http://proxy.example.com:3128\" or \"socks5h://127.0.0.1:1080\", or \"environment\"";

/// What `table` says. `base`: what files are relative to.
pub(super) fn read(table: &ConfigSection, base: &Path) -> Result<ProxyOptions, ConfigError> {
    let files = NamedFiles { base };
    Ok(ProxyOptions {
        forward_proxy: forward_proxy(table)?,
        client_certificate: pem::identity(table, files)?,
        headers: headers(table, files)?,
        negotiate: negotiate::read(table, files)?,
        pins: pins(table)?,
        min_tls: match table.word(&keys::MIN_TLS).as_str() {
            "1.3" => MinTls::Tls13,
            _ => MinTls::Tls12,
        },
        secret_files: secret_files(table, files)?,
    })
}

/// `auth`, if it asks for anything.
fn auth(table: &ConfigSection) -> Option<Located<&str>> {
    let auth = table.text(&keys::AUTH);
    auth.filter(|auth| auth.value != "none")
}

/// Refuses what any local user could use for a realm of their choice, unless it is meant.
pub(super) fn check_any_realm(
    table: &ConfigSection,
    pattern: &RealmPattern,
) -> Result<(), ConfigError> {
    if !matches!(pattern, RealmPattern::Any) || table.flag(&keys::ANY_REALM) {
        return Ok(());
    }
    let of_this_machine = [
        &keys::CLIENT_CERTIFICATE,
        &keys::HEADERS_FILE,
        &keys::BEARER_TOKEN_FILE,
    ];
    let files = of_this_machine.map(|key| (key.name, table.text(key)));
    let mut written = files.into_iter().chain([("tickets", auth(table))]);
    match written.find_map(|(what, written)| Some((what, written?))) {
        Some((what, written)) => Err(written
            .error(format!(
                "with realm * any local user could have a realm of their choice asked with this machine's {what}"
            ))
            .hint("name the realms, or say any-realm = true if that is meant")),
        None => Ok(()),
    }
}

/// Refuses proxies that can't be reached that way, or to which what is to be shown would go in plain text.
pub(super) fn check_proxies(table: &ConfigSection, proxies: &Proxies) -> Result<(), ConfigError> {
    if let Some((key, written)) = secret(table) {
        if let Proxies::Discovered(_) = proxies {
            return Err(written
                .error(format!(
                    "what {key} is to show would go to whichever host DNS names"
                ))
                .hint(format!(
                    "list the proxies that may see it: proxies = [{EXAMPLE}]"
                )));
        }
        if proxies.may_be_plaintext() {
            return Err(written
                .error(format!(
                    "an http:// proxy would be sent in plain text what {key} is to show it"
                ))
                .hint("write https:// in proxies"));
        }
    }
    let is_ipv6 = |proxy: &&ProxyUrl| matches!(proxy.as_url().host(), Some(Host::Ipv6(_)));
    let via = table.text(&keys::HTTP_PROXY);
    match (via, proxies.listed().iter().find(is_ipv6)) {
        // reqwest takes the brackets for a part of the name that is to be in the certificate.
        (Some(via), Some(proxy)) if via.value != "none" => Err(via
            .error(
                "a KDC proxy that goes by an IPv6 address can't be reached through another proxy",
            )
            .hint(format!("write a name in its place: {proxy}"))),
        _ => Ok(()),
    }
}

/// A key by which requests show what nobody else should see, and where it stands.
fn secret(table: &ConfigSection) -> Option<(&'static str, Located<&str>)> {
    let files = [&keys::HEADERS_FILE, &keys::BEARER_TOKEN_FILE];
    let files = files.map(|key| (key.name, table.text(key)));
    let mut written = files.into_iter().chain([("auth", auth(table))]);
    written.find_map(|(key, written)| Some((key, written?)))
}

fn secret_files(table: &ConfigSection, files: NamedFiles<'_>) -> Result<Vec<PathBuf>, ConfigError> {
    let key = table.text(&keys::CLIENT_KEY);
    let others = [
        &keys::CLIENT_KEY_PASSPHRASE_FILE,
        &keys::HEADERS_FILE,
        &keys::BEARER_TOKEN_FILE,
        &keys::KEYTAB,
    ];
    let named = [key.or(table.text(&keys::CLIENT_CERTIFICATE))]
        .into_iter()
        .chain(others.map(|key| table.text(key)));
    named
        .flatten()
        .map(|written| files.path(&written))
        .collect()
}

fn forward_proxy(table: &ConfigSection) -> Result<ForwardProxy, ConfigError> {
    match table.text(&keys::HTTP_PROXY) {
        None => Ok(ForwardProxy::None),
        Some(written) => written.parse(|text| match *text {
            "none" => Ok(ForwardProxy::None),
            "environment" => Ok(ForwardProxy::Environment),
            url => forward_proxy_url(url).map(ForwardProxy::Url),
        }),
    }
}

fn forward_proxy_url(text: &str) -> Result<ForwardProxyUrl, ConfigError> {
    let broken = |rule, hint| Err(ConfigError::new(rule).hint(hint));
    let Ok(url) = Url::parse(text) else {
        return broken("http-proxy is a URL", FORWARD_PROXY_EXAMPLE);
    };
    match url.scheme() {
        "http" | "socks5h" => {}
        "socks5" => {
            return broken(
                "socks5:// would look the KDC proxy's name up here",
                "write socks5h://, and the SOCKS proxy looks it up",
            );
        }
        "https" => {
            return broken(
                "the way to an HTTP proxy is http://",
                "what is sent through it to an https:// KDC proxy is encrypted all the same",
            );
        }
        _ => return broken("http-proxy is http:// or socks5h://", FORWARD_PROXY_EXAMPLE),
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return broken(
            "http-proxy has nothing after its port",
            "in a user's name or password write / as %2F, ? as %3F, # as %23, @ as %40 and : as %3A",
        );
    }
    ForwardProxyUrl::new(url)
        .ok_or_else(|| ConfigError::new("http-proxy has no host").hint(FORWARD_PROXY_EXAMPLE))
}

fn headers(table: &ConfigSection, files: NamedFiles<'_>) -> Result<RequestHeaders, ConfigError> {
    let listed = table.strings(&keys::HEADERS);
    let listed: Vec<_> = listed
        .iter()
        .map(|written| written.parse(|text| header(text)))
        .collect::<Result<_, _>>()?;
    let mut all = listed.clone();
    let headers_file = table.text(&keys::HEADERS_FILE);
    let headers_file = read_secret(files, &keys::HEADERS_FILE, headers_file, |text| {
        let parsed = parse_headers(text);
        all.extend(parsed.map_err(|(line, error)| format!(", line {line}: {error}"))?);
        Ok(())
    })?;
    let token_file = table.text(&keys::BEARER_TOKEN_FILE);
    let bearer_token_file = read_secret(files, &keys::BEARER_TOKEN_FILE, token_file, |text| {
        all.push(parse_token(text).map_err(|error| format!(": {error}"))?);
        Ok(())
    })?;
    check_one_authorization(table, &all)?;
    Ok(RequestHeaders {
        fixed: listed,
        headers_file,
        bearer_token_file,
    })
}

/// Where the file is, if one was written. `check` says what is wrong with its text, after its name.
fn read_secret(
    files: NamedFiles<'_>,
    key: &ConfigKey,
    written: Option<Located<&str>>,
    check: impl FnOnce(&str) -> Result<(), String>,
) -> Result<Option<PathBuf>, ConfigError> {
    let Some(written) = written else {
        return Ok(None);
    };
    let (path, text) = files.read_secret(key, &written)?;
    check(&text)
        .map_err(|error| written.error(format!("{} {}{error}", key.name, path.display())))?;
    Ok(Some(path))
}

fn header(text: &str) -> Result<Header, ConfigError> {
    let parsed = parse_headers(text).map_err(|(_, error)| ConfigError::new(error.to_string()))?;
    let [header] = <[Header; 1]>::try_from(parsed)
        .map_err(|_| ConfigError::new("a header is one line, \"Name: value\""))?;
    Ok(header)
}

/// A second Authorization would replace the first.
fn check_one_authorization(table: &ConfigSection, headers: &[Header]) -> Result<(), ConfigError> {
    let auth = auth(table);
    let has_auth = usize::from(auth.is_some());
    let others = headers.iter().filter(|(name, _)| name == AUTHORIZATION);
    match auth.or(table.text(&keys::BEARER_TOKEN_FILE)) {
        Some(written) if others.count() + has_auth > 1 => Err(written
            .error("a request has one Authorization, and there are two")
            .hint("of auth, bearer-token-file and a header Authorization choose one")),
        _ => Ok(()),
    }
}

fn pins(table: &ConfigSection) -> Result<Vec<Pin>, ConfigError> {
    let pin = |written: &Located<String>| {
        Pin::parse(&written.value).ok_or_else(|| {
            written
                .error("a pin is \"sha256/\" and the base64 of a key's SHA-256")
                .hint("for a certificate in FILE: openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64")
        })
    };
    table.strings(&keys::PINS).iter().map(pin).collect()
}
