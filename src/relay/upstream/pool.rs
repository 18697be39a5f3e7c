//! The upstreams in use: one that several realms have in common is one, and new routes keep what is known of those that stay,
//! their connections above all.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::Upstream;
use super::dns::UpstreamTarget;
use super::kdc::{Kdc, KdcOptions, Permitted, Reach, Transport};
use super::kkdcp::KdcProxy;
use super::proxy_options::ProxyOptions;
use super::tls::SystemRoots;
use super::tls_errors;
use crate::relay::failure::{Exit, Failure};
use crate::relay::routes::UpstreamId;

/// Where an upstream is and how it is asked: all that makes two of them one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamKey {
    pub(crate) target: UpstreamTarget,
    /// Which addresses its name may lead to.
    pub(crate) permitted: Permitted,
    pub(crate) options: UpstreamOptions,
}

/// How the upstreams of one kind are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamOptions {
    Proxy {
        roots: SystemRoots,
        /// Certificates trusted besides the roots.
        extra: Vec<CertificateDer<'static>>,
        options: Arc<ProxyOptions>,
    },
    Kdc {
        transport: Transport,
        /// Requests under way to one KDC at once.
        max_in_flight: usize,
        reach: Reach,
    },
}

impl UpstreamKey {
    /// # Errors
    /// Certificates that TLS cannot use.
    fn upstream(&self) -> Result<Upstream, Failure> {
        let Self {
            target, permitted, ..
        } = self;
        let bug = |why: String| Failure::new(Exit::Bug, format!("cannot use {target}: {why}"));
        match (target, &self.options) {
            (
                UpstreamTarget::Proxy(url),
                UpstreamOptions::Proxy {
                    roots,
                    extra,
                    options,
                },
            ) => {
                let tls = roots.client(extra, options);
                let tls = tls.map_err(|error| bug(tls_errors::words(&error)))?;
                let url = url.as_url().clone();
                let proxy = KdcProxy::new(url, tls, options, permitted.clone());
                Ok(Upstream::Proxy(Box::new(proxy)))
            }
            (
                UpstreamTarget::Kdc { name, transport },
                &UpstreamOptions::Kdc {
                    transport: wanted,
                    max_in_flight,
                    reach,
                },
            ) => Ok(Upstream::Kdc(Box::new(Kdc::new(KdcOptions {
                name: name.clone(),
                // What DNS names as a UDP service only is asked over UDP first.
                transport: wanted.max(*transport),
                max_in_flight,
                permitted: permitted.clone(),
                reach,
            })))),
            _ => Err(bug("it is of another kind than its options".to_owned())),
        }
    }
}

/// The upstreams in use.
#[derive(Debug, Default)]
pub(crate) struct UpstreamPool(Vec<(UpstreamKey, Arc<Upstream>)>);

impl UpstreamPool {
    /// Has `build` say which upstreams are in use from now on. If it fails, those of before still are.
    pub(crate) fn rebuild<T>(
        &mut self,
        build: impl FnOnce(&mut PoolBuilder<'_>) -> Result<T, Failure>,
    ) -> Result<(T, Vec<Arc<Upstream>>), Failure> {
        let mut builder = PoolBuilder {
            before: &self.0,
            upstreams: Vec::new(),
        };
        let built = build(&mut builder)?;
        self.0 = builder.upstreams;
        let upstreams = self.0.iter().map(|(_, upstream)| Arc::clone(upstream));
        Ok((built, upstreams.collect()))
    }
}

/// The upstreams so far.
pub(crate) struct PoolBuilder<'a> {
    before: &'a [(UpstreamKey, Arc<Upstream>)],
    upstreams: Vec<(UpstreamKey, Arc<Upstream>)>,
}

impl PoolBuilder<'_> {
    /// The place of the upstream with this key, which is made if it is not in use yet.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(crate) fn id(&mut self, key: UpstreamKey) -> Result<UpstreamId, Failure> {
        let mut known = self.upstreams.iter();
        if let Some(place) = known.position(|(known, _)| *known == key) {
            return Ok(UpstreamId(place));
        }
        let upstream = match self.before.iter().find(|(known, _)| *known == key) {
            Some((_, known)) => Arc::clone(known),
            None => Arc::new(key.upstream()?),
        };
        self.upstreams.push((key, upstream));
        Ok(UpstreamId(self.upstreams.len() - 1))
    }
}
