//! Which realms a route is for.

use std::cmp::Reverse;

use crate::wire::{Realm, RealmKey};

/// Which realms a route is for. The longest match wins.
#[derive(Clone, Debug)]
pub enum RealmPattern {
    /// `EXAMPLE.COM`.
    Exact(Realm),
    /// `*.EXAMPLE.COM`, held as `.EXAMPLE.COM`: every realm that ends so, at any depth, and not `EXAMPLE.COM` itself.
    Suffix(Realm),
    /// `*`.
    Any,
}

impl RealmPattern {
    /// The realm, if it is for exactly one.
    pub(crate) fn exact(&self) -> Option<&Realm> {
        match self {
            Self::Exact(realm) => Some(realm),
            Self::Suffix(_) | Self::Any => None,
        }
    }

    /// True if it is for `realm`; the caller compares aliases. Requests find their route by the tables of [`super::Routes`].
    pub(crate) fn matches(&self, realm: &RealmKey) -> bool {
        match self {
            Self::Exact(own) => own.key() == *realm,
            Self::Suffix(suffix) => realm.as_str().ends_with(suffix.key().as_str()),
            Self::Any => true,
        }
    }

    /// Sorts patterns as they are compared: the longest match first.
    pub(crate) fn rank(&self) -> (u8, Reverse<usize>) {
        match self {
            Self::Exact(_) => (0, Reverse(0)),
            Self::Suffix(suffix) => (1, Reverse(suffix.as_str().len())),
            Self::Any => (2, Reverse(0)),
        }
    }
}
