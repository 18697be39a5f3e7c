//! The ways out of a realm: its proxies and the KDCs that are asked themselves, listed or found.

use std::sync::Arc;

use url::Url;

use crate::config::{CaFile, Direct, Discover, Kdcs, Order, Proxies, ProxyUrl, RealmEntry};
use crate::relay::failure::{Exit, Failure};
use crate::relay::routes::{RealmPattern, Route, UpstreamId};
use crate::relay::upstream::Upstream;
use crate::relay::upstream::dns::Found;
use crate::relay::upstream::kdc::{Kdc, Permitted, Reach, Terms, Transport};
use crate::relay::upstream::kkdcp::KdcProxy;
use crate::relay::upstream::out::Out;
use crate::relay::upstream::tls::SystemRoots;
use crate::relay::upstreams::Gathering;
use crate::wire::{ByService, Service};

/// Requests under way to one KDC at once.
const MAX_IN_FLIGHT: usize = 128;

/// What makes two ways out one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Proxy(ProxyKey),
    Kdc(Terms),
}

/// What makes two proxies one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProxyKey {
    url: Url,
    permitted: Permitted,
    ca: Option<Arc<CaFile>>,
    roots: SystemRoots,
    out: Arc<Out>,
}

/// What DNS said last of one realm.
#[derive(Clone, Copy, Default)]
pub(super) struct InDns<'a> {
    pub(super) kdcs: Option<&'a Found>,
    pub(super) proxies: Option<&'a Found<ProxyUrl>>,
}

/// The ways out so far.
pub(super) struct Ways<'a, 'b> {
    pub(super) upstreams: &'a mut Gathering<'b, Key>,
    /// Read when the first proxy wants them.
    pub(super) roots: &'a mut Option<SystemRoots>,
}

impl Ways<'_, '_> {
    pub(super) fn route(&mut self, entry: &RealmEntry, dns: InDns<'_>) -> Result<Route, Failure> {
        let mut upstreams = ByService {
            kdc: self.proxies(entry, dns, Service::Kdc)?,
            kpasswd: self.proxies(entry, dns, Service::Kpasswd)?,
        };
        let mut direct = Vec::new();
        if let Some(Direct { order, kdcs }) = &entry.direct {
            for service in [Service::Kdc, Service::Kpasswd] {
                let kdcs = self.kdcs(kdcs, dns, service)?;
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

    fn proxies(
        &mut self,
        entry: &RealmEntry,
        dns: InDns<'_>,
        service: Service,
    ) -> Result<Vec<UpstreamId>, Failure> {
        let (proxies, permitted) = match (&entry.proxies, dns.proxies) {
            (Proxies::Listed(listed), _) => (&listed[..], Permitted::Any),
            (Proxies::Discovered(_), None) => (&[][..], Permitted::Any),
            (Proxies::Discovered(discovery), Some(found)) => {
                let found = match service {
                    Service::Kdc => &found.kdc,
                    Service::Kpasswd => &found.kpasswd,
                };
                (&found[..], discovery.allowed().permitted.clone())
            }
        };
        let ids = proxies.iter().map(|proxy| {
            let permitted = permitted.clone();
            self.proxy(proxy, permitted, entry)
        });
        ids.collect()
    }

    fn proxy(
        &mut self,
        proxy: &ProxyUrl,
        permitted: Permitted,
        entry: &RealmEntry,
    ) -> Result<UpstreamId, Failure> {
        let key = ProxyKey {
            url: proxy.as_url().clone(),
            permitted,
            ca: entry.ca.clone(),
            roots: self.roots.get_or_insert_with(SystemRoots::load).clone(),
            out: Arc::clone(&entry.out),
        };
        self.upstreams.id(Key::Proxy(key), Key::upstream)
    }

    fn kdcs(
        &mut self,
        kdcs: &Kdcs,
        dns: InDns<'_>,
        service: Service,
    ) -> Result<Vec<UpstreamId>, Failure> {
        match kdcs {
            Kdcs::Listed(listed) => {
                let addrs = listed.get(service).iter().flatten();
                let ids = addrs.map(|addr| self.kdc(addr.to_string(), Permitted::Any));
                ids.collect()
            }
            // What a name stands for may change from one moment to the next: each address is judged when it is used.
            Kdcs::Discovered(Discover { networks, .. }) => {
                let targets = dns.kdcs.map(|found| match service {
                    Service::Kdc => &found.kdc,
                    Service::Kpasswd => &found.kpasswd,
                });
                let permitted = || Permitted::OtherHosts(networks.clone());
                let targets = targets.into_iter().flatten();
                let ids = targets.map(|target| self.kdc(target.name.clone(), permitted()));
                ids.collect()
            }
        }
    }

    fn kdc(&mut self, name: String, permitted: Permitted) -> Result<UpstreamId, Failure> {
        let terms = Terms {
            name,
            transport: Transport::TcpFirst,
            max_in_flight: MAX_IN_FLIGHT,
            permitted,
            reach: Reach::OnSomeNetworks,
        };
        self.upstreams.id(Key::Kdc(terms), Key::upstream)
    }
}

impl Key {
    fn upstream(&self) -> Result<Upstream, Failure> {
        match self {
            Self::Proxy(proxy) => proxy.proxy().map(Box::new).map(Upstream::Proxy),
            Self::Kdc(terms) => Ok(Upstream::Kdc(Box::new(Kdc::new(terms.clone())))),
        }
    }
}

impl ProxyKey {
    fn proxy(&self) -> Result<KdcProxy, Failure> {
        let Self {
            url,
            permitted,
            ca,
            roots,
            out,
        } = self;
        let extra = ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client(extra, out).map_err(|error| {
            Failure::new(Exit::Bug, format!("cannot set up TLS for {url}: {error}"))
        })?;
        Ok(KdcProxy::new(url.clone(), tls, out, permitted.clone()))
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
