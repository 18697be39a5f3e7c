//! Which realms a daemon serves, and where: as the one that runs says, else as the configuration does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use crate::config::endpoint::{Endpoint, EndpointAddr};
use crate::config::{Config, KDC_PORT, RealmPattern, Sources};
use crate::operate::doctor::krb5_conf::ClientConfig;
use crate::operate::status;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::status::{ListenerStatus, StatusDocument};
use crate::wire::Realm;

/// How long the daemon is asked which realms it serves.
const STATUS: Duration = Duration::from_secs(1);

/// What a daemon serves.
#[derive(Debug, Default)]
pub(super) struct Served {
    patterns: Vec<RealmPattern>,
    aliases: Vec<Realm>,
    /// Where its KDC service is asked.
    pub(super) listeners: Vec<EndpointAddr>,
}

impl Served {
    /// As the configuration in `file` says; else as the daemon does that runs, else as the usual configuration.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(super) async fn find(file: Option<&Path>) -> Result<Self, Failure> {
        if file.is_none()
            && let Some(document) = status().await
        {
            return Ok(Self::of_status(&document));
        }
        let sources = Sources {
            file: file.map(Path::to_owned),
            ..Sources::default()
        };
        match Config::load(&sources) {
            Ok(config) => Ok(Self::of_config(&config)),
            // Its keys may be for the daemon alone, which must keep nobody from waiting.
            Err(failure) if failure.exit() == Exit::Permission => Ok(Self::usual()),
            Err(failure) => Err(failure),
        }
    }

    fn of_config(config: &Config) -> Self {
        let realms = config.realms.iter();
        Self {
            patterns: realms.clone().map(|entry| entry.pattern.clone()).collect(),
            aliases: realms.flat_map(|entry| entry.aliases.clone()).collect(),
            listeners: addresses(&config.listen.kdc),
        }
    }

    fn of_status(document: &StatusDocument) -> Self {
        let realms = document.realms.iter();
        let patterns = realms
            .clone()
            .filter_map(|realm| RealmPattern::parse(realm.name.as_str()).ok());
        // While its configuration has a mistake it may serve none, and which it will is not known.
        let none_yet = document.realms.is_empty().then_some(RealmPattern::Any);
        let aliases = realms.flat_map(|realm| &realm.aliases);
        let aliases = aliases.filter_map(|alias| Realm::parse(alias.as_str().as_bytes()).ok());
        Self {
            patterns: patterns.chain(none_yet).collect(),
            aliases: aliases.collect(),
            listeners: listeners(document),
        }
    }

    /// Any realm, at the usual addresses.
    fn usual() -> Self {
        let usual = [format!("127.0.0.1:{KDC_PORT}"), format!("[::1]:{KDC_PORT}")];
        let usual = usual.iter().filter_map(|address| address.parse().ok());
        Self {
            patterns: vec![RealmPattern::Any],
            listeners: usual.map(EndpointAddr::Remote).collect(),
            ..Self::default()
        }
    }

    /// The realm that is `wanted`, the default realm of krb5.conf, or all that have a name.
    ///
    /// # Errors
    /// It serves none of that.
    pub(super) fn choose(&self, wanted: Option<&str>) -> Result<Vec<Realm>, Failure> {
        self.choose_by(wanted, || {
            ClientConfig::of_this_machine()
                .default_realm()
                .map(str::to_owned)
        })
    }

    fn choose_by(
        &self,
        wanted: Option<&str>,
        default_realm: impl FnOnce() -> Option<String>,
    ) -> Result<Vec<Realm>, Failure> {
        let parse = |text: &str| Realm::parse(text.as_bytes());
        if let Some(text) = wanted {
            let realm = parse(text).map_err(|error| unknown(error.to_string()))?;
            if self.serves(&realm) {
                return Ok(vec![realm]);
            }
            return Err(unknown(format!("realm {realm} is not configured")));
        }
        let default = default_realm().and_then(|text| parse(&text).ok());
        if let Some(default) = default.filter(|realm| self.serves(realm)) {
            return Ok(vec![default]);
        }
        let named: Vec<_> = self
            .patterns
            .iter()
            .filter_map(RealmPattern::exact)
            .collect();
        if named.is_empty() {
            return Err(unknown("no realm is named in the configuration".to_owned()));
        }
        Ok(named.into_iter().cloned().collect())
    }

    fn serves(&self, realm: &Realm) -> bool {
        let key = realm.key();
        let is_alias = |alias: &Realm| alias.key() == key;
        self.patterns.iter().any(|pattern| pattern.matches(&key))
            || self.aliases.iter().any(is_alias)
    }
}

fn unknown(what: String) -> Failure {
    let fault = Finding::fault(what);
    let fault = fault.command("see which realms are served", ["loopkdc", "check"]);
    Failure::of(
        Exit::Config,
        fault.command("and name one of them", ["loopkdc", "wait", "REALM"]),
    )
}

/// Where the daemon that runs says that it listens.
pub(super) async fn listeners_of_status() -> Vec<EndpointAddr> {
    let document = status().await;
    document.as_ref().map_or_else(Vec::new, listeners)
}

async fn status() -> Option<StatusDocument> {
    let asked = timeout(STATUS, status::ask(None)).await;
    asked.ok()?.ok().map(|reply| reply.document)
}

fn listeners(document: &StatusDocument) -> Vec<EndpointAddr> {
    let address = |listener: &ListenerStatus| match listener.transport.as_str() {
        "tcp" => listener
            .address
            .as_str()
            .parse()
            .ok()
            .map(EndpointAddr::Remote),
        "unix" => Some(EndpointAddr::Unix(PathBuf::from(listener.address.as_str()))),
        _ => None,
    };
    let of_kdc = document.listeners.iter();
    let of_kdc = of_kdc.filter(|listener| listener.service.as_str() == "kdc");
    of_kdc.filter_map(address).collect()
}

fn addresses(endpoints: &[Endpoint]) -> Vec<EndpointAddr> {
    endpoints
        .iter()
        .map(|endpoint| endpoint.addr.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [listen]
        kdc = ["127.0.0.1:1088", "unix:/run/kdc.sock"]
        [realms."EXAMPLE.COM"]
        proxies = ["https://a.example.com"]
        aliases = ["CORP"]
        [realms."EXAMPLE.ORG"]
        proxies = ["https://b.example.com"]
        [realms."*.EXAMPLE.COM"]
        proxies = ["https://c.example.com"]
    "#;

    fn served(text: &str) -> Served {
        let config = Config::parse(Path::new("config.toml"), text, &Sources::default());
        Served::of_config(&config.unwrap())
    }

    fn chosen(wanted: Option<&str>, default: Option<&str>) -> Result<Vec<String>, String> {
        let realms = served(CONFIG).choose_by(wanted, || default.map(str::to_owned));
        let realms = realms.map_err(|failure| failure.message().to_owned())?;
        Ok(realms.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_realm_that_is_named_is_meant_else_the_default_one_else_all() {
        for (wanted, default, expected) in [
            (
                Some("example.com"),
                Some("EXAMPLE.ORG"),
                &["example.com"][..],
            ),
            (Some("corp"), None, &["corp"]),
            (Some("A.EXAMPLE.COM"), None, &["A.EXAMPLE.COM"]),
            (None, Some("EXAMPLE.ORG"), &["EXAMPLE.ORG"]),
            (None, Some("NOWHERE"), &["EXAMPLE.COM", "EXAMPLE.ORG"]),
            (None, None, &["EXAMPLE.COM", "EXAMPLE.ORG"]),
        ] {
            assert_eq!(chosen(wanted, default).unwrap(), expected, "{wanted:?}");
        }
    }

    #[test]
    fn what_is_not_served_would_be_waited_for_in_vain() {
        for (wanted, what) in [
            ("NOWHERE", "realm NOWHERE is not configured"),
            ("", "the realm is empty"),
        ] {
            assert_eq!(chosen(Some(wanted), None).unwrap_err(), what);
        }
        let wildcard = served("[realms.\"*.EXAMPLE.COM\"]\nproxies = [\"https://c.example.com\"]");
        let failure = wildcard.choose_by(None, || None).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert_eq!(failure.message(), "no realm is named in the configuration");
    }

    #[test]
    fn it_is_asked_where_the_configuration_says_that_it_listens() {
        let listeners = served(CONFIG).listeners;
        let shown: Vec<_> = listeners.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1:1088", "unix:/run/kdc.sock"]);
    }
}
