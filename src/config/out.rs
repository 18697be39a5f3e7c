//! How requests get out, as the configuration says it: a realm's own keys, else those of `[defaults]`.

mod files;
mod forward_proxy;
mod headers;
mod identity;
mod negotiate;

use std::path::{Path, PathBuf};

use toml::Spanned;
use url::Host;

use self::files::Files;
use super::entries::either;
use super::error::ConfigError;
use super::file::{List, RealmTable};
use super::proxies::Proxies;
use super::proxy::{EXAMPLE, ProxyUrl};
use super::realms::RealmPattern;
use crate::relay::upstream::out::{MinTls, Out};
use crate::relay::upstream::tls::Pin;

/// The keys of one realm, and those that it takes from `[defaults]`.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) own: &'a RealmTable,
    pub(super) defaults: &'a RealmTable,
}

impl<'a> Keys<'a> {
    fn get<T>(self, key: impl Fn(&'a RealmTable) -> &'a Option<T>) -> Option<&'a T> {
        either(key(self.own), key(self.defaults))
    }

    /// `auth`, if it asks for anything.
    fn auth(self) -> Option<&'a Spanned<String>> {
        let auth = self.get(|table| &table.auth);
        auth.filter(|auth| auth.get_ref() != "none")
    }

    /// `base`: what files are relative to.
    pub(super) fn out(self, base: &Path) -> Result<Out, ConfigError> {
        let files = Files { base };
        Ok(Out {
            via: forward_proxy::via(self.get(|table| &table.http_proxy))?,
            identity: identity::identity(self, files)?,
            shown: headers::shown(self, files)?,
            negotiate: negotiate::negotiate(self, files)?,
            pins: self.get(|table| &table.pins).map_or(Ok(Vec::new()), pins)?,
            min_tls: self
                .get(|table| &table.min_tls)
                .map_or(Ok(MinTls::default()), min_tls)?,
            secret_files: self.secret_files(files)?,
        })
    }

    fn secret_files(self, files: Files<'_>) -> Result<Vec<PathBuf>, ConfigError> {
        let key = self.get(|table| &table.client_key);
        let certificate = self.get(|table| &table.client_certificate);
        let named = [
            key.or(certificate),
            self.get(|table| &table.client_key_passphrase_file),
            self.get(|table| &table.headers_file),
            self.get(|table| &table.bearer_token_file),
            self.get(|table| &table.keytab),
        ];
        named
            .into_iter()
            .flatten()
            .map(|written| files.path(written))
            .collect()
    }

    /// Refuses what any local user could spend on a realm of their choice, unless it is meant.
    pub(super) fn guard(self, pattern: &RealmPattern) -> Result<(), ConfigError> {
        let is_meant = self.get(|table| &table.any_realm).copied();
        if !matches!(pattern, RealmPattern::Any) || is_meant == Some(true) {
            return Ok(());
        }
        let of_this_machine = [
            (
                "client-certificate",
                self.get(|table| &table.client_certificate),
            ),
            ("headers-file", self.get(|table| &table.headers_file)),
            (
                "bearer-token-file",
                self.get(|table| &table.bearer_token_file),
            ),
            ("tickets", self.auth()),
        ];
        for (key, written) in of_this_machine {
            if let Some(written) = written {
                return Err(ConfigError::new(format!(
                    "with realm * any local user could have a realm of their choice asked with this machine's {key}"
                ))
                .hint("name the realms, or say any-realm = true if that is meant")
                .at(written.span()));
            }
        }
        Ok(())
    }

    /// Refuses proxies that can't be reached that way, or to which what is to be shown would go in plain text.
    pub(super) fn suit(self, proxies: &Proxies) -> Result<(), ConfigError> {
        if let (Proxies::Discovered(_), Some((key, written))) = (proxies, self.secret()) {
            return Err(ConfigError::new(format!(
                "what {key} is to show would go to whichever host DNS names"
            ))
            .hint(format!(
                "list the proxies that may see it: proxies = [{EXAMPLE}]"
            ))
            .at(written.span()));
        }
        if let (true, Some((key, written))) = (proxies.may_be_plaintext(), self.secret()) {
            return Err(ConfigError::new(format!(
                "an http:// proxy would be sent in plain text what {key} is to show it"
            ))
            .hint("write https:// in proxies")
            .at(written.span()));
        }
        let is_ipv6 = |proxy: &&ProxyUrl| matches!(proxy.as_url().host(), Some(Host::Ipv6(_)));
        let via = self.get(|table| &table.http_proxy);
        match (via, proxies.listed().iter().find(is_ipv6)) {
            // reqwest takes the brackets for a part of the name that is to be in the certificate.
            (Some(via), Some(proxy)) if via.get_ref() != "none" => Err(ConfigError::new(
                "a KDC proxy that goes by an IPv6 address can't be reached through another proxy",
            )
            .hint(format!("write a name in its place: {proxy}"))
            .at(via.span())),
            _ => Ok(()),
        }
    }

    /// A key by which requests show what nobody else should see, and where it stands.
    fn secret(self) -> Option<(&'static str, &'a Spanned<String>)> {
        let secrets = [
            ("headers-file", self.get(|table| &table.headers_file)),
            (
                "bearer-token-file",
                self.get(|table| &table.bearer_token_file),
            ),
            ("auth", self.auth()),
        ];
        let mut written = secrets
            .into_iter()
            .filter_map(|(key, written)| Some((key, written?)));
        written.next()
    }
}

fn pins(list: &Spanned<List>) -> Result<Vec<Pin>, ConfigError> {
    let mut pins = Vec::new();
    for written in &list.get_ref().0 {
        let pin = Pin::parse(written.get_ref()).ok_or_else(|| {
            ConfigError::new("a pin is \"sha256/\" and the base64 of a key's SHA-256")
                .hint("for a certificate in FILE: openssl x509 -in FILE -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64")
                .at(written.span())
        })?;
        pins.push(pin);
    }
    Ok(pins)
}

fn min_tls(written: &Spanned<String>) -> Result<MinTls, ConfigError> {
    match written.get_ref().as_str() {
        "1.2" => Ok(MinTls::Tls12),
        "1.3" => Ok(MinTls::Tls13),
        _ => Err(ConfigError::new("min-tls is \"1.2\" or \"1.3\"").at(written.span())),
    }
}
