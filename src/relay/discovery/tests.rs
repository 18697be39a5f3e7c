use std::net::UdpSocket;

use super::*;
use crate::relay::answer::OnFailure;
use crate::relay::exchange::Arrival;
use crate::relay::explain::UpstreamKind;
use crate::relay::routes::tests::route_to;
use crate::relay::routes::{RealmPattern, Route};
use crate::relay::upstream::dns::Discovery;
use crate::relay::upstream::kdc::{Reach, Transport};
use crate::relay::upstream::pool::UpstreamOptions;
use crate::wire::tests::handmade::{kdc_req, pa_data};
use crate::wire::{KerberosMessage, Realm, Service};

/// The KDCs of EXAMPLE.COM are looked up.
fn plan(on_demand: bool, name_server: &UdpSocket) -> RoutePlan {
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let discovery = Discovery::new(&realm, UpstreamKind::Kdc, Vec::new()).unwrap();
    let discovery = discovery.at(name_server.local_addr().unwrap());
    let kdcs = UpstreamSource {
        names: UpstreamNames::LookedUp(RealmLookup::new(discovery, None)),
        options: UpstreamOptions::Kdc {
            transport: Transport::TcpFirst,
            max_in_flight: 1,
            reach: Reach::Always,
        },
    };
    let realm = RealmPlan {
        pattern: RealmPattern::Exact(realm),
        aliases: Vec::new(),
        sources: vec![kdcs],
        route: Route {
            deadline: Duration::from_millis(20),
            shared: true,
            ..route_to(Vec::new())
        },
    };
    RoutePlan {
        realms: vec![realm],
        on_failure: OnFailure::Unreachable,
        on_demand,
    }
}

/// A tunnel's do; a gateway's are anybody's on the Internet.
#[tokio::test]
async fn requests_cause_look_ups_only_where_the_plan_says_so() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    for on_demand in [true, false] {
        let relay = RelayHandle::new(plan(on_demand, &silent), 1).unwrap();
        let octets = kdc_req(10, &[pa_data(2, b"")], "EXAMPLE.COM");
        let request = KerberosMessage::parse(Service::Kdc, octets.into()).unwrap();
        let arrival = Arrival::now("tcp");
        relay.exchange.answer(request, arrival).await;
        // Lets a look-up that nobody waits for begin.
        tokio::task::yield_now().await;
        let look_ups = relay.exchange.counters().look_ups.get();
        assert_eq!(look_ups, u64::from(on_demand));
    }
}
