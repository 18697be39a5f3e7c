//! Which upstream the requests of a realm stay with.

use super::UpstreamId;
use super::health::Scope;
use crate::relay::shares::Holder;

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
