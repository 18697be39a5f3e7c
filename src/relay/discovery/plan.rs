//! What a command is configured to do with requests: its realms, where the upstreams of each are known from, and the routes
//! that come of it.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::lookup::RealmLookup;
use crate::relay::answer::OnFailure;
use crate::relay::failure::Failure;
use crate::relay::routes::{RealmPattern, Route, Routes};
use crate::relay::upstream::dns::DnsTarget;
use crate::relay::upstream::kdc::{Permitted, Reach, Terms, Transport};
use crate::relay::upstream::pool::{PoolBuilder, ProxyTerms, UpstreamTerms};
use crate::relay::upstream::proxy_options::ProxyOptions;
use crate::relay::upstream::tls::SystemRoots;
use crate::wire::{ByService, Realm, Service};

/// What a command is configured to do with requests.
#[derive(Debug, Default)]
pub(crate) struct RoutePlan {
    pub(crate) realms: Vec<RealmPlan>,
    /// How a failure looks to clients that ask for a realm without a route.
    pub(crate) on_failure: OnFailure,
}

/// A realm, or a wildcard, and where its upstreams are known from.
#[derive(Debug)]
pub(crate) struct RealmPlan {
    pub(crate) pattern: RealmPattern,
    pub(crate) aliases: Vec<Realm>,
    /// In the order to try them.
    pub(crate) sources: Vec<UpstreamSource>,
    /// Its terms, with an empty list of upstreams for each service that is offered.
    pub(crate) route: Route,
}

/// Where some upstreams of a realm are known from, and how they are asked.
#[derive(Debug)]
pub(crate) struct UpstreamSource {
    pub(crate) names: UpstreamNames,
    pub(crate) options: UpstreamOptions,
}

/// Where upstreams are known from.
#[derive(Debug)]
pub(crate) enum UpstreamNames {
    /// The configuration.
    Listed(ByService<Vec<DnsTarget>>),
    /// DNS.
    LookedUp(Arc<RealmLookup>),
}

/// How the upstreams of one source are asked.
#[derive(Debug)]
pub(crate) enum UpstreamOptions {
    Proxies {
        roots: SystemRoots,
        /// Certificates trusted besides the roots.
        extra: Vec<CertificateDer<'static>>,
        options: Arc<ProxyOptions>,
    },
    Kdcs {
        transport: Transport,
        /// Requests under way to one KDC at once.
        max_in_flight: usize,
        reach: Reach,
    },
}

impl RoutePlan {
    /// What is looked up.
    pub(super) fn lookups(&self) -> impl Iterator<Item = &Arc<RealmLookup>> {
        self.realms.iter().flat_map(RealmPlan::lookups)
    }

    /// The routes to all that is known at the moment.
    ///
    /// # Errors
    /// Certificates that TLS cannot use.
    pub(super) fn routes(&self, pool: &mut PoolBuilder<'_>) -> Result<Routes, Failure> {
        let mut routes = Routes::default();
        for realm in &self.realms {
            routes.add(&realm.pattern, &realm.aliases, realm.route(pool)?);
        }
        Ok(routes)
    }
}

impl RealmPlan {
    pub(super) fn lookups(&self) -> impl Iterator<Item = &Arc<RealmLookup>> {
        self.sources
            .iter()
            .filter_map(|source| match &source.names {
                UpstreamNames::Listed(_) => None,
                UpstreamNames::LookedUp(lookup) => Some(lookup),
            })
    }

    fn route(&self, pool: &mut PoolBuilder<'_>) -> Result<Route, Failure> {
        let mut route = self.route.clone();
        for service in [Service::Kdc, Service::Kpasswd] {
            let Some(upstreams) = route.upstreams.get_mut(service) else {
                continue;
            };
            for source in &self.sources {
                for target in source.names.of(service) {
                    let Some(terms) = source.terms(&target) else {
                        continue;
                    };
                    let id = pool.id(terms)?;
                    upstreams.push(id);
                    route.primary.extend(is_primary(&target).then_some(id));
                    route.direct.extend(source.is_local().then_some(id));
                }
            }
        }
        Ok(route)
    }
}

fn is_primary(target: &DnsTarget) -> bool {
    matches!(target, DnsTarget::Kdc { primary: true, .. })
}

impl UpstreamNames {
    fn of(&self, service: Service) -> Vec<DnsTarget> {
        match self {
            Self::Listed(listed) => listed.get(service).clone(),
            Self::LookedUp(lookup) => {
                let results = lookup.results();
                results.map_or_else(Vec::new, |results| results.get(service).to_vec())
            }
        }
    }
}

impl UpstreamSource {
    /// Whether these are KDCs of a network that this machine may or may not be on.
    fn is_local(&self) -> bool {
        matches!(&self.options, UpstreamOptions::Kdcs { reach, .. } if *reach == Reach::OnSomeNetworks)
    }

    /// Nothing for a target of the other kind.
    fn terms(&self, target: &DnsTarget) -> Option<UpstreamTerms> {
        let permitted = match &self.names {
            UpstreamNames::Listed(_) => Permitted::Any,
            // What a name stands for may change from one moment to the next: each address is judged when it is used.
            UpstreamNames::LookedUp(lookup) => lookup.discovery.permitted(),
        };
        match (&self.options, target) {
            (
                UpstreamOptions::Proxies {
                    roots,
                    extra,
                    options,
                },
                DnsTarget::Proxy(url),
            ) => Some(UpstreamTerms::Proxy(ProxyTerms {
                url: url.as_url().clone(),
                permitted,
                roots: roots.clone(),
                extra: extra.clone(),
                options: Arc::clone(options),
            })),
            (
                &UpstreamOptions::Kdcs {
                    transport,
                    max_in_flight,
                    reach,
                },
                DnsTarget::Kdc {
                    name,
                    transport: found,
                    ..
                },
            ) => Some(UpstreamTerms::Kdc(Terms {
                name: name.clone(),
                transport: match transport {
                    Transport::TcpFirst => *found,
                    transport => transport,
                },
                max_in_flight,
                permitted,
                reach,
            })),
            _ => None,
        }
    }
}
