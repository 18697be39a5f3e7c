//! What is known in this room at one moment, for those who show it.

use std::sync::Arc;

use super::recent::{Ended, Moments};
use super::{Exchange, now};
use crate::relay::routes::{RouteView, UpstreamId, UpstreamView};
use crate::relay::upstream::Upstream;

/// All that is known.
#[derive(Debug)]
pub struct View {
    /// The routes; they speak of `upstreams` by their place.
    pub routes: Vec<RouteView>,
    /// The upstreams, and what is known of each.
    pub upstreams: Vec<(Arc<Upstream>, UpstreamView)>,
    /// The last exchanges, the youngest first.
    pub exchanges: Vec<Ended>,
    /// Exchanges being led through their upstreams.
    pub in_flight: usize,
    /// As many may be.
    pub max_in_flight: usize,
    /// When the network became another one.
    pub moments: Moments,
}

impl Exchange {
    /// What is known now. Requests wait for no longer than it takes to copy it.
    #[must_use]
    pub fn view(&self) -> View {
        let routing = self.routing();
        let (routes, known) = {
            let routes = routing.routes();
            let places = 0..routing.upstreams.len();
            let known: Vec<_> = places
                .map(|place| routes.upstream(UpstreamId(place)))
                .collect();
            (routes.view(now()), known)
        };
        View {
            routes,
            upstreams: routing.upstreams.iter().cloned().zip(known).collect(),
            exchanges: self.recent.exchanges(),
            in_flight: self.max_in_flight - self.in_flight.available_permits(),
            max_in_flight: self.max_in_flight,
            moments: self.recent.moments(),
        }
    }
}
