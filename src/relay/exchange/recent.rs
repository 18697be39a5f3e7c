//! The last exchanges, and when the network changed last, for those who look.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::relay::sync::lock;
use crate::relay::upstream::Fault;
use crate::wire::{Kind, Realm};

/// As many are kept.
const KEPT: usize = 50;

/// An exchange that has ended. No principal.
#[derive(Clone, Debug)]
pub struct Ended {
    /// When.
    pub at: SystemTime,
    /// What was asked for.
    pub kind: Kind,
    /// The realm as the client spelled it.
    pub realm: Realm,
    /// What it came over.
    pub transport: &'static str,
    /// The upstream that was asked last.
    pub upstream: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// From the request's last octet.
    pub took: Duration,
}

/// How an exchange ended. Its text is that of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a reply, and the code of it if that is a KRB-ERROR.
    Replied(Option<i32>),
    /// With this fault.
    Failed(Fault),
    /// Without a fault, and without a reply.
    Unanswered,
    /// No upstream is configured for the realm.
    NoUpstream,
    /// This service of the realm is not offered.
    NotOffered,
    /// No upstream is known at the moment.
    Unknown,
    /// Too many requests were under way.
    Overloaded,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replied(_) => "replied",
            Self::Failed(fault) => return fault.fmt(f),
            Self::Unanswered => "no answer",
            Self::NoUpstream => "no upstream for the realm",
            Self::NotOffered => "this service of the realm is not offered",
            Self::Unknown => "no upstream is known at the moment",
            Self::Overloaded => "too many requests are under way",
        })
    }
}

/// The last exchanges and changes.
#[derive(Debug)]
pub(super) struct Recent {
    exchanges: Mutex<VecDeque<Ended>>,
    moments: Mutex<Moments>,
}

/// When this machine's network became another one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// When a change of it was heard of last.
    pub changed: Option<SystemTime>,
    /// When a request showed last that the machine had slept.
    pub woke: Option<SystemTime>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            // One more for the moment between the next one's coming and the oldest one's going.
            exchanges: Mutex::new(VecDeque::with_capacity(KEPT + 1)),
            moments: Mutex::default(),
        }
    }
}

impl Recent {
    pub(super) fn push(&self, ended: Ended) {
        let mut exchanges = lock(&self.exchanges);
        exchanges.push_back(ended);
        let oldest = (exchanges.len() > KEPT).then(|| exchanges.pop_front());
        drop(exchanges);
        drop(oldest);
    }

    /// The youngest first.
    pub(super) fn exchanges(&self) -> Vec<Ended> {
        lock(&self.exchanges).iter().rev().cloned().collect()
    }

    pub(super) fn changed(&self) {
        lock(&self.moments).changed = Some(SystemTime::now());
    }

    pub(super) fn woke(&self) {
        lock(&self.moments).woke = Some(SystemTime::now());
    }

    pub(super) fn moments(&self) -> Moments {
        *lock(&self.moments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(number: u64) -> Ended {
        Ended {
            at: SystemTime::UNIX_EPOCH,
            kind: Kind::AsReq,
            realm: Realm::parse(b"EXAMPLE.COM").unwrap(),
            transport: "udp",
            upstream: None,
            outcome: Outcome::NoUpstream,
            took: Duration::from_millis(number),
        }
    }

    #[test]
    fn the_last_fifty_are_kept_the_youngest_first() {
        let recent = Recent::default();
        let room = lock(&recent.exchanges).capacity();
        (0..1000).for_each(|number| recent.push(ended(number)));
        let kept = recent.exchanges();
        let numbers: Vec<_> = kept.iter().map(|ended| ended.took.as_millis()).collect();
        assert_eq!(numbers, (950..1000).rev().collect::<Vec<_>>());
        assert_eq!(lock(&recent.exchanges).capacity(), room, "it never grew");
    }
}
