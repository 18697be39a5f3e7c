use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::relay::discovery::RoutePlan;
use crate::wire::Realm;

fn proxies(name_server: SocketAddr) -> Arc<RealmLookup> {
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let discovery = Discovery::new(&realm, UpstreamKind::Proxy, Vec::new()).unwrap();
    RealmLookup::new(discovery.at(name_server), None)
}

/// A request may wait for it while the configuration is read again.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_the_configuration_no_longer_asks_for_is_not_repeated() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay = RelayHandle::new(RoutePlan::default(), 1).unwrap();
    let lookup = proxies(silent.local_addr().unwrap());
    lookup.wait(&relay, now() + Duration::from_secs(20)).await;
    assert_eq!(relay.exchange.counters().look_ups.get(), 1);
    assert!(lock(&lookup.progress).state.failed.is_some());
}
