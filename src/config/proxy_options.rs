//! How requests get to KDC proxies, and what they show there.

use std::path::{Path, PathBuf};

use reqwest::header::AUTHORIZATION;
use url::{Host, Url};

use super::document::ConfigSection;
use super::error::{ConfigError, Located};
use super::keys::{self, ConfigKey, Mark};
use super::pem;
use super::proxies::{EXAMPLE, Proxies, ProxyUrl};
use super::read::{self, NamedFile};
use super::realms::RealmPattern;
use crate::relay::text::urls::without_secrets;
use crate::relay::upstream::negotiate::{Negotiate, Principal};
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
        negotiate: negotiate(table, base)?,
        pins: pins(table)?,
        min_tls: table.get(&keys::MIN_TLS)?,
        http_version: table.get(&keys::HTTP_VERSION)?,
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

/// Kinds of credential caches that krb5.conf(5) knows by these names, but for those of one process.
const CACHES: [&str; 6] = ["FILE:", "DIR:", "KCM:", "KEYRING:", "API:", "SLOT:"];

/// `base`: what files are relative to.
fn negotiate(table: &ConfigSection, base: &Path) -> Result<Option<Negotiate>, ConfigError> {
    let written = |key| table.text(key);
    let ccache = written(&keys::CCACHE);
    let principal = written(&keys::NEGOTIATE_PRINCIPAL);
    let Some(auth) = written(&keys::AUTH) else {
        let alone = written(&keys::KEYTAB).or(ccache).or(principal);
        return alone.map_or(Ok(None), |written| {
            Err(written.error("tickets are shown only with auth = \"negotiate\""))
        });
    };
    if auth.value == "none" {
        return Ok(None);
    }
    if !table.is_written(&keys::KEYTAB) && ccache.is_none() {
        let rule = "auth = \"negotiate\" needs tickets to show";
        return Err(auth.error(rule).hint(
            "name a file of keys, keytab = \"FILE\", or a credential cache, ccache = \"NAME\"",
        ));
    }
    if !cfg!(feature = "negotiate") {
        return Err(auth
            .error("this loopkdc was built without the GSSAPI library")
            .hint("build it with it: cargo build --release --features negotiate"));
    }
    let mut principal = table.parse(&keys::NEGOTIATE_PRINCIPAL, parse_principal)?;
    let keytab = NamedFile::of(table, &keys::KEYTAB, base)?;
    if let Some(file) = &keytab {
        let chosen = choose(&file.octets, principal);
        principal = Some(chosen.map_err(|why| file.error(format!("{file} {why}")))?);
    }
    let ccache = ccache.map(|written| cache(base, &written));
    Ok(Some(Negotiate {
        keytab: keytab.map(|file| file.path),
        ccache: ccache.transpose()?,
        principal,
    }))
}

fn cache(base: &Path, written: &Located<String>) -> Result<String, ConfigError> {
    let text = &written.value;
    if CACHES.iter().any(|kind| text.starts_with(kind)) {
        return Ok(text.to_owned());
    }
    if text.starts_with("MEMORY:") {
        return Err(written
            .error("a MEMORY: cache is that of another process")
            .hint("with a keytab leave ccache out: tickets are kept in memory then"));
    }
    Ok(format!("FILE:{}", read::path(base, written)?.display()))
}

fn parse_principal(text: &str) -> Result<Principal, ConfigError> {
    match text.rsplit_once('@') {
        Some((name, realm)) if !name.is_empty() && !realm.is_empty() => Ok(Principal {
            name: name.to_owned(),
            realm: realm.to_owned(),
        }),
        _ => Err(ConfigError::new("a principal has a name and a realm")
            .hint("write it like \"host/laptop.example.com@EXAMPLE.COM\"")),
    }
}

/// The principal whose keys are to be used: the one that is `wanted`, else the first in the file.
fn choose(keytab: &[u8], wanted: Option<Principal>) -> Result<Principal, String> {
    let held = principals(keytab).ok_or("is no keytab of MIT's format")?;
    let first = held.first().cloned().ok_or("holds no key")?;
    match wanted {
        Some(wanted) if held.contains(&wanted) => Ok(wanted),
        Some(wanted) => Err(format!("holds no key of {wanted}")),
        None => Ok(first),
    }
}

/// The principals in a keytab, format 0x0502: entries behind their lengths, of which negative ones are holes.
fn principals(keytab: &[u8]) -> Option<Vec<Principal>> {
    let mut rest = keytab.strip_prefix(&[5, 2])?;
    let mut held = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        let octets = usize::try_from(length.unsigned_abs()).ok()?;
        let (entry, after) = after.split_at_checked(octets)?;
        match length {
            0 => break,
            1.. => held.push(principal(entry)?),
            _ => {}
        }
        rest = after;
    }
    Some(held)
}

fn principal(entry: &[u8]) -> Option<Principal> {
    let (count, mut rest) = entry.split_first_chunk()?;
    let mut text = || {
        let (length, after) = rest.split_first_chunk()?;
        let (text, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let realm = text()?;
    let count = u16::from_be_bytes(*count);
    // As it is written, and as the library reads it.
    let components = (0..count).map(|_| Some(escaped(&text()?)));
    let name = components.collect::<Option<Vec<_>>>()?.join("/");
    Some(Principal { name, realm })
}

/// RFC 1964 2.1.1.
fn escaped(component: &str) -> String {
    let component = component.replace('\\', r"\\");
    component.replace('/', r"\/").replace('@', r"\@")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A keytab as MIT's ktutil wrote it: two keys, of which one was deleted, and then one of a host.
    fn keytab(entries: &[(i32, &str, &[&str])]) -> Vec<u8> {
        let text = |text: &str| {
            [
                &u16::try_from(text.len()).unwrap().to_be_bytes(),
                text.as_bytes(),
            ]
            .concat()
        };
        let mut keytab = vec![5, 2];
        for (sign, realm, components) in entries {
            let mut entry = u16::try_from(components.len())
                .unwrap()
                .to_be_bytes()
                .to_vec();
            entry.extend(text(realm));
            entry.extend(components.iter().flat_map(|part| text(part)));
            entry.extend([0; 32]);
            keytab.extend((i32::try_from(entry.len()).unwrap() * sign).to_be_bytes());
            keytab.extend(entry);
        }
        keytab
    }

    fn chosen(keytab: &[u8], wanted: Option<&str>) -> Result<String, String> {
        let wanted = wanted.map(|text| {
            let (name, realm) = text.rsplit_once('@').unwrap();
            Principal {
                name: name.to_owned(),
                realm: realm.to_owned(),
            }
        });
        choose(keytab, wanted).map(|principal| principal.to_string())
    }

    #[test]
    fn the_first_principal_is_meant_unless_one_is_named() {
        let keytab = keytab(&[
            (-1, "GONE.EXAMPLE", &["gone"]),
            (1, "EXAMPLE.COM", &["host", "laptop.example.com"]),
            (1, "EXAMPLE.COM", &["laptop$", "a/b@c"]),
        ]);
        assert_eq!(
            chosen(&keytab, None).unwrap(),
            "host/laptop.example.com@EXAMPLE.COM"
        );
        let second = r"laptop$/a\/b\@c@EXAMPLE.COM";
        assert_eq!(chosen(&keytab, Some(second)).unwrap(), second);
        let none = chosen(&keytab, Some("gone@GONE.EXAMPLE")).unwrap_err();
        assert_eq!(none, "holds no key of gone@GONE.EXAMPLE");
    }

    #[test]
    fn what_is_no_keytab_is_told() {
        assert_eq!(chosen(&[5, 2], None).unwrap_err(), "holds no key");
        let whole = keytab(&[(1, "EXAMPLE.COM", &["user"])]);
        for octets in [
            &b""[..],
            b"\x05\x01",
            b"-----BEGIN",
            &whole[..whole.len() - 1],
            &[5, 2, 0, 0, 0, 1, 0],
        ] {
            assert_eq!(
                chosen(octets, None).unwrap_err(),
                "is no keytab of MIT's format",
                "{octets:?}"
            );
        }
    }
}
