//! Where a gateway's requests go: to the KDCs of its realms, listed or found in DNS.

use crate::config::gateway::{GatewayConfig, KdcRealm};
use crate::relay::answer::OnFailure;
use crate::relay::discovery::{RealmPlan, RoutePlan, UpstreamSource};
use crate::relay::routes::{RealmPattern, Route};
use crate::relay::upstream::kdc::Reach;
use crate::relay::upstream::pool::UpstreamOptions;
use crate::wire::ByService;

/// What the configuration says of realms. What [gateway] says holds after a restart: `max_in_flight` is that of the start.
pub(super) fn plan(config: &GatewayConfig, max_in_flight: usize) -> RoutePlan {
    let realms = config.realms.iter();
    RoutePlan {
        realms: realms.map(|entry| realm(entry, max_in_flight)).collect(),
        on_failure: OnFailure::default(),
        on_demand: false,
    }
}

fn realm(entry: &KdcRealm, max_in_flight: usize) -> RealmPlan {
    let kdcs = UpstreamSource {
        names: entry.kdcs.names(),
        options: UpstreamOptions::Kdc {
            transport: entry.transport,
            max_in_flight,
            reach: Reach::Always,
        },
    };
    let services = entry.services;
    RealmPlan {
        pattern: RealmPattern::Exact(entry.realm.clone()),
        aliases: entry.aliases.clone(),
        sources: vec![kdcs],
        route: Route {
            upstreams: ByService {
                kdc: services.kdc.then(Vec::new),
                kpasswd: services.kpasswd.then(Vec::new),
            },
            deadline: entry.deadline,
            shared: true,
            serves_other_realms: entry.serves_other_realms,
            ..Route::default()
        },
    }
}
