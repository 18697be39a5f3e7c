//! Where requests go at the moment.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::BoxFuture;

use super::Exchange;
use crate::relay::answer::{Answer, Cause, OnFailure, Verdict};
use crate::relay::clock::now;
use crate::relay::routes::{Routes, UpstreamId};
use crate::relay::sync::lock;
use crate::relay::upstream::Upstream;
use crate::wire::{KerberosMessage, Realm};

/// Looks up where the requests go of realms whose configuration says so.
pub trait RealmResolver: fmt::Debug + Send + Sync {
    /// A request for `realm`, as it was configured, has come. Begins what look-up is due, which has [`Exchange::reroute`]
    /// called on `exchange` when it finds something else. What is returned is to be waited for before the request goes
    /// anywhere; there is nothing to wait for if enough is known.
    fn resolve(&self, realm: &Realm, exchange: &Arc<Exchange>) -> Option<BoxFuture<'static, ()>>;

    /// `upstream` has brought a reply of `realm`, as it was configured.
    fn replied(&self, realm: &Realm, upstream: &str, exchange: &Arc<Exchange>);

    /// The network is another one: the next request has everything looked up anew.
    fn network_changed(&self);
}

/// The realms' routes and the upstreams that they lead to; replaced as a whole when the configuration is read anew.
#[derive(Debug)]
pub struct Routing {
    routes: Mutex<Routes>,
    pub(super) upstreams: Vec<Arc<Upstream>>,
    /// The users of this machine share what some of them grant it.
    pub(super) has_user_shares: bool,
    pub(super) on_failure: OnFailure,
    pub(super) resolver: Option<Arc<dyn RealmResolver>>,
}

impl Routing {
    /// `routes` speaks of `upstreams` by their place; `on_failure` is for realms that have no route.
    pub fn new(routes: Routes, upstreams: Vec<Arc<Upstream>>, on_failure: OnFailure) -> Self {
        Self {
            routes: Mutex::new(routes),
            has_user_shares: upstreams
                .iter()
                .any(|upstream| upstream.user_shares().is_some()),
            upstreams,
            on_failure,
            resolver: None,
        }
    }

    /// The same, with `resolver` for the realms that are looked up.
    #[must_use]
    pub fn resolved_by(self, resolver: Arc<dyn RealmResolver>) -> Self {
        let resolver = Some(resolver);
        Self { resolver, ..self }
    }

    pub(super) fn routes(&self) -> MutexGuard<'_, Routes> {
        lock(&self.routes)
    }

    pub(super) fn upstream(&self, id: UpstreamId) -> Option<&Arc<Upstream>> {
        self.upstreams.get(id.0)
    }

    /// Forgets what was seen of upstreams, and the connections to them.
    pub(super) fn forget(&self) {
        self.routes().forget(now());
        self.upstreams.iter().for_each(|upstream| upstream.forget());
        if let Some(resolver) = &self.resolver {
            resolver.network_changed();
        }
    }

    /// Takes over what `before` knows of the upstreams that both have.
    pub(super) fn inherit(&self, before: &Self) {
        let place = |id: UpstreamId| {
            let same = before.upstream(id)?;
            let mut here = self.upstreams.iter();
            here.position(|here| Arc::ptr_eq(here, same))
                .map(UpstreamId)
        };
        self.routes().inherit(&mut before.routes(), place);
    }

    /// A verdict on a message that no attempt was made for, told as its realm wants it.
    pub(super) fn verdict(
        &self,
        message: &KerberosMessage,
        cause: Cause,
        may_have_been_sent: bool,
    ) -> Answer {
        let routes = self.routes();
        let route = routes.route(message.realm());
        Answer::Verdict(Verdict {
            cause,
            may_have_been_sent,
            on_failure: route.map_or(self.on_failure, |route| route.on_failure),
            realm: message.realm().clone(),
        })
    }
}
