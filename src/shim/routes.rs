//! The routes of a tunnel: to its proxies and to the KDCs that are asked themselves, listed or found in DNS.

use std::sync::{Arc, OnceLock};

use super::proxy_cache::ProxyCache;
use crate::config::{Config, Direct, Discover, Kdcs, OnFailure, Order, Proxies, RealmEntry};
use crate::relay::discovery::{DnsView, RealmLookup, RouteConfig};
use crate::relay::failure::Failure;
use crate::relay::routes::{RealmPattern, Route, Routes, UpstreamId};
use crate::relay::upstream::dns::{Discovery, DnsResults, DnsTarget};
use crate::relay::upstream::kdc::{Permitted, Reach, Terms, Transport};
use crate::relay::upstream::kkdcp::ProxyUrl;
use crate::relay::upstream::pool::{PoolBuilder, ProxyTerms, UpstreamTerms};
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::{ByService, Service};

/// Requests under way to one KDC at once.
const MAX_IN_FLIGHT: usize = 128;

/// What the configuration says of realms.
#[derive(Debug)]
pub(super) struct TunnelRoutes {
    realms: Vec<RealmEntry>,
    on_failure: OnFailure,
    /// Read when the first proxy wants them.
    roots: OnceLock<SystemRoots>,
}

impl TunnelRoutes {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            realms: config.realms.clone(),
            on_failure: config.default_on_failure,
            roots: OnceLock::new(),
        }
    }
}

impl RouteConfig for TunnelRoutes {
    fn lookups(&self) -> Vec<RealmLookup> {
        let of_proxies = self.realms.iter().filter_map(|entry| {
            let allowed = entry.looks_up_proxies()?.allowed().clone();
            Some((entry.realm()?.clone(), allowed))
        });
        let mut recalled = ProxyCache::default().recall(&of_proxies.collect::<Vec<_>>());
        let of_realm = |entry: &RealmEntry| {
            let realm = entry.realm()?;
            let proxies = entry.looks_up_proxies().map(|discovery| {
                let discovery = Discovery::Proxies(Arc::clone(discovery));
                let lists_kdcs = entry.direct.is_some() && entry.looks_up_kdcs().is_none();
                let known = recalled.remove(&realm.key());
                RealmLookup::new(realm.clone(), discovery, lists_kdcs, known)
            });
            let kdcs = entry.looks_up_kdcs().map(|discover| {
                let discovery = Discovery::Kdcs(discover.discovery.clone());
                RealmLookup::new(realm.clone(), discovery, false, None)
            });
            Some(proxies.into_iter().chain(kdcs))
        };
        self.realms.iter().filter_map(of_realm).flatten().collect()
    }

    fn routes(&self, dns: &DnsView, upstreams: &mut PoolBuilder<'_>) -> Result<Routes, Failure> {
        let mut routes = Routes::default();
        for entry in &self.realms {
            let key = entry.realm().map(|realm| realm.key());
            let mut builder = TunnelRouteBuilder {
                entry,
                kdcs_found: key.as_ref().and_then(|key| dns.kdcs.get(key)),
                proxies_found: key.as_ref().and_then(|key| dns.proxies.get(key)),
                roots: &self.roots,
                upstreams,
            };
            routes.add(&entry.pattern, &entry.aliases, builder.route()?);
        }
        Ok(routes)
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
}

/// The route of one realm.
struct TunnelRouteBuilder<'a, 'b> {
    entry: &'a RealmEntry,
    kdcs_found: Option<&'a DnsResults>,
    proxies_found: Option<&'a DnsResults>,
    roots: &'a OnceLock<SystemRoots>,
    upstreams: &'a mut PoolBuilder<'b>,
}

impl TunnelRouteBuilder<'_, '_> {
    fn route(&mut self) -> Result<Route, Failure> {
        let entry = self.entry;
        let mut upstreams = ByService {
            kdc: self.proxies(Service::Kdc)?,
            kpasswd: self.proxies(Service::Kpasswd)?,
        };
        let mut direct = Vec::new();
        if let Some(Direct { order, kdcs }) = &entry.direct {
            for service in [Service::Kdc, Service::Kpasswd] {
                let kdcs = self.kdcs(kdcs, service)?;
                let upstreams = upstreams.get_mut(service);
                match order {
                    Order::Prefer => drop(upstreams.splice(..0, kdcs.iter().copied())),
                    Order::Fallback => upstreams.extend(&kdcs),
                }
                direct.extend(kdcs);
            }
        }
        Ok(Route {
            upstreams: ByService {
                kdc: Some(upstreams.kdc),
                kpasswd: Some(upstreams.kpasswd),
            },
            primary: Vec::new(),
            direct,
            target_domain: target_domain(entry),
            dclocator_hint: entry.dclocator_hint,
            deadline: entry.deadline,
            on_failure: entry.on_failure,
            silence_is_illness: true,
            races: true,
        })
    }

    fn proxies(&mut self, service: Service) -> Result<Vec<UpstreamId>, Failure> {
        match &self.entry.proxies {
            Proxies::Listed(listed) => {
                let ids = listed.iter().map(|url| self.proxy(url, Permitted::Any));
                ids.collect()
            }
            Proxies::Discovered(discovery) => {
                let found = self.proxies_found.map(|found| found.get(service));
                let found = found.into_iter().flatten().filter_map(DnsTarget::proxy);
                let permitted = &discovery.allowed().permitted;
                let ids = found.map(|url| self.proxy(url, permitted.clone()));
                ids.collect()
            }
        }
    }

    fn proxy(&mut self, url: &ProxyUrl, permitted: Permitted) -> Result<UpstreamId, Failure> {
        let ca = self.entry.ca.as_ref();
        self.upstreams.id(UpstreamTerms::Proxy(ProxyTerms {
            url: url.as_url().clone(),
            permitted,
            roots: self.roots.get_or_init(SystemRoots::load).clone(),
            extra: ca.map_or_else(Vec::new, |ca| ca.certs.clone()),
            options: Arc::clone(&self.entry.proxy_options),
        }))
    }

    fn kdcs(&mut self, kdcs: &Kdcs, service: Service) -> Result<Vec<UpstreamId>, Failure> {
        match kdcs {
            Kdcs::Listed(listed) => {
                let addrs = listed.get(service).iter().flatten();
                let ids = addrs.map(|addr| self.kdc(addr.to_string(), Permitted::Any));
                ids.collect()
            }
            // What a name stands for may change from one moment to the next: each address is judged when it is used.
            Kdcs::Discovered(Discover { networks, .. }) => {
                let found = self.kdcs_found.map(|found| found.get(service));
                let permitted = || Permitted::OtherHosts(networks.clone());
                let found = found.into_iter().flatten();
                let ids = found.map(|target| self.kdc(target.to_string(), permitted()));
                ids.collect()
            }
        }
    }

    fn kdc(&mut self, name: String, permitted: Permitted) -> Result<UpstreamId, Failure> {
        self.upstreams.id(UpstreamTerms::Kdc(Terms {
            name,
            transport: Transport::TcpFirst,
            max_in_flight: MAX_IN_FLIGHT,
            permitted,
            reach: Reach::OnSomeNetworks,
        }))
    }
}

/// What is sent as the target-domain, unless it is the client's spelling: proxies compare with regard to case.
fn target_domain(entry: &RealmEntry) -> Option<String> {
    let own = match &entry.pattern {
        RealmPattern::Exact(realm) => Some(realm.as_str().to_owned()),
        RealmPattern::Suffix(_) | RealmPattern::Any => None,
    };
    entry.target_domain.clone().or(own)
}
