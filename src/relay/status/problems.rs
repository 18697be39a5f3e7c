//! What is wrong, as far as a report shows it, and what to do about it. Pure.

use crate::relay::advice::{self, Advice};
use crate::relay::exchange::Outcome;
use crate::relay::status::{About, Exchange, Problem, Realm, Report, State, Text, Upstream, Way};
use crate::relay::text::{shell, toml};

/// As many realms of which nothing is configured are told.
const MOST_UNKNOWN: usize = 3;
/// Longer names are no realm's that anybody configures.
const LONGEST: usize = 64;

/// All that is wrong in `report`, what concerns everything first.
pub(crate) fn problems(report: &Report) -> Vec<Problem> {
    let mut found = Found::default();
    found.configuration(report);
    found.network(report);
    found.load(report);
    report
        .realms
        .iter()
        .for_each(|realm| found.realm(realm, report));
    let upstreams = report.upstreams.iter().enumerate();
    upstreams.for_each(|(place, upstream)| found.upstream(place, upstream));
    found.exchanges(&report.exchanges);
    found.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, about: About, what: impl Into<Text>, hint: impl Into<Text>) {
        self.add_to(about, (None, None), what, hint);
    }

    fn add_to(
        &mut self,
        about: About,
        (realm, upstream): (Option<Text>, Option<usize>),
        what: impl Into<Text>,
        hint: impl Into<Text>,
    ) {
        self.0.push(Problem {
            about,
            realm,
            upstream,
            what: what.into(),
            hint: hint.into(),
        });
    }

    fn configuration(&mut self, report: &Report) {
        let configuration = &report.configuration;
        if let Some(error) = &configuration.error {
            let file = configuration.file.as_ref();
            let file = file.map_or(String::new(), |file| {
                format!(" --config {}", shell::word(file.as_str()))
            });
            self.add(
                About::Configuration,
                format!("the configuration is wrong, and what it said before holds: {error}"),
                format!("loopkdc check{file}"),
            );
        }
        if configuration.restart_needed {
            self.add(
                About::Configuration,
                "[listen] says something else than when the daemon started",
                "systemctl restart loopkdc",
            );
        }
    }

    fn network(&mut self, report: &Report) {
        if report.network.captive_portal {
            self.add(
                About::Network,
                "what answers looks like a login page of this network",
                "log in: open any page in a browser; then nothing has to be restarted",
            );
        }
        if cfg!(target_os = "linux") && !report.network.heard {
            self.add(
                About::Network,
                "changes of the network are not heard of: the first request after one may wait for seconds",
                "let the service have netlink sockets (RestrictAddressFamilies=AF_NETLINK): systemctl edit loopkdc",
            );
        }
    }

    fn load(&mut self, report: &Report) {
        let load = report.load;
        if load.in_flight >= load.max_in_flight {
            self.add(
                About::Load,
                "as many requests are under way as may be, and others wait",
                "see which upstream is slow: loopkdc status; or raise max-in-flight",
            );
        }
    }

    fn realm(&mut self, realm: &Realm, report: &Report) {
        let of_realm = || (Some(realm.name.clone()), None);
        let mut failed = realm
            .look_ups
            .iter()
            .filter_map(|look_up| Some((look_up, look_up.error.as_ref()?)));
        let mut is_told = false;
        for (look_up, error) in &mut failed {
            let key = &look_up.what;
            self.add_to(
                About::Realm,
                of_realm(),
                format!("its {key} cannot be looked up: {error}"),
                format!(
                    "see whether the name servers answer: resolvectl status; or list them in {key}"
                ),
            );
            is_told = true;
        }
        let was_looked_up = realm
            .look_ups
            .iter()
            .any(|look_up| look_up.expires_at.is_some());
        if realm.kdc.is_empty() && was_looked_up && !is_told {
            self.add_to(
                About::Realm,
                of_realm(),
                "DNS names nothing that its requests may go to",
                "list its KDC proxies in proxies",
            );
        }
        let ways = realm.kdc.iter().chain(&realm.kpasswd);
        ways.for_each(|way| self.way(realm, way, report));
    }

    fn way(&mut self, realm: &Realm, way: &Way, report: &Report) {
        let Some(fault) = &way.fault else {
            return;
        };
        // Away from the office it is as it should be that the office's KDCs do not answer.
        let serves =
            |way: &Way| matches!(way.state, State::InUse | State::Healthy | State::Unknown);
        let others = realm
            .kdc
            .iter()
            .chain(&realm.kpasswd)
            .filter(|way| !way.direct);
        if way.direct && others.into_iter().any(serves) {
            return;
        }
        let of_all = report
            .upstreams
            .get(way.upstream)
            .and_then(|upstream| upstream.last_fault.as_ref());
        let refuses =
            way.state == State::Refusing || of_all.is_none_or(|of_all| of_all.what != fault.what);
        let realm = refuses.then(|| realm.name.clone());
        let is_told = |problem: &Problem| {
            problem.upstream == Some(way.upstream)
                && problem.what == fault.what
                && problem.realm == realm
        };
        let Some(hint) = fault.hint.clone().filter(|_| !self.0.iter().any(is_told)) else {
            return;
        };
        let upstream = Some(way.upstream);
        self.add_to(About::Upstream, (realm, upstream), fault.what.clone(), hint);
    }

    /// What an upstream did last is a problem even where it changes nothing about its turn.
    fn upstream(&mut self, place: usize, upstream: &Upstream) {
        let Some(fault) = upstream
            .last_fault
            .as_ref()
            .filter(|_| !upstream.replied_since)
        else {
            return;
        };
        let mut told = self
            .0
            .iter()
            .filter(|problem| problem.upstream == Some(place));
        let is_told = told.any(|problem| problem.what == fault.what);
        // KDCs were judged where it is known how they are meant.
        if is_told || upstream.kind.as_str() == "kdc" {
            return;
        }
        if let Some(hint) = fault.hint.clone() {
            let of_upstream = (None, Some(place));
            self.add_to(About::Upstream, of_upstream, fault.what.clone(), hint);
        }
    }

    fn exchanges(&mut self, exchanges: &[Exchange]) {
        let no_upstream = Outcome::NoUpstream.to_string();
        let mut unknown: Vec<&str> = Vec::new();
        for exchange in exchanges
            .iter()
            .filter(|exchange| exchange.outcome.as_str() == no_upstream)
        {
            let realm = exchange.realm.as_str();
            let is_told = unknown
                .iter()
                .any(|known| known.eq_ignore_ascii_case(realm));
            if !is_told && unknown.len() < MOST_UNKNOWN && realm.len() <= LONGEST {
                unknown.push(realm);
            }
        }
        for realm in unknown {
            let realm = toml::string(realm);
            self.add(
                About::Exchanges,
                format!("requests came for realm {realm}, which is not configured"),
                format!("if it should be, add [realms.{realm}] with its proxies; krb5.conf sends it here"),
            );
        }
        let mut said = exchanges
            .iter()
            .filter_map(|exchange| advice::on_error_code(exchange.krb_error?));
        if let Some(Advice {
            what,
            hint: Some(hint),
        }) = said.next()
        {
            self.add(About::Exchanges, what, hint);
        }
    }
}
