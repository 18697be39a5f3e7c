//! Where the requests of `loopkdc run` go: to its proxies and to the KDCs that are asked themselves, listed or found in DNS.

use std::sync::Arc;

use super::proxy_cache::ProxyCache;
use crate::config::{Config, Direct, Order, Proxies, ProxyUrl, RealmEntry, state_places};
use crate::relay::discovery::{RealmLookup, RealmPlan, RoutePlan, UpstreamNames, UpstreamSource};
use crate::relay::routes::Route;
use crate::relay::upstream::dns::UpstreamTarget;
use crate::relay::upstream::kdc::{Reach, Transport};
use crate::relay::upstream::pool::UpstreamOptions;
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::ByService;

/// Requests under way to one KDC at once.
const MAX_IN_FLIGHT: usize = 128;

/// What the configuration says of realms.
pub(super) fn plan(config: &Config) -> RoutePlan {
    let roots = SystemRoots::load();
    let realms = config.realms.iter();
    let mut proxies = realms.clone().map(|entry| &entry.proxies);
    let cache = if proxies.any(|proxies| matches!(proxies, Proxies::Discovered(_))) {
        ProxyCache::read(&state_places())
    } else {
        ProxyCache::default()
    };
    RoutePlan {
        realms: realms.map(|entry| realm(entry, &roots, &cache)).collect(),
        on_failure: config.default_on_failure,
        on_demand: true,
    }
}

fn realm(entry: &RealmEntry, roots: &SystemRoots, cache: &ProxyCache) -> RealmPlan {
    let own_name = entry.realm().map(ToString::to_string);
    RealmPlan {
        pattern: entry.pattern.clone(),
        aliases: entry.aliases.clone(),
        sources: sources(entry, roots, cache),
        route: Route {
            upstreams: ByService::both(Some(Vec::new())),
            // Else it is the client's spelling, and proxies compare with regard to case.
            target_domain: entry.target_domain.clone().or(own_name),
            dclocator_hint: entry.dclocator_hint,
            deadline: entry.deadline,
            on_failure: entry.on_failure,
            ..Route::default()
        },
    }
}

fn sources(entry: &RealmEntry, roots: &SystemRoots, cache: &ProxyCache) -> Vec<UpstreamSource> {
    let ca = entry.ca.as_ref();
    let proxies = UpstreamSource {
        names: proxies(&entry.proxies, cache),
        options: UpstreamOptions::Proxy {
            roots: roots.clone(),
            extra: ca.map_or_else(Vec::new, |ca| ca.certs.clone()),
            options: Arc::clone(&entry.proxy_options),
        },
    };
    let Some(Direct { order, kdcs }) = &entry.direct else {
        return vec![proxies];
    };
    let kdcs = UpstreamSource {
        names: kdcs.names(),
        options: UpstreamOptions::Kdc {
            transport: Transport::TcpFirst,
            max_in_flight: MAX_IN_FLIGHT,
            reach: Reach::OnSomeNetworks,
        },
    };
    match order {
        Order::Prefer => vec![kdcs, proxies],
        Order::Fallback => vec![proxies, kdcs],
    }
}

fn proxies(proxies: &Proxies, cache: &ProxyCache) -> UpstreamNames {
    match proxies {
        Proxies::Listed(ByService { kdc, kpasswd }) => {
            let targets = |list: &[(ProxyUrl, bool)]| {
                let urls = list.iter().cloned();
                urls.map(|(url, primary)| (UpstreamTarget::Proxy(url), primary))
                    .collect()
            };
            UpstreamNames::Listed(ByService {
                kdc: targets(kdc),
                kpasswd: targets(kpasswd),
            })
        }
        Proxies::Discovered(discovery) => {
            let known = cache.results(discovery);
            UpstreamNames::LookedUp(RealmLookup::new(discovery.clone(), known))
        }
    }
}
