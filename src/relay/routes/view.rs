//! What is known of routes and upstreams at one moment, for those who show it.

use std::sync::Arc;
use std::time::Instant;

use super::{Latency, RealmPattern, Route, RouteState, Routes, UpstreamId, Wanted};
use crate::relay::upstream::Fault;
use crate::wire::{ByService, Realm, Service};

/// A route as it stands.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// Which realms it is for.
    pub pattern: RealmPattern,
    /// Other names of its realm.
    pub aliases: Vec<Realm>,
    /// Its terms.
    pub terms: Arc<Route>,
    /// Its ways out in the order in which they would be tried; none for a service that is not offered.
    pub ways: ByService<Vec<Way>>,
}

/// A route's way out as it stands.
#[derive(Clone, Debug)]
pub struct Way {
    /// Whose way it is.
    pub id: UpstreamId,
    /// How it stands with this route.
    pub state: State,
    /// Failures or refusals one after the other, as far as they count.
    pub failures: u32,
    /// Why it fails or refuses, if it does.
    pub met: Option<Met>,
}

/// How it stands with a way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It served last and is the next to be asked.
    InUse,
    /// It has answered.
    Healthy,
    /// It was not asked on this network.
    Unknown,
    /// It failed or refused, and will be asked again.
    Failing,
    /// It failed, and the others come first until then.
    Resting(Instant),
    /// It refuses this realm, and the others come first until then.
    Refusing(Instant),
    /// A KDC that is not on this network, as far as can be seen.
    SetAside,
}

/// A fault, and when it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// The fault.
    pub fault: Fault,
    /// When.
    pub at: Instant,
}

/// What is known of an upstream, whatever the realm.
#[derive(Clone, Debug, Default)]
pub struct UpstreamView {
    /// The last fault on this network that says something about it.
    pub met: Option<Met>,
    /// Whether it has replied since.
    pub has_replied_since: bool,
    /// How long its answers take.
    pub latency: Latency,
}

impl Routes {
    /// All routes, in the order in which they were added.
    #[must_use]
    pub fn view(&self, now: Instant) -> Vec<RouteView> {
        let views = self.routes.iter().enumerate().map(|(route, state)| {
            let ways = |service| self.ways(route, state, service, now);
            RouteView {
                pattern: state.pattern.clone(),
                aliases: state.aliases.clone(),
                terms: Arc::clone(&state.terms),
                ways: ByService {
                    kdc: ways(Service::Kdc),
                    kpasswd: ways(Service::Kpasswd),
                },
            }
        });
        views.collect()
    }

    /// What is known of `id`.
    #[must_use]
    pub fn upstream(&self, id: UpstreamId) -> UpstreamView {
        let health = self.health.get(&id);
        health.map_or_else(UpstreamView::default, |health| UpstreamView {
            met: health.met.clone(),
            has_replied_since: health.has_replied_since(),
            latency: health.latency.clone(),
        })
    }

    fn ways(&self, route: usize, state: &RouteState, service: Service, now: Instant) -> Vec<Way> {
        let wanted = Wanted {
            service,
            primary: false,
        };
        let Ok(candidates) = self.candidates_of(route, wanted, now) else {
            return Vec::new();
        };
        let ids = candidates.upstreams.into_iter().enumerate();
        let way = |(place, id)| self.way(state, (service, id), place == 0, now);
        ids.map(way).collect()
    }

    fn way(
        &self,
        route: &RouteState,
        (service, id): (Service, UpstreamId),
        is_next: bool,
        now: Instant,
    ) -> Way {
        let health = self.health.get(&id);
        if let Some(refusal) = route.refusing.get(&(service, id)) {
            let until = refusal.backoff.until(now);
            return Way {
                id,
                state: until.map_or(State::Failing, State::Refusing),
                failures: refusal.backoff.counts(now),
                met: refusal.backoff.last().map(|at| Met {
                    fault: refusal.fault.clone(),
                    at,
                }),
            };
        }
        let until = health.and_then(|health| health.backoff.until(now));
        let is_ill = health.is_some_and(|health| health.ill.is_some());
        let was_heard = health.is_some_and(|health| health.was_heard());
        let is_current = *route.current.get(service) == Some(id);
        let state = match until {
            _ if route.is_aside(id) => State::SetAside,
            Some(until) => State::Resting(until),
            None if is_ill => State::Failing,
            None if is_current && is_next => State::InUse,
            None if was_heard => State::Healthy,
            None => State::Unknown,
        };
        let is_well = matches!(state, State::InUse | State::Healthy | State::Unknown);
        let met = health.and_then(|health| health.met.clone());
        Way {
            id,
            state,
            failures: self.failures(id, now),
            met: met.filter(|_| !is_well),
        }
    }
}
