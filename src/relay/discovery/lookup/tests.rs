use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;
use crate::relay::answer::OnFailure;
use crate::relay::discovery::{DnsView, RouteConfig, Trigger};
use crate::relay::failure::Failure;
use crate::relay::routes::Routes;
use crate::relay::upstream::dns::{Allowed, ProxyDiscovery};
use crate::relay::upstream::pool::PoolBuilder;

/// A configuration that looks nothing up.
#[derive(Debug)]
struct NoRealms;

impl RouteConfig for NoRealms {
    fn lookups(&self) -> Vec<RealmLookup> {
        Vec::new()
    }

    fn routes(&self, _: &DnsView, _: &mut PoolBuilder<'_>) -> Result<Routes, Failure> {
        Ok(Routes::default())
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::Unreachable
    }
}

fn proxies(name_server: SocketAddr) -> Arc<RealmLookup> {
    let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
    let discovery = ProxyDiscovery::new(&realm, Allowed::default()).unwrap();
    let discovery = Discovery::Proxies(Arc::new(discovery.at(name_server)));
    Arc::new(RealmLookup::new(realm, discovery, false, None))
}

/// A request may wait for it while the configuration is read again.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_the_configuration_no_longer_asks_for_is_not_repeated() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let relay = RelayHandle::new(NoRealms, Trigger::Requests, 1).unwrap();
    let lookup = proxies(silent.local_addr().unwrap());
    lookup.wait(&relay, now() + Duration::from_secs(20)).await;
    assert_eq!(relay.exchange.counters().look_ups.get(), 1);
    assert!(lookup.report().failed.is_some());
}
