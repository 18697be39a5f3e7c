//! What is wrong stands in `problems`, with what to do about it.

use serde::{Deserialize, Serialize};

use super::Text;

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What it concerns.
    pub about: About,
    /// The realm that it concerns, if it is of the configuration.
    pub realm: Option<Text>,
    /// The upstream that it concerns.
    pub upstream: Option<usize>,
    /// What is wrong.
    pub what: Text,
    /// The next command, or the key that matters.
    pub hint: Text,
}

/// What a problem concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The configuration.
    Configuration,
    /// The network.
    Network,
    /// An upstream, for all realms or for one.
    Upstream,
    /// A realm.
    Realm,
    /// How much is under way.
    Load,
    /// Exchanges of late.
    Exchanges,
    /// Of a later version.
    #[serde(other)]
    Other,
}
