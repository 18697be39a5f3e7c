//! What is known of a realm: which proxies serve it, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::ca::CaFile;
use super::direct::Direct;
use super::error::ConfigError;
use super::kdcs::{Discover, Kdcs};
use super::proxies::Proxies;
pub use crate::relay::answer::OnFailure;
pub use crate::relay::routes::RealmPattern;
use crate::relay::upstream::dns::ProxyDiscovery;
use crate::relay::upstream::out::Out;
use crate::wire::{Realm, RealmKey};

/// One `[realms."…"]` table, with what it takes from `[defaults]`.
#[derive(Debug, Clone)]
pub struct RealmEntry {
    /// The realms that it serves.
    pub pattern: RealmPattern,
    /// Other names that clients use for it, sent on as the realm's own. Empty unless the pattern is exact.
    pub aliases: Vec<Realm>,
    /// The ways out.
    pub proxies: Proxies,
    /// The KDCs that are asked themselves where they can be reached. None unless the pattern is exact.
    pub direct: Option<Direct>,
    /// How requests get to the proxies, and what they show.
    pub out: Arc<Out>,
    /// Roots of trust besides the system's.
    pub ca: Option<Arc<CaFile>>,
    /// The most that a request may take until its answer.
    pub deadline: Duration,
    /// How a failure looks to the client.
    pub on_failure: OnFailure,
    /// Sent as the target-domain instead of the realm ([MS-KKDCP] 2.2.2).
    pub target_domain: Option<String>,
    /// Sent as the dclocator-hint ([MS-KKDCP] 2.2.2).
    pub dclocator_hint: Option<u32>,
}

impl RealmEntry {
    /// The one realm that it serves, unless its pattern is a wildcard.
    #[must_use]
    pub fn realm(&self) -> Option<&Realm> {
        match &self.pattern {
            RealmPattern::Exact(realm) => Some(realm),
            RealmPattern::Suffix(_) | RealmPattern::Any => None,
        }
    }

    /// How its KDCs are looked up, if they are.
    #[must_use]
    pub fn looks_up_kdcs(&self) -> Option<&Discover> {
        match &self.direct.as_ref()?.kdcs {
            Kdcs::Listed(_) => None,
            Kdcs::Discovered(discover) => Some(discover),
        }
    }

    /// How its proxies are looked up, if they are.
    #[must_use]
    pub fn looks_up_proxies(&self) -> Option<&Arc<ProxyDiscovery>> {
        match &self.proxies {
            Proxies::Listed(_) => None,
            Proxies::Discovered(discovery) => Some(discovery),
        }
    }
}

impl RealmPattern {
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        match text.strip_prefix('*') {
            Some("") => Ok(Self::Any),
            Some(suffix)
                if suffix.len() > 1 && suffix.starts_with('.') && !suffix.contains('*') =>
            {
                realm(suffix).map(Self::Suffix)
            }
            None if !text.contains('*') => realm(text).map(Self::Exact),
            _ => Err(ConfigError::new("* stands alone or before a dot")
                .hint("write \"*.EXAMPLE.COM\" or \"*\"")),
        }
    }

    /// Equal for patterns that stand for the same realms.
    pub(crate) fn key(&self) -> PatternKey {
        match self {
            Self::Exact(realm) => PatternKey::Exact(realm.key()),
            Self::Suffix(suffix) => PatternKey::Suffix(suffix.key()),
            Self::Any => PatternKey::Any,
        }
    }
}

/// A pattern for comparing and for looking up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PatternKey {
    Exact(RealmKey),
    Suffix(RealmKey),
    Any,
}

impl fmt::Display for RealmPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(realm) => realm.fmt(f),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl OnFailure {
    pub(super) fn parse(written: &Spanned<String>) -> Result<Self, ConfigError> {
        match written.get_ref().as_str() {
            "unreachable" => Ok(Self::Unreachable),
            "explain" => Ok(Self::Explain),
            _ => Err(
                ConfigError::new("on-failure is \"unreachable\" or \"explain\"").at(written.span()),
            ),
        }
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::Explain => "explain",
        })
    }
}

pub(super) fn realm(text: &str) -> Result<Realm, ConfigError> {
    Realm::parse(text.as_bytes()).map_err(|error| ConfigError::new(error.to_string()))
}
