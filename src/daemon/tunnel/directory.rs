//! The ways out that the configuration knows, and the routes to them.

use std::sync::Arc;

use url::Url;

use crate::config::{CaFile, Config, ProxyUrl, RealmEntry};
use crate::daemon::upstreams::{Gathering, InUse};
use crate::exchange::Routing;
use crate::failure::{Exit, Failure};
use crate::route::{RealmPattern, Route, Routes, UpstreamId};
use crate::upstream::Upstream;
use crate::upstream::kkdcp::KdcProxy;
use crate::upstream::tls::SystemRoots;
use crate::wire::ByService;

/// What makes two proxies one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    url: Url,
    ca: Option<Arc<CaFile>>,
    roots: SystemRoots,
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
        let (routes, upstreams) = self.0.renew(|proxies| {
            let mut list = List {
                proxies,
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

/// The proxies so far.
struct List<'a, 'b> {
    proxies: &'a mut Gathering<'b, Key>,
    /// Read when the first proxy wants them.
    roots: Option<SystemRoots>,
}

impl List<'_, '_> {
    fn route(&mut self, entry: &RealmEntry) -> Result<Route, Failure> {
        let proxies = entry.proxies.iter().map(|proxy| self.id(proxy, entry));
        Ok(Route {
            upstreams: ByService::both(Some(proxies.collect::<Result<_, _>>()?)),
            primary: Vec::new(),
            direct: Vec::new(),
            target_domain: target_domain(entry),
            dclocator_hint: entry.dclocator_hint,
            deadline: entry.deadline,
            on_failure: entry.on_failure,
            silence_is_illness: true,
            races: true,
        })
    }

    fn id(&mut self, proxy: &ProxyUrl, entry: &RealmEntry) -> Result<UpstreamId, Failure> {
        let key = Key {
            url: proxy.as_url().clone(),
            ca: entry.ca.clone(),
            roots: self.roots.get_or_insert_with(SystemRoots::load).clone(),
        };
        self.proxies.id(key, Key::proxy)
    }
}

impl Key {
    fn proxy(&self) -> Result<Upstream, Failure> {
        let Self { url, ca, roots } = self;
        let extra = ca.as_ref().map_or(&[][..], |ca| &ca.certs);
        let tls = roots.client_config(extra).map_err(|error| {
            Failure::new(Exit::Bug, format!("cannot set up TLS for {url}: {error}"))
        })?;
        Ok(Upstream::Proxy(Box::new(KdcProxy::new(url.clone(), tls))))
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
