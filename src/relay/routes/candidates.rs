//! What a request asks of its realm, and the upstreams that it may go to.

use std::sync::Arc;

use super::{Route, UpstreamId};
use crate::relay::shares::Holder;
use crate::wire::Service;
use crate::wire::proxied::WRITABLE_REQUIRED;

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
    #[must_use]
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
    #[must_use]
    pub fn dclocator_hint(&self) -> Option<u32> {
        let configured = self.route.dclocator_hint;
        if self.wanted.primary {
            return Some(configured.unwrap_or_default() | WRITABLE_REQUIRED);
        }
        configured
    }

    /// True if the primary is wanted and `id` is one that was not silent when last asked. It is worth waiting for: other KDCs may
    /// not have heard of a password change.
    #[must_use]
    pub fn is_live_primary(&self, id: UpstreamId) -> bool {
        self.live_primary.contains(&id)
    }

    /// True if other requests may go to `id` as well once it has replied to this one. Not if it was asked as the primary: then they
    /// would all move there.
    pub(super) fn may_stay_with(&self, id: UpstreamId) -> bool {
        !self.wanted.primary || !self.route.primary.contains(&id)
    }
}
