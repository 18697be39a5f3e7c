//! Where a realm's requests can go, as DNS knows it: KDCs (RFC 4120 7.2.3.2) and KDC proxies, for realms that the
//! configuration declares and says to look up. A realm that only a client names is never looked up.

mod kdcs;
mod order;
mod proxies;
mod query;
mod targets;
mod uri;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

pub use kdcs::{Discovery, PORTS};
pub use proxies::ProxyDiscovery;
pub use targets::Target;
pub use uri::Allowed;

/// No answer is trusted for longer, or asked for again sooner, whatever its TTL is.
const GOOD_FOR: (Duration, Duration) = (RETRY, Duration::from_secs(3600));
/// How long after a failed look-up the next one is due; until then, what was found before is the best that is known.
pub const RETRY: Duration = Duration::from_secs(30);
/// As many refusals as are worth telling.
const MAX_REFUSED: usize = 16;

/// What a look-up found. A list is empty if DNS says that there is nothing, which is no failure.
#[derive(Clone, Debug)]
pub struct Found<T = Target> {
    /// What serves the realm in the order to ask it, at most 16.
    pub kdc: Vec<T>,
    /// What changes its passwords, likewise.
    pub kpasswd: Vec<T>,
    /// What else is named and won't be asked; worth a line in the log.
    pub refused: Vec<Refused>,
    /// When it is time for the next look-up: 30 s to an hour.
    pub good_for: Duration,
}

impl<T> Found<T> {
    /// Whether it leads nowhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kdc.is_empty() && self.kpasswd.is_empty()
    }
}

impl<T: Clone + Ord> Found<T> {
    /// Whether both lead to the same places; the order, which chance decides within a priority, doesn't matter.
    #[must_use]
    pub fn has_same_targets(&self, other: &Self) -> bool {
        let sorted = |targets: &[T]| {
            let mut targets = targets.to_vec();
            targets.sort();
            targets
        };
        sorted(&self.kdc) == sorted(&other.kdc) && sorted(&self.kpasswd) == sorted(&other.kpasswd)
    }
}

/// What DNS names and nobody is asked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What it is called in DNS.
    pub name: String,
    /// Why not.
    pub why: Refusal,
}

/// Why something is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its port is none of those that are allowed: a zone must not lead requests to any service of any host.
    Port,
    /// It is no name of a host.
    Name,
    /// There are enough better ones.
    TooMany,
    /// It is no URL of a KDC proxy.
    NoProxy,
    /// It is `http`, over which everybody on the way reads who asks for what.
    Plaintext,
    /// Its address is no other host's, and what it is.
    Address(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Port => "its port is not allowed",
            Self::Name => "it is no name of a host",
            Self::TooMany => "there are too many",
            Self::NoProxy => "it is no URL of a KDC proxy",
            Self::Plaintext => "it is plain http, and allow-plaintext is not set",
            Self::Address(what) => return write!(f, "its address is {what}"),
        })
    }
}

/// Why nothing is known about a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUpError {
    /// The realm is no domain of DNS (RFC 4120 6.1 has other styles as well).
    NotADomain(String),
    /// The system's resolver configuration cannot be used.
    Resolver(String),
    /// This name brought no answer, and why.
    NoAnswer(String, String),
    /// The queries took too long together.
    TimedOut,
}

impl fmt::Display for LookUpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADomain(realm) => write!(f, "realm {realm} is no DNS domain"),
            Self::Resolver(why) => write!(f, "cannot set up a resolver: {why}"),
            Self::NoAnswer(name, why) => write!(f, "cannot look up {name}: {why}"),
            Self::TimedOut => f.write_str("the name servers did not answer in time"),
        }
    }
}

impl std::error::Error for LookUpError {}

/// How long answers hold whose TTLs are these, in seconds.
fn good_for(ttls: impl Iterator<Item = u32>) -> Duration {
    let (shortest, longest) = GOOD_FOR;
    let least = ttls.min().unwrap_or(0);
    Duration::from_secs(least.into()).clamp(shortest, longest)
}

/// One of the numbers from 0 to `most`. The standard library's hasher is seeded by the system; more is not asked of a
/// number that spreads load.
fn random(most: u32) -> u32 {
    let drawn = RandomState::new().hash_one(0) % (u64::from(most) + 1);
    u32::try_from(drawn).unwrap_or(0)
}
