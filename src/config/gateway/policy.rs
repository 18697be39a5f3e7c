//! What may be asked of a realm: who, by which preauthentication, and for which services.

use std::fmt;

use serde::Deserialize;

use crate::config::document::ConfigSection;
use crate::config::error::ConfigError;
use crate::config::keys;

/// What may be asked of a realm; by default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmPolicy {
    /// Which preauthentication may come in.
    pub preauth: AllowedPreauth,
    /// Whose AS-REQs are refused.
    pub deny_principals: Vec<NamePattern>,
    /// The only services that tickets may be asked for, if not all.
    pub allow_services: Option<Vec<NamePattern>>,
    /// Nobody is told whose name is nobody's.
    pub hides_unknown: bool,
}

/// Which preauthentication may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllowedPreauth {
    /// Any.
    #[default]
    Any,
    /// Inside FAST alone (RFC 6113); and that of nobody, with which armor is made (RFC 8062).
    Armored,
    /// Any but an encrypted timestamp outside of FAST.
    NoTimestamp,
}

/// Names of principals: `*` stands for anything, slashes included, and letter case makes no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    /// What stands between the asterisks, in lower case.
    pieces: Vec<String>,
}

impl RealmPolicy {
    pub(super) fn read(table: &ConfigSection) -> Result<Self, ConfigError> {
        let patterns = |key| table.parse_each(key, |text: &String| NamePattern::parse(text));
        let is_limited = table.is_written(&keys::ALLOW_SERVICES);
        let allow_services = is_limited.then(|| patterns(&keys::ALLOW_SERVICES));
        let allow_services = allow_services.transpose()?;
        if allow_services.as_ref().is_some_and(Vec::is_empty) {
            let rule = "no ticket could be asked for";
            let hint = "name the services, or take the key away: then there are tickets for all";
            return Err(table.error(&keys::ALLOW_SERVICES, rule).hint(hint));
        }
        Ok(Self {
            preauth: table.get(&keys::PREAUTH)?,
            hides_unknown: table.flag(&keys::HIDE_UNKNOWN_PRINCIPALS),
            deny_principals: patterns(&keys::DENY_PRINCIPALS)?,
            allow_services,
        })
    }

    /// True if nobody of this `name` is to be asked for. Of `user@domain` (RFC 6806 5) the user counts as well.
    #[must_use]
    pub fn denies_principal(&self, name: &str) -> bool {
        let user = name.rsplit_once('@').map(|(user, _)| user);
        let is_matched = |name| self.deny_principals.iter().any(|it| it.matches(name));
        is_matched(name) || user.is_some_and(is_matched)
    }

    /// True if tickets for the service of this `name` may be asked for.
    #[must_use]
    pub fn allows_service(&self, name: &str) -> bool {
        let allowed = self.allow_services.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|it| it.matches(name)))
    }
}

impl NamePattern {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let broken = |rule: &str| {
            let hint = "write it like \"administrator\", \"*/admin\" or \"HTTP/*\"";
            Err(ConfigError::new(rule).hint(hint))
        };
        if text.trim().is_empty() {
            return broken("this is no name");
        }
        if text.contains('@') {
            return broken("names stand here without their realm");
        }
        // A list that somebody takes for more than it says would let in whom it is to keep out.
        if text.contains(['?', '[', ']', '{', '}', '\\']) {
            return broken("* is the only wildcard");
        }
        Ok(Self {
            pieces: folded(text).split('*').map(str::to_owned).collect(),
            text: text.to_owned(),
        })
    }

    /// True if it stands for `name`.
    pub fn matches(&self, name: &str) -> bool {
        let name = folded(name);
        let [first, middle @ .., last] = &self.pieces[..] else {
            return self.pieces == [name];
        };
        let rest = name.strip_prefix(first.as_str());
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(last.as_str())) else {
            return false;
        };
        middle.iter().all(|piece| {
            let found = rest.split_once(piece.as_str());
            rest = found.map_or(rest, |(_, rest)| rest);
            found.is_some()
        })
    }
}

/// As names are compared: Active Directory knows neither letter case nor spaces around them.
fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// As the configuration has it.
impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
