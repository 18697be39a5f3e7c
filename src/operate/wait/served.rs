//! Which realms a daemon serves, and where: as the one that runs says, else as the configuration does.

use std::iter;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::endpoint::EndpointAddr;
use crate::config::{Config, RealmPattern, Sources, StatusSocket};
use crate::operate::doctor::krb5_conf::ClientConfig;
use crate::operate::status;
use crate::relay::clock::millis;
use crate::relay::failure::{Exit, Failure};
use crate::relay::finding::Finding;
use crate::relay::status::{
    DaemonKind, ExchangeOutcome, ExchangeRecord, ListenerStatus, RealmStatus, StatusDocument, Text,
};
use crate::relay::text::closest;
use crate::wire::Realm;

/// How long the daemon is asked which realms it serves.
const STATUS: Duration = Duration::from_secs(1);

/// What a daemon serves.
#[derive(Debug)]
pub(super) struct Served {
    patterns: Vec<RealmPattern>,
    aliases: Vec<RealmPattern>,
    /// Where its KDC service is asked.
    pub(super) listeners: Vec<EndpointAddr>,
    status_socket: StatusSocket,
    /// Why the configuration does not say what is served.
    mistake: Option<Failure>,
}

impl Served {
    /// As the configuration in `file` says; else as the daemon does that runs, else as the usual configuration. A mistake in that
    /// keeps nobody from waiting: the daemon may serve the last good one.
    ///
    /// # Errors
    /// The configuration in `file` cannot be used.
    pub(super) async fn find(file: Option<&Path>) -> Result<Self, Failure> {
        if file.is_none()
            && let Some(document) = status(&StatusSocket::Usual).await
        {
            return Ok(Self::of_status(&document));
        }
        let sources = Sources::of_file(file.map(Path::to_owned));
        match Config::load(&sources) {
            Ok(config) => Ok(Self::of_config(&config)),
            // Of a file that is named, too, the keys may be for the daemon alone.
            Err(mistake) if file.is_none() || mistake.exit() == Exit::Permission => Ok(Self {
                patterns: vec![RealmPattern::Any],
                mistake: Some(mistake),
                ..Self::of_config(&Config::without_realms(&sources)?)
            }),
            Err(failure) => Err(failure),
        }
    }

    fn of_config(config: &Config) -> Self {
        let (realms, listeners) = (config.realms.iter(), config.listen.kdc.iter());
        let aliases = realms.clone().flat_map(|entry| entry.aliases.clone());
        Self {
            patterns: realms.map(|entry| entry.pattern.clone()).collect(),
            aliases: aliases.map(RealmPattern::Exact).collect(),
            listeners: listeners.map(|endpoint| endpoint.addr.clone()).collect(),
            status_socket: config.listen.status_socket.clone(),
            mistake: None,
        }
    }

    fn of_status(document: &StatusDocument) -> Self {
        let realms = document.realms.iter();
        let pattern = |name: &Text| RealmPattern::parse(name.as_str()).ok();
        // While its configuration has a mistake it may serve none, and which it will is not known.
        let none_yet = document.realms.is_empty().then_some(RealmPattern::Any);
        let patterns = realms.clone().filter_map(|realm| pattern(&realm.name));
        let aliases = realms.flat_map(|realm| &realm.aliases);
        Self {
            patterns: patterns.chain(none_yet).collect(),
            aliases: aliases.filter_map(pattern).collect(),
            listeners: listeners(document),
            status_socket: StatusSocket::Usual,
            mistake: None,
        }
    }

    /// What is wrong with the configuration, where it does not say what is served. That some of it may not be read is not.
    pub(super) fn mistake(&self) -> Option<&Finding> {
        let mistake = self.mistake.as_ref();
        let mistake = mistake.filter(|mistake| mistake.exit() != Exit::Permission);
        mistake.map(Failure::finding)
    }

    /// What the daemon that runs says of itself.
    pub(super) async fn status(&self) -> Option<StatusDocument> {
        status(&self.status_socket).await
    }

    /// The realm that is `wanted`, the default realm of krb5.conf, or all that have a name.
    ///
    /// # Errors
    /// It serves none of that.
    pub(super) fn choose(&self, wanted: Option<&str>) -> Result<Vec<Realm>, Failure> {
        let client = ClientConfig::of_this_machine;
        self.choose_by(wanted, || client().default_realm().map(str::to_owned))
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
            return Err(self.unknown(&format!("realm {realm}"), realm.as_str()));
        }
        let default = default_realm().and_then(|text| parse(&text).ok());
        match default {
            Some(default) if self.serves(&default) => return Ok(vec![default]),
            Some(default) if self.similar(default.as_str()).is_some() => {
                let what = format!("default_realm {default} of krb5.conf");
                return Err(self.unknown(&what, default.as_str()));
            }
            _ => {}
        }
        let named = self.patterns.iter().filter_map(RealmPattern::exact);
        let named: Vec<_> = named.cloned().collect();
        if named.is_empty() {
            let none = || unknown("no realm is named in the configuration".to_owned());
            return Err(self.mistake.clone().unwrap_or_else(none));
        }
        Ok(named)
    }

    /// `what` is not served, and what is meant by that name.
    fn unknown(&self, what: &str, name: &str) -> Failure {
        let none = format!("{what} is not configured");
        let Some(other) = self.similar(name) else {
            return unknown(none);
        };
        let fault = Finding::fault(format!("{none}, and {other} is"))
            .command("if that is meant", ["loopkdc", "wait", other])
            .typed("else see which realms are served", "loopkdc check");
        Failure::of(Exit::Config, fault)
    }

    fn similar(&self, name: &str) -> Option<&str> {
        let patterns = self.patterns.iter().chain(&self.aliases);
        let realms = patterns.filter_map(RealmPattern::exact);
        closest(name, realms.map(Realm::as_str))
    }

    fn serves(&self, realm: &Realm) -> bool {
        let key = realm.key();
        let mut patterns = self.patterns.iter().chain(&self.aliases);
        patterns.any(|pattern| pattern.matches(&key))
    }
}

fn unknown(what: String) -> Failure {
    let fault = Finding::fault(what).typed("see which realms are served", "loopkdc check");
    let fault = fault.typed("and name one of them", "loopkdc wait REALM");
    Failure::of(Exit::Config, fault)
}

async fn status(socket: &StatusSocket) -> Option<StatusDocument> {
    let socket = match socket {
        StatusSocket::Usual => None,
        StatusSocket::At(path) => Some(path.as_path()),
        StatusSocket::Off => return None,
    };
    let asked = timeout(STATUS, status::ask(DaemonKind::Run, socket)).await;
    asked.ok()?.ok().map(|reply| reply.document)
}

/// Where the daemon's KDC service takes connections.
pub(super) fn listeners(document: &StatusDocument) -> Vec<EndpointAddr> {
    let address = |listener: &ListenerStatus| {
        let address = listener.address.as_str();
        match listener.transport.as_str() {
            _ if listener.awaits_address => None,
            "tcp" => address.parse().ok().map(EndpointAddr::Remote),
            "unix" => Some(EndpointAddr::Unix(address.into())),
            _ => None,
        }
    };
    let of_kdc = document.listeners.iter();
    let of_kdc = of_kdc.filter(|listener| listener.service.as_str() == "kdc");
    of_kdc.filter_map(address).collect()
}

fn has_name(realm: &RealmStatus, name: &str) -> bool {
    let mut names = iter::once(&realm.name).chain(&realm.aliases);
    names.any(|of| of.as_str().eq_ignore_ascii_case(name))
}

/// The daemon brought somebody a KDC's reply for this realm in the time of this length before it said so.
pub(super) fn has_replied(document: &StatusDocument, realm: &Realm, lately: Duration) -> bool {
    // Who asked may have called it by another one of its names.
    let is_it = |name: &str| {
        let mut realms = document.realms.iter();
        name.eq_ignore_ascii_case(realm.as_str())
            || realms.any(|of| has_name(of, name) && has_name(of, realm.as_str()))
    };
    let replied = |exchange: &ExchangeRecord| {
        exchange.outcome == ExchangeOutcome::Replied
            && exchange.kind.as_str() != "kpasswd"
            && is_it(exchange.realm.as_str())
            && document.written_at.saturating_sub(exchange.ended_at) < millis(lately)
    };
    document.exchanges.iter().any(replied)
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
            (
                "EXAMPEL.COM",
                "realm EXAMPEL.COM is not configured, and EXAMPLE.COM is",
            ),
            ("CROP", "realm CROP is not configured, and CORP is"),
            ("", "the realm is empty"),
        ] {
            assert_eq!(chosen(Some(wanted), None).unwrap_err(), what);
        }
        let mistaken = chosen(None, Some("EXAMPEL.COM")).unwrap_err();
        let what = "default_realm EXAMPEL.COM of krb5.conf is not configured, and EXAMPLE.COM is";
        assert_eq!(mistaken, what);
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
