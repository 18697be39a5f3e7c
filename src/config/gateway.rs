//! The configuration of `loopkdc gateway`: by the same means as that of `loopkdc run`.
//!
//! `serving` is `[gateway]`, `tls` the certificates that it names. The realms are read here, and in `policy` what may be asked of
//! them.

mod access;
mod policy;
mod serving;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use access::{AllowedCertificates, AllowedToken, Tokens, TokensFile};
pub use policy::{AllowedPreauth, NamePattern, RealmPolicy};
pub use serving::{
    AccessLogSettings, AccessLogTarget, DEFAULT_PATH, HEALTH_PATH, Quotas, Serving, TrustedProxies,
};
pub use tls::TlsFiles;
pub(crate) use tls::{ServerIdentity, TlsPems};

use super::document::{ConfigSection, Document, RealmSection};
use super::endpoint::LoopbackAddr;
use super::error::ConfigError;
use super::kdcs::{self, Kdcs};
use super::realms::{RealmNames, RealmPattern};
use super::{exposed, keys, locate, removed};
use crate::relay::failure::Failure;
use crate::relay::finding::{Finding, Hint};
use crate::relay::upstream::kdc::Transport;
use crate::wire::{ByService, Realm};

/// A configuration that can work.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// What is served, where, and within which bounds.
    pub serving: Serving,
    /// The realms in the file's order. No two names or aliases are the same. May be empty.
    pub realms: Vec<KdcRealm>,
    /// The file that was read.
    pub source: PathBuf,
    /// Keys in it that do nothing any more.
    removed: Vec<Finding>,
}

/// One realm, with what it takes from `[defaults]`.
#[derive(Debug, Clone)]
pub struct KdcRealm {
    /// Its name.
    pub realm: Realm,
    /// Other names that clients use for it.
    pub aliases: Vec<Realm>,
    /// Where its KDCs are known from.
    pub kdcs: Kdcs,
    /// Which services are offered; at least one.
    pub services: ByService<bool>,
    /// Over which transport its KDCs are asked.
    pub transport: Transport,
    /// The most that a request may take until its answer.
    pub deadline: Duration,
    /// Requests for other realms are served under its name.
    pub serves_other_realms: bool,
    /// What may be asked of it.
    pub policy: RealmPolicy,
}

impl GatewayConfig {
    /// Reads and validates the file that was `given`, else the one in the usual places, and the certificate.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(given: Option<&Path>) -> Result<Self, Failure> {
        let (source, text) = locate::GATEWAY.read(given)?;
        Self::parse(&source, &text)
    }

    /// Validates `text` as that of the file `source`, to whose directory the files in it are relative.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(source: &Path, text: &str) -> Result<Self, Failure> {
        let config = Document::parse(text, &keys::GATEWAY).and_then(|document| {
            let config = Self::build(&document, text, source)?;
            if let Some(tls) = &config.serving.tls {
                let identity = tls.read().and_then(|pems| pems.identity());
                identity.map_err(|error| error.in_table(&document.service))?;
            }
            if let Some(tokens) = &config.serving.tokens {
                let tokens = tokens.read().and_then(|file| Tokens::parse(&file));
                tokens.map_err(|error| error.in_table(&document.service))?;
            }
            Ok(config)
        });
        config.map_err(|error| error.into_failure(Some((source, text))))
    }

    /// `source`: where `text` is, to whose directory the files in it are relative. Opens none of them.
    fn build(document: &Document, text: &str, source: &Path) -> Result<Self, ConfigError> {
        let base = source.parent().unwrap_or(Path::new(""));
        let (mut names, defaults) = (RealmNames::default(), &document.defaults);
        services(defaults)?;
        kdcs::networks(defaults)?;
        RealmPolicy::read(defaults)?;
        let realms = document.realms.iter();
        Ok(Self {
            serving: Serving::read(&document.service, base)?,
            realms: realms
                .map(|table| KdcRealm::read(table, &mut names))
                .collect::<Result<_, _>>()?,
            removed: removed(document, source, text),
            source: source.to_owned(),
        })
    }

    /// All files that it stands in.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let Serving { tls, tokens, .. } = &self.serving;
        let tls = tls.iter().flat_map(|tls| {
            let needed = [&tls.certificate, &tls.key].into_iter();
            needed.chain(&tls.client_ca).chain(&tls.client_crl)
        });
        let files = std::iter::once(&self.source).chain(tls).cloned();
        let tokens = tokens.iter().map(|tokens| tokens.path().to_owned());
        files.chain(tokens).collect()
    }

    /// What is valid, and still worth a word.
    pub fn warnings(&self) -> Vec<Finding> {
        let mut warnings = self.removed.clone();
        if self.realms.is_empty() {
            let warning = Finding::warning("no realm is configured: every request will be refused");
            warnings.push(warning.hint("add [realms.\"EXAMPLE.COM\"] with kdcs"));
        }
        let Serving { plain, trusted, .. } = &self.serving;
        if !plain.is_empty() && *trusted == TrustedProxies::default() {
            let warning = Finding::warning(
                "plain-listen without trusted-proxies: all clients behind the reverse proxy count as one",
            );
            warnings.push(warning.hint(Hint::key("trusted-proxies")));
        }
        let tls = self.serving.tls.as_ref();
        if !plain.is_empty() && tls.is_some_and(|tls| tls.client_ca.is_some()) {
            warnings.push(Finding::warning(
                "client-ca-file has no say over plain-listen: the reverse proxy must check certificates there",
            ));
        }
        let asks_all = tls.is_some_and(|tls| tls.require_client_cert);
        if asks_all && self.serving.clients.is_empty() && self.serving.tokens.is_some() {
            let warning = "tokens-file has no say over listen: everybody there has a certificate";
            let hint = "name those that are let in without a token: clients";
            warnings.push(Finding::warning(warning).hint(hint));
        }
        let tokens = self.serving.tokens.as_ref();
        warnings.extend(tokens.and_then(|tokens| exposed(tokens.path())));
        warnings.extend(self.exposes_metrics());
        let clients = self.serving.clients.iter();
        warnings.extend(clients.flat_map(|client| self.unserved(client)));
        if !self.serving.is_strict {
            let warning = "validate = \"outline\": KDCs get messages that are broken inside";
            warnings.push(Finding::warning(warning));
        }
        let log = self.serving.access_log.as_ref();
        if log.is_some_and(|log| log.principals) {
            warnings.push(Finding::warning(
                "log-principals: the access log names who logs in",
            ));
        }
        warnings.extend(self.realms.iter().flat_map(KdcRealm::needs_services));
        warnings
    }

    /// Other machines may read the metrics.
    fn exposes_metrics(&self) -> Option<Finding> {
        let remote = |addr: &SocketAddr| LoopbackAddr::new(*addr).is_none();
        let addr = self.serving.metrics.filter(remote)?;
        Some(Finding::warning(format!(
            "metrics-listen = \"{addr}\": whoever reaches it is told which realms are used, and how much"
        )))
    }

    /// Realms that are granted and can't be had, as far as the configuration tells.
    fn unserved(&self, granted: &AllowedCertificates) -> Vec<Finding> {
        let is_served = |realm: &&Realm| {
            let named = |entry: &KdcRealm| {
                let mut names = std::iter::once(&entry.realm).chain(&entry.aliases);
                entry.serves_other_realms || names.any(|name| name.key() == realm.key())
            };
            self.realms.iter().any(named)
        };
        let realms = granted.realms.iter();
        let warning = |realm: &Realm| {
            let text = format!("clients may ask for realm {realm}, which is not served");
            Finding::warning(text).hint("spell it as [realms] does, or add it there")
        };
        realms
            .filter(|realm| !is_served(realm))
            .map(warning)
            .collect()
    }
}

impl KdcRealm {
    fn read(table: &RealmSection, names: &mut RealmNames) -> Result<Self, ConfigError> {
        let RealmSection { name, own, all } = table;
        let pattern = name.parse(|text| RealmPattern::parse(text))?;
        name.parse(|_| names.add(&pattern))?;
        let Some(realm) = pattern.exact() else {
            let rule = "a gateway serves the realms that it names, no wildcard";
            return Err(name.error(rule).hint("write a table for each realm"));
        };
        let services = services(all)?;
        Ok(Self {
            aliases: names.aliases(&pattern, own)?,
            kdcs: name.parse(|_| kdcs::read(realm, services, table))?,
            services,
            transport: all.get(&keys::TRANSPORT)?,
            deadline: all.seconds(&keys::GATEWAY_DEADLINE_SECONDS)?,
            serves_other_realms: all.flag(&keys::SERVE_OTHER_REALMS),
            policy: RealmPolicy::read(all)?,
            realm: realm.clone(),
        })
    }
}

impl KdcRealm {
    /// What is offered and can't be had, as `allow-services` keeps its ticket from everybody.
    fn needs_services(&self) -> Vec<Finding> {
        let realm = &self.realm;
        let needs = [
            (
                self.services.kdc,
                format!("krbtgt/{realm}"),
                "nobody can log in",
            ),
            (
                self.services.kpasswd,
                "kadmin/changepw".to_owned(),
                "nobody can change a password",
            ),
        ];
        let is_missing = |(is_offered, service, _): &(bool, String, _)| {
            *is_offered && !self.policy.allows_service(service)
        };
        let warning = |(_, service, what)| {
            let text = format!("realm {realm}: allow-services has no {service}: {what}");
            Finding::warning(text).hint(format!("add \"{service}\""))
        };
        needs.into_iter().filter(is_missing).map(warning).collect()
    }
}

fn services(table: &ConfigSection) -> Result<ByService<bool>, ConfigError> {
    let mut services = ByService::both(false);
    table.parse_each(&keys::SERVICES, |text: &String| {
        match text.as_str() {
            "kdc" => services.kdc = true,
            "kpasswd" => services.kpasswd = true,
            _ => return Err(ConfigError::new("a service is \"kdc\" or \"kpasswd\"")),
        }
        Ok(())
    })?;
    if services.kdc || services.kpasswd {
        return Ok(services);
    }
    let hint =
        "services = [\"kdc\", \"kpasswd\"] offers both; a realm without a table is not served";
    Err(table
        .error(&keys::SERVICES, "no service would be offered")
        .hint(hint))
}
