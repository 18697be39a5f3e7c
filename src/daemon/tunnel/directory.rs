//! The ways out that the configuration knows, and the routes to them.

use std::sync::Arc;

use url::Url;

use crate::config::{CaFile, Config, Direct, Kdcs, Order, ProxyUrl, RealmEntry};
use crate::daemon::upstreams::{Gathering, InUse};
use crate::exchange::Routing;
use crate::failure::{Exit, Failure};
use crate::route::{RealmPattern, Route, Routes, UpstreamId};
use crate::upstream::Upstream;
use crate::upstream::kdc::{Kdc, Permitted, Reach, Terms, Transport};
use crate::upstream::kkdcp::KdcProxy;
use crate::upstream::out::Out;
use crate::upstream::tls::SystemRoots;
use crate::wire::{ByService, Service};

/// Requests under way to one KDC at once.
const MAX_IN_FLIGHT: usize = 128;

/// What makes two ways out one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Proxy(ProxyKey),
    Kdc(Terms),
}

/// What makes two proxies one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ProxyKey {
    url: Url,
    ca: Option<Arc<CaFile>>,
    roots: SystemRoots,
    out: Arc<Out>,
}

/// Every upstream in use, so that new routes keep the connections to those that stay.
#[derive(Debug, Default)]
pub(super) struct Directory(InUse<Key>);

impl Directory {
    /// The routes and upstreams that `config` asks for.
    ///
    /// # Errors
    /// Certificates that TLS cannot use; those of before are still in use then.
    pub(super) fn routing(&mut self, config: &Config) -> Result<Routing, Failure> {
        let (routes, upstreams) = self.0.renew(|upstreams| {
            let mut list = List {
                upstreams,
                roots: None,
            };
            let mut routes = Routes::default();
            for entry in &config.realms {
                routes.add(&entry.pattern, &entry.aliases, list.route(entry)?);
            }
            Ok(routes)
        })?;
        Ok(Routing::new(routes, upstreams, config.default_on_failure))
    }
}

/// The ways out so far.
struct List<'a, 'b> {
    upstreams: &'a mut Gathering<'b, Key>,
    /// Read when the first proxy wants them.
    roots: Option<SystemRoots>,
}

impl List<'_, '_> {
    fn route(&mut self, entry: &RealmEntry) -> Result<Route, Failure> {
        let proxies = entry
            .proxies
            .listed()
            .iter()
            .map(|proxy| self.proxy(proxy, entry));
        let proxies: Vec<_> = proxies.collect::<Result<_, _>>()?;
        let mut upstreams = ByService::both(proxies);
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

    fn proxy(&mut self, proxy: &ProxyUrl, entry: &RealmEntry) -> Result<UpstreamId, Failure> {
        let key = ProxyKey {
            url: proxy.as_url().clone(),
            ca: entry.ca.clone(),
            roots: self.roots.get_or_insert_with(SystemRoots::load).clone(),
            out: Arc::clone(&entry.out),
        };
        self.upstreams.id(Key::Proxy(key), Key::upstream)
    }

    /// Those that an administrator has named.
    fn kdcs(&mut self, kdcs: &Kdcs, service: Service) -> Result<Vec<UpstreamId>, Failure> {
        let Kdcs::Listed(listed) = kdcs else {
            return Ok(Vec::new());
        };
        let addrs = listed.get(service).iter().flatten();
        let ids = addrs.map(|addr| self.kdc(addr.to_string(), Permitted::Any));
        ids.collect()
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
            ca,
            roots,
            out,
        } = self;
        let extra = ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client(extra, out).map_err(|error| {
            Failure::new(Exit::Bug, format!("cannot set up TLS for {url}: {error}"))
        })?;
        Ok(KdcProxy::new(url.clone(), tls, out))
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
