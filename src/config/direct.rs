//! `direct`: whether a realm's KDCs are asked themselves where they can be reached.

use std::fmt;
use std::ops::Range;

use toml::Spanned;

use super::error::{ConfigError, Place};
use super::file::RealmTable;
use super::kdcs::{self, Kdcs};
use super::realms::RealmPattern;
use crate::wire::ByService;

/// KDCs that are asked themselves on networks where they answer.
#[derive(Debug, Clone)]
pub struct Direct {
    /// Before the proxies or after them.
    pub order: Order,
    /// The KDCs; both services are offered.
    pub kdcs: Kdcs,
}

/// Who is asked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The KDCs, and the proxies where they can't be reached.
    Prefer,
    /// The proxies, and the KDCs where they can't be reached.
    Fallback,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefer => "prefer",
            Self::Fallback => "fallback",
        })
    }
}

/// What `table` says for the realms of `pattern`, else `[defaults]`.
pub(super) fn read(
    pattern: &RealmPattern,
    table: &RealmTable,
    defaults: &RealmTable,
    place: &Place,
) -> Result<Option<Direct>, ConfigError> {
    let written = table.direct.as_ref().or(defaults.direct.as_ref());
    let order = written.map(order).transpose()?;
    let RealmPattern::Exact(realm) = pattern else {
        return own_span(table).map_or(Ok(None), |(key, span)| {
            let rule = format!("{key} belongs to one realm, not to a wildcard");
            Err(ConfigError::new(rule).at(span))
        });
    };
    let kdcs = || {
        let read = kdcs::read(
            realm,
            ByService::both(true),
            &table.keys(),
            &defaults.keys(),
        );
        read.map_err(|broken| broken.placed(place.clone()))
    };
    match (order, own_span(table)) {
        (Some(Some(order)), _) => kdcs().map(|kdcs| Some(Direct { order, kdcs })),
        // Checked all the same: it may be switched on again.
        (Some(None), Some((key, _))) if key != "direct" => kdcs().map(|_| None),
        (None, Some((key, span))) => Err(ConfigError::new(format!(
            "{key} is of no use: KDCs are asked themselves only if direct says so"
        ))
        .hint("add direct = \"fallback\", or \"prefer\" to ask them before the proxies")
        .at(span)),
        (Some(None) | None, _) => Ok(None),
    }
}

/// Checks what `[defaults]` says, whether or not a realm makes use of it.
pub(super) fn check_defaults(defaults: &RealmTable) -> Result<(), ConfigError> {
    defaults.direct.as_ref().map(order).transpose()?;
    kdcs::check_defaults(&defaults.keys())
}

/// The first of the keys about KDCs that a table holds itself, and makes use of.
fn own_span(table: &RealmTable) -> Option<(&'static str, Range<usize>)> {
    let direct = table.direct.as_ref();
    let discover = table.discover.as_ref();
    [
        ("kdcs", table.kdcs.as_ref().map(Spanned::span)),
        (
            "kpasswd-servers",
            table.kpasswd_servers.as_ref().map(Spanned::span),
        ),
        (
            "discover",
            discover.filter(|on| *on.get_ref()).map(Spanned::span),
        ),
        (
            "direct",
            direct
                .filter(|direct| direct.get_ref() != NEVER)
                .map(Spanned::span),
        ),
    ]
    .into_iter()
    .find_map(|(key, span)| Some((key, span?)))
}

const NEVER: &str = "never";

fn order(written: &Spanned<String>) -> Result<Option<Order>, ConfigError> {
    match written.get_ref().as_str() {
        NEVER => Ok(None),
        "prefer" => Ok(Some(Order::Prefer)),
        "fallback" => Ok(Some(Order::Fallback)),
        _ => Err(
            ConfigError::new("direct is \"never\", \"prefer\" or \"fallback\"").at(written.span()),
        ),
    }
}
