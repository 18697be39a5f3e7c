//! What is wrong, as far as a status document shows it, and what to do about it. Pure.

use super::{
    CandidateStatus, ConfigurationStatus, ExchangeOutcome, ExchangeRecord, LoadStatus,
    NetworkStatus, RealmStatus, StatusDocument, Text, UpstreamStatus,
};
use crate::relay::explain::explain_error_code;
use crate::relay::finding::{Finding, Hint, Layer};
use crate::relay::text::toml;

/// The most realms without a configuration that are named.
const MAX_UNKNOWN_REALMS: usize = 3;
/// Longer names are no realm's that anybody configures.
const MAX_REALM_LENGTH: usize = 64;

/// All that is wrong in `document`, what concerns everything first.
pub(crate) fn problems(document: &StatusDocument) -> Vec<Finding> {
    let mut problems = configuration_problems(&document.configuration);
    problems.extend(of_network(&document.network));
    problems.extend(of_load(document.load));
    for realm in &document.realms {
        problems.extend(of_look_ups(realm));
        for candidate in realm.kdc.iter().chain(&realm.kpasswd) {
            let problem = of_candidate(realm, candidate, &document.upstreams);
            let is_new = |problem: &Finding| !problems.contains(problem);
            let problem = problem.filter(is_new);
            problems.extend(problem);
        }
    }
    for upstream in &document.upstreams {
        let problem = of_upstream(upstream, &problems);
        problems.extend(problem);
    }
    problems.extend(of_unknown_realms(&document.exchanges));
    problems.extend(of_error_codes(&document.exchanges));
    problems
}

/// What is wrong with the configuration that is in effect.
pub(crate) fn configuration_problems(configuration: &ConfigurationStatus) -> Vec<Finding> {
    let mut problems = Vec::new();
    if let Some(error) = &configuration.error {
        let what =
            format!("the configuration is invalid, and the one before stays in effect: {error}");
        let file = configuration
            .file
            .iter()
            .flat_map(|file| ["--config", file.as_str()]);
        let check = Hint::command(["loopkdc", "check"].into_iter().chain(file));
        problems.push(Finding::fault(what).on(Layer::Configuration).hint(check));
    }
    if configuration.restart_needed {
        let what = "[listen] was changed, which takes effect after a restart";
        let restart = Hint::command(["systemctl", "restart", "loopkdc"]);
        problems.push(
            Finding::warning(what)
                .on(Layer::Configuration)
                .hint(restart),
        );
    }
    problems
}

fn of_network(network: &NetworkStatus) -> Vec<Finding> {
    let mut problems = Vec::new();
    if network.captive_portal {
        let what = "what answers looks like a login page of this network";
        let hint = "log in: open any page in a browser; then nothing has to be restarted";
        problems.push(Finding::fault(what).on(Layer::Http).hint(hint));
    }
    if cfg!(target_os = "linux") && !network.watched {
        let what =
            "changes of the network are not seen: the first request after one may wait for seconds";
        let hint = "let the service have netlink sockets (RestrictAddressFamilies=AF_NETLINK)";
        let edit = ["systemctl", "edit", "loopkdc"];
        problems.push(Finding::warning(what).on(Layer::Daemon).command(hint, edit));
    }
    problems
}

fn of_load(load: LoadStatus) -> Option<Finding> {
    let is_full = load.in_flight >= load.max_in_flight;
    is_full.then(|| {
        Finding::warning("as many requests are in progress as may be, and others wait")
            .on(Layer::Daemon)
            .hint("see below which proxy is slow, or raise max-in-flight")
    })
}

fn of_look_ups(realm: &RealmStatus) -> Vec<Finding> {
    let failed = |what: &Text, error: &Text| {
        Finding::fault(format!("its {what} cannot be looked up: {error}"))
            .on(Layer::Names)
            .of(&realm.name)
            .command(
                format!("list them in {what}, or see whether the name servers answer"),
                ["resolvectl", "status"],
            )
    };
    let look_ups = realm.look_ups.iter();
    let problems: Vec<_> = look_ups
        .filter_map(|look_up| Some(failed(&look_up.what, look_up.error.as_ref()?)))
        .collect();
    let mut look_ups = realm.look_ups.iter();
    let was_looked_up = look_ups.any(|look_up| look_up.expires_at.is_some());
    if problems.is_empty() && realm.kdc.is_empty() && was_looked_up {
        let nothing = Finding::fault("DNS names no proxy and no KDC for it")
            .on(Layer::Names)
            .of(&realm.name)
            .hint("list its KDC proxies in proxies");
        return vec![nothing];
    }
    problems
}

/// The fault of a candidate, about the realm if it is not the upstream's in every realm.
fn of_candidate(
    realm: &RealmStatus,
    candidate: &CandidateStatus,
    upstreams: &[UpstreamStatus],
) -> Option<Finding> {
    let finding = &candidate.fault.as_ref()?.finding;
    // Away from the office it is as it should be that the office's KDCs do not answer.
    let mut others = realm
        .kdc
        .iter()
        .chain(&realm.kpasswd)
        .filter(|other| !other.direct);
    if candidate.direct && others.any(|other| other.state.is_good()) {
        return None;
    }
    let of_upstream = upstreams
        .get(candidate.upstream)
        .and_then(|upstream| upstream.last_fault.as_ref());
    let is_of_upstream = of_upstream.is_some_and(|fault| fault.finding == *finding);
    let finding = finding.clone();
    let finding = if is_of_upstream {
        finding
    } else {
        finding.of(&realm.name)
    };
    Some(finding).filter(is_to_be_mended)
}

/// What an upstream did last is a problem even where it changes nothing about its turn.
fn of_upstream(upstream: &UpstreamStatus, told: &[Finding]) -> Option<Finding> {
    // KDCs were judged where it is known how they are meant.
    if upstream.replied_since || upstream.kind.as_str() == "kdc" {
        return None;
    }
    let finding = &upstream.last_fault.as_ref()?.finding;
    let is_told = |told: &&Finding| {
        told.subject.upstream == finding.subject.upstream && told.what == finding.what
    };
    let is_new = told.iter().find(is_told).is_none();
    Some(finding.clone()).filter(|finding| is_new && is_to_be_mended(finding))
}

/// What ends by itself comes without a hint.
fn is_to_be_mended(finding: &Finding) -> bool {
    !finding.hints.is_empty()
}

fn of_unknown_realms(exchanges: &[ExchangeRecord]) -> Vec<Finding> {
    let mut realms: Vec<&str> = Vec::new();
    for exchange in exchanges {
        let realm = exchange.realm.as_str();
        let is_unknown = exchange.outcome == ExchangeOutcome::NoUpstream;
        let is_named = realms.iter().any(|named| named.eq_ignore_ascii_case(realm));
        if is_unknown && !is_named && realm.len() <= MAX_REALM_LENGTH {
            realms.push(realm);
        }
    }
    let problem = |realm| {
        let realm = toml::string(realm);
        Finding::warning(format!(
            "requests came for realm {realm}, which is not configured"
        ))
        .on(Layer::Configuration)
        .hint(format!(
            "if it should be, add [realms.{realm}] with its proxies; krb5.conf sends it here"
        ))
    };
    realms
        .into_iter()
        .take(MAX_UNKNOWN_REALMS)
        .map(problem)
        .collect()
}

/// What KDCs say about this machine.
fn of_error_codes(exchanges: &[ExchangeRecord]) -> Option<Finding> {
    let mut codes = exchanges.iter().filter_map(|exchange| exchange.krb_error);
    codes.find_map(explain_error_code)
}
