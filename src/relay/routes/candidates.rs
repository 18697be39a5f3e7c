//! Which realms a route is for, what a request asks of its realm, the upstreams that it may go to, and the one that requests stay with.

use std::cmp::Reverse;
use std::sync::Arc;

use super::health::Scope;
use super::{Route, UpstreamId};
use crate::relay::shares::Holder;
use crate::wire::proxied::WRITABLE_REQUIRED;
use crate::wire::{Realm, RealmKey, Service};

/// A route as it was chosen for one request, and its upstreams in the order to try them.
#[derive(Clone, Debug)]
pub struct Candidates {
    pub(super) index: usize,
    pub(super) wanted: Wanted,
    /// The primary, if it is wanted and was not silent when last asked.
    pub(super) live_primary: Vec<UpstreamId>,
    /// What is configured for the realm.
    pub route: Arc<Route>,
    /// The ways out, best first; never empty.
    pub upstreams: Vec<UpstreamId>,
}

/// What a request asks of its realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Who asks.
    pub holder: Holder,
    /// The service.
    pub service: Service,
    /// The KDC that takes writes is wanted, if there is one ([MS-NRPC] 3.5.4.3.1).
    pub primary: bool,
    /// Another KDC than the one that requests stay with is wanted, if there is one (DS_FORCE_REDISCOVERY, [MS-NRPC] 3.5.4.3.1).
    pub rediscover: bool,
}

impl Wanted {
    /// Any upstream of `service`, for nobody in particular.
    pub const fn any(service: Service) -> Self {
        Self {
            holder: Holder::Unknown,
            service,
            primary: false,
            rediscover: false,
        }
    }
}

impl Candidates {
    /// The dclocator-hint to send ([MS-KKDCP] 2.2.2).
    pub fn dclocator_hint(&self) -> Option<u32> {
        let configured = self.route.dclocator_hint;
        if self.wanted.primary {
            return Some(configured.unwrap_or_default() | WRITABLE_REQUIRED);
        }
        configured
    }

    /// True if the primary is wanted and `id` is one that was not silent when last asked. It is worth waiting for: other KDCs may
    /// not have heard of a password change.
    pub fn is_live_primary(&self, id: UpstreamId) -> bool {
        self.live_primary.contains(&id)
    }

    /// True if other requests may go to `id` as well once it has replied to this one. Not if it was asked as the primary: then they
    /// would all move there.
    pub(super) fn may_stay_with(&self, id: UpstreamId) -> bool {
        !self.wanted.primary || !self.route.primary.contains(&id)
    }
}

/// The upstream that served last: FAST cookies, SPAKE and one-time-password state may live there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Current {
    pub(super) id: Option<UpstreamId>,
    /// The one that serves this holder instead: only he has met a failure of the other.
    pub(super) detour: Option<(Holder, UpstreamId)>,
}

impl Current {
    /// The one that serves `holder`.
    pub(super) fn of(self, holder: Holder) -> Option<UpstreamId> {
        let detour = self
            .detour
            .filter(|(own, _)| Scope::One(*own).includes(holder));
        detour.map(|(_, id)| id).or(self.id)
    }
}

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
