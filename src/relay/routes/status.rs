//! What is known of realms and upstreams, as the status document has it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::Health;
use super::latency::Latency;
use super::{Candidates, RouteState, Routes, UpstreamId, Wanted};
use crate::relay::clock::ClockReading;
use crate::relay::explain::explain;
use crate::relay::password_changes::PasswordChanges;
use crate::relay::shares::Holder;
use crate::relay::status::{
    CandidateState, CandidateStatus, FaultRecord, LatencyStatus, RealmStatus, UpstreamStatus,
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
    fn fault(self, id: UpstreamId, fault: &Fault, at: Instant) -> Option<FaultRecord> {
        let upstream = self.upstreams.get(id.0)?;
        Some(FaultRecord {
            seen_at: self.now.unix_ms_of(at),
            finding: explain(fault, upstream.name()),
        })
    }
}

impl Routes {
    /// All realms and wildcards, the most specific first.
    pub(crate) fn realm_statuses(
        &self,
        changes: &PasswordChanges,
        context: StatusContext<'_>,
    ) -> Vec<RealmStatus> {
        let mut routes: Vec<_> = self.routes.iter().enumerate().collect();
        routes.sort_by_key(|(_, state)| state.pattern.rank());
        let status = |(index, state): (usize, &RouteState)| {
            let candidates = |service| self.candidate_statuses(index, state, service, context);
            RealmStatus {
                name: state.pattern.to_string().into(),
                aliases: state
                    .aliases
                    .iter()
                    .map(|alias| alias.as_str().into())
                    .collect(),
                kdc: candidates(Service::Kdc),
                kpasswd: candidates(Service::Kpasswd),
                reachable: None,
                deadline_seconds: state.route.deadline.as_secs(),
                look_ups: Vec::new(),
                primary_until: self.primary_until(index, changes, context.now),
            }
        };
        routes.into_iter().map(status).collect()
    }

    /// Until when logins ask for the KDC that takes writes, as a password was changed.
    fn primary_until(
        &self,
        index: usize,
        changes: &PasswordChanges,
        now: ClockReading,
    ) -> Option<u64> {
        let changes = changes.realms(now.instant);
        let of_route = changes.filter(|(realm, _)| self.find(realm) == Some(index));
        let until = of_route.map(|(_, until)| until).max();
        until.map(|until| now.unix_ms_of(until))
    }

    /// All upstreams.
    pub(crate) fn upstream_statuses(&self, context: StatusContext<'_>) -> Vec<UpstreamStatus> {
        let upstreams = context.upstreams.iter().enumerate();
        let status = |(index, upstream): (usize, &Arc<Upstream>)| {
            let id = UpstreamId(index);
            let health = self.health.get(&id);
            let last_fault = health.and_then(|health| health.last_fault.as_ref());
            let latency = health.map(|health| latency(&health.latency));
            UpstreamStatus {
                kind: if is_proxy(upstream) {
                    "proxy".into()
                } else {
                    "kdc".into()
                },
                name: upstream.name().into(),
                last_fault: last_fault.and_then(|(fault, at)| context.fault(id, fault, *at)),
                replied_since: health.is_some_and(Health::has_replied_since_fault),
                latency: latency.unwrap_or_default(),
            }
        };
        upstreams.map(status).collect()
    }

    /// A page was what came last in place of a proxy's answer, and no proxy has replied since its last fault.
    pub(crate) fn is_behind_portal(&self, upstreams: &[Arc<Upstream>]) -> bool {
        let is_proxy = |id: &UpstreamId| upstreams.get(id.0).is_some_and(|it| is_proxy(it));
        let proxies = self.health.iter().filter(|(id, _)| is_proxy(id));
        let mut proxies = proxies.map(|(_, health)| health);
        let mut faults = proxies
            .clone()
            .filter_map(|proxy| proxy.last_fault.as_ref());
        faults.any(|(fault, _)| fault.is_portal()) && !proxies.any(Health::has_replied_since_fault)
    }

    fn candidate_statuses(
        &self,
        index: usize,
        state: &RouteState,
        service: Service,
        context: StatusContext<'_>,
    ) -> Vec<CandidateStatus> {
        let candidates = self.candidates_of(index, Wanted::any(service), context.now.instant);
        let ids = candidates.map_or_else(|_| Vec::new(), |candidates| candidates.upstreams);
        let next = ids.first().copied();
        let status = |id| self.candidate_status(state, (service, id), next == Some(id), context);
        ids.into_iter().map(status).collect()
    }

    fn candidate_status(
        &self,
        state: &RouteState,
        (service, id): (Service, UpstreamId),
        is_next: bool,
        context: StatusContext<'_>,
    ) -> CandidateStatus {
        let now = context.now.instant;
        let (refusal, health) = (state.refusing.get(&(service, id)), self.health.get(&id));
        let outage = refusal.or(self.outage(id));
        let is_off_network = state.is_off_network(id);
        let outage_here = outage.filter(|_| !is_off_network);
        let retry = outage_here.and_then(|outage| outage.backoff.until(now));
        let is_current = state.current.get(service).of(Holder::Unknown) == Some(id);
        let responded = health.is_some_and(|health| health.last_response.is_some());
        let shown = match (outage, retry) {
            _ if is_off_network => CandidateState::OffNetwork,
            (_, Some(_)) if refusal.is_some() => CandidateState::Refusing,
            (_, Some(_)) => CandidateState::Down,
            (Some(_), None) => CandidateState::Failing,
            _ if is_current && is_next => CandidateState::Active,
            _ if responded => CandidateState::Up,
            _ => CandidateState::Untried,
        };
        let last_fault = || health?.last_fault.as_ref().map(|(fault, at)| (fault, *at));
        let fault = outage.and_then(|outage| Some((&outage.fault, outage.backoff.last()?)));
        let fault = fault.or_else(last_fault).filter(|_| !shown.is_good());
        CandidateStatus {
            upstream: id.0,
            direct: state.route.local_kdcs.contains(&id),
            primary: state.route.primary.contains(&id),
            state: shown,
            retry_at: retry.map(|at| context.now.unix_ms_of(at)),
            failures: outage.map_or(0, |outage| outage.backoff.counts(now)),
            fault: fault.and_then(|(fault, at)| context.fault(id, fault, at)),
        }
    }

    /// Those among the `candidates` that are put behind others for what was seen of them.
    pub(crate) fn put_back(
        &self,
        candidates: &Candidates,
        context: StatusContext<'_>,
    ) -> Vec<CandidateStatus> {
        let Some(state) = self.routes.get(candidates.index) else {
            return Vec::new();
        };
        let (wanted, now) = (candidates.wanted, context.now);
        let status = |id: &UpstreamId| {
            let service = wanted.service;
            let mut status = self.candidate_status(state, (service, *id), false, context);
            if let Some(until) = self.passed_over_until(state, *id, wanted, now.instant) {
                status.state = CandidateState::Down;
                status.retry_at = Some(now.unix_ms_of(until));
            }
            status
        };
        let others = candidates.upstreams.iter().skip(1).map(status);
        let is_put_back = |other: &CandidateStatus| {
            other.retry_at.is_some() || other.state == CandidateState::OffNetwork
        };
        others.filter(is_put_back).collect()
    }
}

fn is_proxy(upstream: &Upstream) -> bool {
    matches!(upstream, Upstream::Proxy(_))
}

fn latency(latency: &Latency) -> LatencyStatus {
    let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let percentile = |percent| latency.percentile(percent).map(millis);
    LatencyStatus {
        answers: latency.answers,
        p50_ms: percentile(50),
        p90_ms: percentile(90),
        p99_ms: percentile(99),
    }
}
