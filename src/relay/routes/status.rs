//! What is known of realms and upstreams, as the status document has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::Health;
use super::{Latency, RealmPattern, RouteState, Routes, UpstreamId, Wanted};
use crate::relay::explain::{UpstreamKind, UpstreamRef, explain};
use crate::relay::status::{
    CandidateState, CandidateStatus, ClockReading, FaultRecord, LatencyStatus, RealmStatus,
    UpstreamStatus,
};
use crate::relay::upstream::{Fault, Upstream};
use crate::wire::Service;

/// The upstreams, each at the place that its id says, and the time.
#[derive(Clone, Copy)]
pub(crate) struct StatusContext<'a> {
    pub(crate) upstreams: &'a [Arc<Upstream>],
    pub(crate) now: ClockReading,
}

impl StatusContext<'_> {
    fn fault(self, id: UpstreamId, (fault, at): (&Fault, Instant)) -> Option<FaultRecord> {
        let upstream = self.upstreams.get(id.0)?;
        let (kind, name) = (kind(upstream), upstream.name());
        Some(FaultRecord {
            seen_at: self.now.unix_ms_of(at),
            finding: explain(fault, UpstreamRef { kind, name }),
        })
    }
}

impl Routes {
    /// All realms and wildcards, the most specific first.
    pub(crate) fn realm_statuses(&self, context: StatusContext<'_>) -> Vec<RealmStatus> {
        let mut routes: Vec<_> = self.routes.iter().enumerate().collect();
        routes.sort_by_key(|(_, route)| match &route.pattern {
            RealmPattern::Exact(_) => (0, 0),
            RealmPattern::Suffix(suffix) => (1, usize::MAX - suffix.as_str().len()),
            RealmPattern::Any => (2, 0),
        });
        let status = |(index, route): (usize, &RouteState)| {
            let candidates = |service| self.candidate_statuses(index, route, service, context);
            RealmStatus {
                name: route.pattern.to_string().into(),
                aliases: route
                    .aliases
                    .iter()
                    .map(|alias| alias.as_str().into())
                    .collect(),
                kdc: candidates(Service::Kdc),
                kpasswd: candidates(Service::Kpasswd),
                deadline_seconds: route.terms.deadline.as_secs(),
                look_ups: Vec::new(),
            }
        };
        routes.into_iter().map(status).collect()
    }

    /// All upstreams.
    pub(crate) fn upstream_statuses(&self, context: StatusContext<'_>) -> Vec<UpstreamStatus> {
        let upstreams = context.upstreams.iter().enumerate();
        let status = |(index, upstream): (usize, &Arc<Upstream>)| {
            let id = UpstreamId(index);
            let health = self.health.get(&id);
            let last_fault = health.and_then(Health::last_fault);
            UpstreamStatus {
                kind: match kind(upstream) {
                    UpstreamKind::Proxy => "proxy".into(),
                    UpstreamKind::Kdc => "kdc".into(),
                },
                name: upstream.name().into(),
                last_fault: last_fault.and_then(|fault| context.fault(id, fault)),
                replied_since: health.is_some_and(Health::has_replied_since),
                latency: health
                    .map_or_else(LatencyStatus::default, |health| latency(&health.latency)),
            }
        };
        upstreams.map(status).collect()
    }

    /// A page was what came last in place of a proxy's answer, and no proxy has replied since its last fault.
    pub(crate) fn is_behind_portal(&self, upstreams: &[Arc<Upstream>]) -> bool {
        let is_proxy = |id: &UpstreamId| {
            let upstream = upstreams.get(id.0);
            upstream.is_some_and(|upstream| kind(upstream) == UpstreamKind::Proxy)
        };
        let proxies = self.health.iter().filter(|(id, _)| is_proxy(id));
        let mut proxies = proxies.map(|(_, health)| health);
        let is_page = |(fault, _): (&Fault, Instant)| fault.is_portal();
        proxies.clone().filter_map(Health::last_fault).any(is_page)
            && !proxies.any(Health::has_replied_since)
    }

    fn candidate_statuses(
        &self,
        index: usize,
        route: &RouteState,
        service: Service,
        context: StatusContext<'_>,
    ) -> Vec<CandidateStatus> {
        let wanted = Wanted {
            service,
            primary: false,
        };
        let candidates = self.candidates_of(index, wanted, context.now.instant);
        let ids = candidates.map_or_else(|_| Vec::new(), |candidates| candidates.upstreams);
        let next = ids.first().copied();
        let status = |id| self.candidate_status(route, (service, id), next == Some(id), context);
        ids.into_iter().map(status).collect()
    }

    fn candidate_status(
        &self,
        route: &RouteState,
        (service, id): (Service, UpstreamId),
        is_next: bool,
        context: StatusContext<'_>,
    ) -> CandidateStatus {
        let now = context.now.instant;
        let (refusal, health) = (route.refusing.get(&(service, id)), self.health.get(&id));
        let of_health = health.map(|health| &health.backoff);
        let backoff = refusal.map(|refusal| &refusal.backoff).or(of_health);
        let retry = backoff.and_then(|backoff| backoff.until(now));
        let is_current = *route.current.get(service) == Some(id);
        let state = match (refusal, retry) {
            (Some(_), Some(_)) => CandidateState::Refusing,
            (Some(_), None) => CandidateState::Failing,
            (None, _) if route.is_aside(id) => CandidateState::OffNetwork,
            (None, Some(_)) => CandidateState::Down,
            (None, None) if self.is_ill(id) => CandidateState::Failing,
            (None, None) if is_current && is_next => CandidateState::Active,
            (None, None) if health.is_some_and(Health::was_heard) => CandidateState::Up,
            (None, None) => CandidateState::Untried,
        };
        let fault = match refusal {
            Some(refusal) => refusal.backoff.last().map(|at| (&refusal.fault, at)),
            None => health
                .and_then(Health::last_fault)
                .filter(|_| !state.is_good()),
        };
        let is_put_back = matches!(state, CandidateState::Down | CandidateState::Refusing);
        CandidateStatus {
            upstream: id.0,
            direct: route.terms.direct.contains(&id),
            state,
            retry_at: retry
                .filter(|_| is_put_back)
                .map(|at| context.now.unix_ms_of(at)),
            failures: backoff.map_or(0, |backoff| backoff.counts(now)),
            fault: fault.and_then(|fault| context.fault(id, fault)),
        }
    }
}

fn kind(upstream: &Upstream) -> UpstreamKind {
    match upstream {
        Upstream::Proxy(_) => UpstreamKind::Proxy,
        _ => UpstreamKind::Kdc,
    }
}

fn latency(latency: &Latency) -> LatencyStatus {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let percentile = |hundredths| latency.quantile(hundredths).map(millis);
    LatencyStatus {
        answers: latency.answers(),
        p50_ms: percentile(50),
        p90_ms: percentile(90),
        p99_ms: percentile(99),
    }
}
