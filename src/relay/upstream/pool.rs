//! The upstreams in use: one that several realms have in common is one, and new routes keep what is known of those that stay,
//! their connections above all.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use url::Url;

use super::Upstream;
use super::kdc::{Kdc, Permitted, Terms};
use super::kkdcp::KdcProxy;
use super::proxy_options::ProxyOptions;
use super::tls::SystemRoots;
use crate::relay::failure::{Exit, Failure};
use crate::relay::routes::UpstreamId;

/// Where an upstream is and how it is asked: all that makes two of them one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum UpstreamTerms {
    Proxy(ProxyTerms),
    Kdc(Terms),
}

/// Where a KDC proxy is and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ProxyTerms {
    pub(crate) url: Url,
    /// Which addresses its name may lead to.
    pub(crate) permitted: Permitted,
    pub(crate) roots: SystemRoots,
    /// Certificates trusted besides the roots.
    pub(crate) extra: Vec<CertificateDer<'static>>,
    pub(crate) options: Arc<ProxyOptions>,
}

impl UpstreamTerms {
    /// # Errors
    /// Certificates that TLS cannot use.
    fn upstream(&self) -> Result<Upstream, Failure> {
        match self {
            Self::Proxy(terms) => terms.proxy().map(Box::new).map(Upstream::Proxy),
            Self::Kdc(terms) => Ok(Upstream::Kdc(Box::new(Kdc::new(terms.clone())))),
        }
    }
}

impl ProxyTerms {
    fn proxy(&self) -> Result<KdcProxy, Failure> {
        let Self { url, options, .. } = self;
        let tls = self.roots.client(&self.extra, options).map_err(|error| {
            Failure::new(Exit::Bug, format!("cannot set up TLS for {url}: {error}"))
        })?;
        Ok(KdcProxy::new(
            url.clone(),
            tls,
            options,
            self.permitted.clone(),
        ))
    }
}

/// The upstreams in use.
#[derive(Debug, Default)]
pub(crate) struct UpstreamPool(HashMap<UpstreamTerms, Arc<Upstream>>);

impl UpstreamPool {
    /// Has `build` say which upstreams are in use from now on. If it fails, those of before still are.
    pub(crate) fn rebuild<T>(
        &mut self,
        build: impl FnOnce(&mut PoolBuilder<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Vec<Arc<Upstream>>), Failure> {
        let mut builder = PoolBuilder {
            before: &self.0,
            ids: HashMap::new(),
            list: Vec::new(),
        };
        let built = build(&mut builder)?;
        let PoolBuilder { ids, list, .. } = builder;
        let known = |(terms, id): (_, UpstreamId)| Some((terms, Arc::clone(list.get(id.0)?)));
        self.0 = ids.into_iter().filter_map(known).collect();
        Ok((built, list))
    }
}

/// The upstreams so far.
pub(crate) struct PoolBuilder<'a> {
    before: &'a HashMap<UpstreamTerms, Arc<Upstream>>,
    ids: HashMap<UpstreamTerms, UpstreamId>,
    list: Vec<Arc<Upstream>>,
}

impl PoolBuilder<'_> {
    /// The place of the upstream with these terms, which is made if it is not in use yet.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(crate) fn id(&mut self, terms: UpstreamTerms) -> Result<UpstreamId, Failure> {
        if let Some(id) = self.ids.get(&terms) {
            return Ok(*id);
        }
        let upstream = match self.before.get(&terms) {
            Some(known) => Arc::clone(known),
            None => Arc::new(terms.upstream()?),
        };
        let id = UpstreamId(self.list.len());
        self.list.push(upstream);
        self.ids.insert(terms, id);
        Ok(id)
    }
}
