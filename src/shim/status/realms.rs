//! What is configured of realms, and where their requests would go.

use super::moment::Now;
use super::upstreams::of_fault;
use crate::relay::discovery::LookupReport;
use crate::relay::exchange::View;
use crate::relay::routes::{RealmPattern, RouteView, State, Way};
use crate::relay::status as report;
use crate::relay::status::Text;
use crate::wire::Service;

pub(super) fn realms(view: &View, lookups: &[LookupReport], now: Now) -> Vec<report::Realm> {
    let mut routes: Vec<_> = view.routes.iter().collect();
    routes.sort_by_key(|route| match &route.pattern {
        RealmPattern::Exact(_) => (0, 0),
        RealmPattern::Suffix(suffix) => (1, usize::MAX - suffix.as_str().len()),
        RealmPattern::Any => (2, 0),
    });
    let realm = |route: &RouteView| {
        let of_realm = |ways: &[Way]| -> Vec<_> {
            let way = |way: &Way| of_way(way, route, view, now);
            ways.iter().map(way).collect()
        };
        report::Realm {
            name: route.pattern.to_string().into(),
            aliases: route
                .aliases
                .iter()
                .map(|alias| alias.as_str().into())
                .collect(),
            kdc: of_realm(&route.ways.kdc),
            kpasswd: of_realm(&route.ways.kpasswd),
            deadline_seconds: route.terms.deadline.as_secs(),
            look_ups: look_ups(route, lookups, now),
        }
    };
    routes.into_iter().map(realm).collect()
}

fn of_way(way: &Way, route: &RouteView, view: &View, now: Now) -> report::Way {
    use report::State as Shown;
    let (state, until) = match way.state {
        State::InUse => (Shown::InUse, None),
        State::Healthy => (Shown::Healthy, None),
        State::Unknown => (Shown::Unknown, None),
        State::Failing => (Shown::Failing, None),
        State::Resting(until) => (Shown::Resting, Some(until)),
        State::Refusing(until) => (Shown::Refusing, Some(until)),
        State::SetAside => (Shown::SetAside, None),
    };
    let upstream = view.upstreams.get(way.id.0).map(|(upstream, _)| upstream);
    let met = way.met.as_ref().zip(upstream);
    report::Way {
        upstream: way.id.0,
        direct: route.terms.direct.contains(&way.id),
        state,
        until_at: until.map(|until| now.of(until)),
        failures: way.failures,
        fault: met.map(|(met, upstream)| of_fault(met, upstream, now)),
    }
}

fn look_ups(route: &RouteView, lookups: &[LookupReport], now: Now) -> Vec<report::LookUp> {
    let RealmPattern::Exact(realm) = &route.pattern else {
        return Vec::new();
    };
    let key = realm.key();
    let of_realm = lookups.iter().filter(|lookup| lookup.realm == key);
    let look_up = |lookup: &LookupReport| {
        let found = lookup.results.as_ref();
        let texts = |service| {
            let targets = found.map_or(&[][..], |found| found.get(service));
            let texts = targets
                .iter()
                .map(|target| Text::of_origins(&target.to_string()));
            texts.collect()
        };
        let refused = found.into_iter().flat_map(|found| &found.refused);
        let refused = refused.map(|refused| report::Refused {
            name: Text::of_origins(&refused.name),
            why: refused.why.to_string().into(),
        });
        let next = lookup.next.filter(|next| *next > now.instant);
        report::LookUp {
            what: lookup.what.into(),
            kdc: texts(Service::Kdc),
            kpasswd: texts(Service::Kpasswd),
            refused: refused.collect(),
            expires_at: next.map(|next| now.of(next)),
            error: lookup.failed.as_ref().map(|error| error.to_string().into()),
        }
    };
    of_realm.map(look_up).collect()
}
