//! What is known in this room at one moment, as the status document has it.

use super::Exchange;
use crate::relay::routes::StatusContext;
use crate::relay::status::{
    ClockReading, CounterStatus, ExchangeRecord, NetworkStatus, RealmStatus, UpstreamStatus,
    unix_ms,
};

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
        (
            routes.realm_statuses(context),
            routes.upstream_statuses(context),
        )
    }

    /// The network; its changes are `watched` for by somebody else.
    pub(crate) fn network_status(&self, watched: bool) -> NetworkStatus {
        let routing = self.routing();
        let (changed, woke) = self.recent.network_times();
        NetworkStatus {
            watched,
            changes: self.counters.networks.get(),
            changed_at: changed.map(unix_ms),
            sleeps: self.counters.sleeps.get(),
            woke_at: woke.map(unix_ms),
            captive_portal: routing.routes().is_behind_portal(&routing.upstreams),
        }
    }

    /// Exchanges in progress.
    pub(crate) fn in_flight(&self) -> usize {
        self.max_in_flight - self.in_flight.available_permits()
    }

    /// The most that may be in progress.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// All that was counted.
    pub(crate) fn counter_statuses(&self) -> Vec<CounterStatus> {
        let counters = self.counters.each();
        let status = counters.map(|counted| CounterStatus {
            name: counted.name.into(),
            help: counted.help.into(),
            value: counted.value,
        });
        status.collect()
    }

    /// The last exchanges, the newest first.
    pub(crate) fn recent_exchanges(&self) -> Vec<ExchangeRecord> {
        self.recent.records()
    }
}
