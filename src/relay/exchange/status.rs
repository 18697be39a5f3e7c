//! What the exchanges know at one moment, as the status document has it.

use super::Exchange;
use crate::relay::routes::StatusContext;
use crate::relay::status::{
    ClockReading, ExchangeRecord, NetworkStatus, RealmStatus, UpstreamStatus, unix_ms,
};
use crate::relay::sync::lock;
use crate::wire::Realm;

impl Exchange {
    /// The realms, whose candidates refer to the upstreams by their index. Requests wait for no longer than it takes to copy it.
    pub(crate) fn realms_and_upstreams(
        &self,
        now: ClockReading,
    ) -> (Vec<RealmStatus>, Vec<UpstreamStatus>) {
        let routing = self.routing();
        let upstreams = &routing.upstreams;
        let routes = routing.routes();
        let context = StatusContext { upstreams, now };
        let changes = lock(&self.password_changes);
        let mut realms = routes.realm_statuses(&changes, context);
        let known = self.reachability.borrow();
        for realm in &mut realms {
            let name = Realm::parse(realm.name.as_str().as_bytes());
            realm.reachable = name.ok().and_then(|name| known.of(&name.key()));
        }
        (realms, routes.upstream_statuses(context))
    }

    /// The network; its changes are `watched` for by somebody else.
    pub(crate) fn network_status(&self, watched: bool) -> NetworkStatus {
        let routing = self.routing();
        let times = *lock(&self.network_times);
        NetworkStatus {
            watched,
            changes: self.counters.networks.get(),
            changed_at: times.changed.map(unix_ms),
            sleeps: self.counters.sleeps.get(),
            woke_at: times.woke.map(unix_ms),
            captive_portal: routing.routes().is_behind_portal(&routing.upstreams),
        }
    }

    /// Exchanges in progress, and the most that may be.
    pub(crate) fn in_flight(&self) -> (u64, u64) {
        (self.in_flight.held() as u64, self.max_in_flight as u64)
    }

    /// The last exchanges, the newest first.
    pub(crate) fn recent_exchanges(&self) -> Vec<ExchangeRecord> {
        lock(&self.recent).iter().cloned().collect()
    }
}
