//! Realm to ordered upstreams, their health, and the one rule of what may be sent again.
//!
//! Pure: the clock is an argument, and an upstream is a number that the caller knows the meaning of.

mod candidates;
mod health;
mod latency;
mod record;
mod resend;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::candidates::Current;
use self::health::{Health, Outage, Scope};
use crate::relay::answer::{Cause, OnFailure};
use crate::relay::quota::Quota;
use crate::relay::shares::Holder;
use crate::relay::upstream::kdc::LOCAL_KDC_TIMEOUT;
use crate::wire::{ByService, Realm, RealmKey, Service};

pub use candidates::{Candidates, RealmPattern, Wanted};
pub(crate) use health::{pause, random};
pub(crate) use record::is_outage;
pub use resend::{Next, after, fault_in_reply};
pub(crate) use status::StatusContext;

/// How long an upstream may keep a request to itself after an exchange that ended in silence, until an octet is heard from it.
const PATIENCE_AFTER_SILENCE: Duration = Duration::from_secs(2);

/// An upstream, by its place in the caller's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// Where a realm's requests go, and how.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The ways out in the configured order; nothing for a service that is not offered. An empty list for one that is, of
    /// which none is known at the moment.
    pub upstreams: ByService<Option<Vec<UpstreamId>>>,
    /// Those among them that take writes, for requests that ask for one ([MS-NRPC] 3.5.4.3.1).
    pub primary: Vec<UpstreamId>,
    /// Those among them that are KDCs of a network that this machine may or may not be on.
    pub local_kdcs: Vec<UpstreamId>,
    /// Those among them that were found in DNS and have replied, and that it names no more: for where the others lead nowhere.
    pub second_choice: Vec<UpstreamId>,
    /// The target-domain to send; without one the client's spelling of the realm is sent.
    pub target_domain: Option<String>,
    /// The dclocator-hint to send ([MS-KKDCP] 2.2.2).
    pub dclocator_hint: Option<u32>,
    /// How long an exchange may take.
    pub deadline: Duration,
    /// How a failure is told.
    pub on_failure: OnFailure,
    /// This relay is many clients', as a gateway is. Then silence does not mark an upstream as down: of a KDC, which
    /// drops what it can't read, any client could cause it. And a late answer is waited for, where one laptop would ask
    /// another upstream as well: many clients at once would only ask a busy KDC twice.
    pub shared: bool,
    /// Messages that are addressed to this realm and name another one inside are served as well.
    pub serves_other_realms: bool,
}

/// The configured routes and the health of their upstreams.
#[derive(Debug, Default)]
pub struct Routes {
    routes: Vec<RouteState>,
    exact: HashMap<RealmKey, usize>,
    /// In upper case, from a dot on; the empty one every realm has.
    suffixes: HashMap<String, usize>,
    health: BTreeMap<UpstreamId, Health>,
    /// When the network changed last: what was asked before that says nothing of this one.
    forgotten: Option<Instant>,
}

#[derive(Debug)]
struct RouteState {
    pattern: RealmPattern,
    aliases: Vec<Realm>,
    route: Arc<Route>,
    current: ByService<Current>,
    /// Upstreams that are up but refuse the one realm of this route, or a service of it.
    refusing: HashMap<(Service, UpstreamId), Outage>,
    /// One of the local KDCs did not answer: all of them are asked last on this network, so that waiting for them costs a moment
    /// once.
    local_kdc_unreachable: bool,
    /// The log says that all its upstreams are down.
    is_told_lost: bool,
    lines: Quota,
}

impl Routes {
    /// Adds a route for `pattern` and, for an exact one, for other spellings that are sent as the realm's own.
    pub fn add(&mut self, pattern: &RealmPattern, aliases: &[Realm], route: Route) {
        let index = self.routes.len();
        match pattern {
            RealmPattern::Exact(realm) => {
                for name in std::iter::once(realm).chain(aliases) {
                    self.exact.insert(name.key(), index);
                }
            }
            RealmPattern::Suffix(suffix) => {
                let suffix = suffix.key().as_str().to_owned();
                self.suffixes.entry(suffix).or_insert(index);
            }
            RealmPattern::Any => {
                self.suffixes.entry(String::new()).or_insert(index);
            }
        }
        self.routes.push(RouteState {
            pattern: pattern.clone(),
            aliases: aliases.to_vec(),
            route: Arc::new(route),
            current: ByService::default(),
            refusing: HashMap::new(),
            local_kdc_unreachable: false,
            is_told_lost: false,
            lines: Quota::default(),
        });
    }

    /// The ways out for what is `wanted` of `realm`, in the order to try them; the longest match wins.
    ///
    /// # Errors
    /// [`Cause::NoUpstream`] if no route matches, [`Cause::NotOffered`] if the realm does not offer this service, and
    /// [`Cause::Unreachable`] if no upstream is known at the moment.
    pub fn candidates(
        &self,
        realm: &Realm,
        wanted: Wanted,
        now: Instant,
    ) -> Result<Candidates, Cause> {
        let index = self.find(&realm.key()).ok_or(Cause::NoUpstream)?;
        self.candidates_of(index, wanted, now)
    }

    fn candidates_of(
        &self,
        index: usize,
        wanted: Wanted,
        now: Instant,
    ) -> Result<Candidates, Cause> {
        let state = self.routes.get(index).ok_or(Cause::NoUpstream)?;
        let offered = state.route.upstreams.get(wanted.service).as_ref();
        let mut upstreams = offered.ok_or(Cause::NotOffered)?.clone();
        if upstreams.is_empty() {
            return Err(Cause::Unreachable);
        }
        upstreams.sort_by_key(|id| self.place_of(state, *id, wanted, now));
        let mut live_primary = Vec::new();
        if wanted.primary {
            live_primary.clone_from(&state.route.primary);
            live_primary.retain(|id| self.silence(*id, wanted.holder).is_none());
        }
        Ok(Candidates {
            index,
            wanted,
            live_primary,
            route: Arc::clone(&state.route),
            upstreams,
        })
    }

    /// Where `id` stands among the upstreams of a request: the lowest is tried first.
    fn place_of(
        &self,
        state: &RouteState,
        id: UpstreamId,
        wanted: Wanted,
        now: Instant,
    ) -> impl Ord + use<> {
        // If all of them are down, the one with the fewest failures is as good a guess as any.
        let is_met = |outage: &&Outage| outage.scope.includes(wanted.holder);
        let counts = |outage: &Outage| outage.backoff.counts(now);
        let down = self.outage(id).filter(is_met).map_or(0, counts);
        let refusing = state.refusing.get(&(wanted.service, id));
        let refusing = refusing.filter(is_met).map_or(0, counts);
        let passed_over = self.passed_over_until(state, id, wanted, now);
        let chosen = wanted.primary && state.route.primary.contains(&id);
        let is_current = state.current.get(wanted.service).of(wanted.holder) == Some(id);
        (
            state.is_off_network(id),
            down.max(refusing),
            passed_over.is_some(),
            !chosen,
            wanted.rediscover && is_current,
            state.rank(id),
            state.route.second_choice.contains(&id),
            !is_current,
        )
    }

    /// Until when `id` comes after the others in a request that wants the primary: if it is the primary, and was silent when last
    /// asked.
    fn passed_over_until(
        &self,
        state: &RouteState,
        id: UpstreamId,
        wanted: Wanted,
        now: Instant,
    ) -> Option<Instant> {
        let is_chosen = wanted.primary && state.route.primary.contains(&id);
        let silence = self.silence(id, wanted.holder).filter(|_| is_chosen);
        silence?.backoff.until(now)
    }

    fn silence(&self, id: UpstreamId, holder: Holder) -> Option<&Outage> {
        let silence = self.health.get(&id)?.silence.as_ref();
        silence.filter(|silence| silence.scope.includes(holder))
    }

    /// What is configured for `realm`, even if no upstream of it is known.
    pub fn route(&self, realm: &Realm) -> Option<&Arc<Route>> {
        let index = self.find(&realm.key())?;
        self.routes.get(index).map(|state| &state.route)
    }

    /// The realm as it was configured, if it was, itself or as an alias.
    pub fn configured(&self, realm: &Realm) -> Option<&Realm> {
        let index = self.find(&realm.key())?;
        self.routes.get(index)?.realm()
    }

    /// The names of a realm as it was configured, its aliases behind the first.
    pub(crate) fn names(&self, realm: &Realm) -> impl Iterator<Item = &Realm> {
        let state = self.find(&realm.key());
        let state = state.and_then(|index| self.routes.get(index)).into_iter();
        state.flat_map(|state| state.realm().into_iter().chain(&state.aliases))
    }

    /// The key of a realm's configured name, which all its aliases share.
    pub fn realm_key(&self, realm: &Realm) -> RealmKey {
        self.configured(realm).unwrap_or(realm).key()
    }

    /// The realms that were configured by name and have a way for AS-REQs and TGS-REQs, where this relay is many clients' or not.
    pub(crate) fn realms(&self, are_shared: bool) -> impl Iterator<Item = &Realm> {
        let routes = self.routes.iter();
        let routes = routes.filter(move |state| state.route.shared == are_shared);
        let offered = routes.filter(|state| state.route.upstreams.kdc.is_some());
        offered.filter_map(RouteState::realm)
    }

    /// True if two names lead to the same route.
    pub fn is_same(&self, one: &Realm, other: &Realm) -> bool {
        let route = self.find(&one.key());
        one.key() == other.key() || route.is_some() && route == self.find(&other.key())
    }

    fn find(&self, realm: &RealmKey) -> Option<usize> {
        if realm.is_nobodys() {
            return None;
        }
        let text = realm.as_str();
        // The longest first.
        let from_dots = text.match_indices('.').filter_map(|(at, _)| text.get(at..));
        let by_suffix = || {
            from_dots
                .chain([""])
                .find_map(|suffix| self.suffixes.get(suffix))
        };
        self.exact.get(realm).or_else(by_suffix).copied()
    }

    /// True if no KDC of any realm can be reached, as far as was seen lately. Requests alone tell, so what was seen a
    /// while ago says nothing; and clients can cause other faults, but not that a connect fails. Password services are
    /// asked too seldom to tell.
    pub fn is_cut_off(&self, now: Instant) -> bool {
        let kdcs = |state: &RouteState| state.route.upstreams.kdc.clone();
        let mut realms = self.routes.iter().filter_map(kdcs).peekable();
        let is_cut_off = |id: &UpstreamId| {
            let health = self.health.get(id);
            health.is_some_and(|health| health.is_cut_off(now))
        };
        // One of which no KDC is known is cut off, too.
        realms.peek().is_some() && realms.all(|kdcs| kdcs.iter().all(is_cut_off))
    }

    /// Takes over what `before` knows of the upstreams that are here too; `place` says where one is here.
    pub fn inherit(&mut self, before: &mut Self, place: impl Fn(UpstreamId) -> Option<UpstreamId>) {
        let health = std::mem::take(&mut before.health).into_iter();
        self.health = health
            .filter_map(|(id, health)| Some((place(id)?, health)))
            .collect();
        for state in &mut self.routes {
            let realm = state.realm().map(Realm::key);
            let route = realm.and_then(|realm| before.exact.get(&realm));
            let Some(before) = route.and_then(|route| before.routes.get(*route)) else {
                continue;
            };
            // Nothing is known of local KDCs that were found since.
            let known = before.route.local_kdcs.iter();
            let known: Vec<_> = known.filter_map(|id| place(*id)).collect();
            let are_known = state.route.local_kdcs.iter().all(|id| known.contains(id));
            state.local_kdc_unreachable = before.local_kdc_unreachable && are_known;
            state.is_told_lost = before.is_told_lost;
            state.lines = before.lines.clone();
            for service in [Service::Kdc, Service::Kpasswd] {
                let current = before.current.get(service);
                let detour = current.detour.and_then(|(own, id)| Some((own, place(id)?)));
                let id = current.id.and_then(&place);
                *state.current.get_mut(service) = Current { id, detour };
            }
        }
    }

    /// True if `id` is known to fail, whoever asks.
    pub fn is_down(&self, id: UpstreamId) -> bool {
        let outage = self.outage(id);
        outage.is_some_and(|outage| outage.scope == Scope::All)
    }

    fn outage(&self, id: UpstreamId) -> Option<&Outage> {
        self.health.get(&id)?.down.as_ref()
    }

    /// Forgets what was seen of upstreams: the network is another one.
    pub fn forget(&mut self, now: Instant) {
        self.forgotten = Some(now);
        self.health.values_mut().for_each(Health::forget);
        for state in &mut self.routes {
            state.current = ByService::default();
            state.refusing.clear();
            state.local_kdc_unreachable = false;
        }
    }

    /// Until when `holder` waits for `id` before a verdict is given, if that is sooner than the deadline.
    pub fn patience(&self, id: UpstreamId, holder: Holder, now: Instant) -> Option<Instant> {
        let silence = self.silence(id, holder);
        silence.map(|_| now + PATIENCE_AFTER_SILENCE)
    }

    /// When the answer of `id`, which was asked at `asked` over a `reused` connection or a new one, is late: then a harmless
    /// request is sent another way as well, and one that must not be sent twice is called back if it has not left yet.
    pub fn late(
        &self,
        candidates: &Candidates,
        id: UpstreamId,
        reused: bool,
        asked: Instant,
    ) -> Instant {
        let route = &candidates.route;
        if route.local_kdcs.contains(&id) {
            // If it is on this network it answers sooner; else a proxy is asked as well.
            return asked + LOCAL_KDC_TIMEOUT;
        }
        if route.shared {
            return asked + latency::LATEST;
        }
        let rtt = self.health.get(&id).map(|health| health.rtt);
        asked + rtt.unwrap_or_default().timeout(reused)
    }
}

impl RouteState {
    /// The one realm that it is for. Under a wildcard any local user chooses the realm, and so which faults there are.
    fn realm(&self) -> Option<&Realm> {
        self.pattern.exact()
    }

    fn is_off_network(&self, id: UpstreamId) -> bool {
        self.local_kdc_unreachable && self.route.local_kdcs.contains(&id)
    }

    /// Password changes and logins have the same proxies, in the same order.
    fn are_services_alike(&self) -> bool {
        let ByService { kdc, kpasswd } = &self.route.upstreams;
        let proxies = |ids: &Option<Vec<UpstreamId>>| {
            let mut ids = ids.clone().unwrap_or_default();
            ids.retain(|id| !self.route.local_kdcs.contains(id));
            ids
        };
        proxies(kdc) == proxies(kpasswd)
    }

    /// Local KDCs stand before the others or after them, as configured: that one of the others serves does not change it.
    fn rank(&self, id: UpstreamId) -> bool {
        let is_local = |id: &UpstreamId| self.route.local_kdcs.contains(id);
        let mut kdcs = self.route.upstreams.kdc.iter().flatten();
        let are_first = kdcs.next().is_some_and(is_local);
        is_local(&id) != are_first
    }
}

#[cfg(test)]
pub(crate) mod tests;
