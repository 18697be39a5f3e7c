//! What is wrong, as far as a status document shows it, and what to do about it. Pure.

use super::{
    CandidateStatus, ConfigurationStatus, DaemonKind, ExchangeOutcome, ExchangeRecord,
    ListenerStatus, LookUpStatus, NetworkStatus, RealmStatus, StatusDocument, UpstreamStatus,
};
use crate::relay::clock::date;
use crate::relay::explain::explain_error_code;
use crate::relay::finding::{Figure, Finding, Hint, Layer};
use crate::relay::text::{Text, toml};

/// Longer names are no realm's that anybody configures.
const MAX_REALM_LENGTH: usize = 64;
/// A certificate that is valid for no more days than these is worth a word.
pub(crate) const EXPIRES_SOON: i64 = 13;
const DAY_MS: i64 = 86_400_000;

/// All that is wrong in `document`, what concerns everything first.
pub(crate) fn problems(document: &StatusDocument) -> Vec<Finding> {
    let is_run = document.daemon == DaemonKind::Run;
    let mut problems = configuration_problems(document.daemon, &document.configuration);
    // A gateway stays where it is, and anybody can ask it for anything.
    if is_run {
        problems.extend(of_network(&document.network));
    }
    problems.extend(of_listeners(&document.listeners));
    problems.extend(of_certificate(document));
    for realm in &document.realms {
        problems.extend(of_look_ups(realm, is_run));
        for candidate in realm.kdc.iter().chain(&realm.kpasswd) {
            let problem = of_candidate(realm, candidate, &document.upstreams);
            let problem = problem.filter(|problem| !problems.contains(problem));
            problems.extend(problem);
        }
    }
    for upstream in &document.upstreams {
        let problem = of_upstream(upstream, &problems);
        problems.extend(problem);
    }
    // Where no realm is served, the configuration itself is what is to be mended.
    if is_run && document.configuration.read_at.is_some() {
        problems.extend(of_unknown_realm(&document.exchanges));
    }
    if is_run {
        problems.extend(of_error_codes(&document.exchanges));
    }
    problems
}

/// What is wrong with the configuration that is in effect.
pub(crate) fn configuration_problems(
    daemon: DaemonKind,
    configuration: &ConfigurationStatus,
) -> Vec<Finding> {
    let mut problems = Vec::new();
    if let Some(error) = &configuration.error {
        let served = match configuration.read_at {
            None => "every client is told that no KDC can be reached".to_owned(),
            Some(read) => format!("the last good one, of {}, is served", date(read)),
        };
        let what = format!("the configuration is invalid, and {served}: {error}");
        let file = configuration
            .file
            .iter()
            .flat_map(|file| ["--config", file.as_str()]);
        let check = Hint::command(daemon.command("check").chain(file));
        let mend = match daemon {
            DaemonKind::Run => "once it is mended, it is taken by itself; see what is wrong",
            DaemonKind::Gateway => "see what is wrong",
        };
        let mut problem = Finding::fault(what).on(Layer::Configuration);
        problem = problem.hint(mend).hint(check);
        if daemon == DaemonKind::Gateway {
            let reload = ["systemctl", "reload", daemon.unit()];
            problem = problem.command("once it is mended", reload);
        }
        problems.push(problem);
    }
    if configuration.restart_needed {
        let table = daemon.table();
        let what = format!("{table} was changed, which takes effect after a restart");
        let restart = Hint::command(["systemctl", "restart", daemon.unit()]);
        problems.push(
            Finding::warning(what)
                .on(Layer::Configuration)
                .hint(restart),
        );
    }
    problems
}

/// Where nobody can ask at the moment.
pub(crate) fn of_listeners(listeners: &[ListenerStatus]) -> Vec<Finding> {
    let awaited = listeners.iter().filter(|listener| listener.awaits_address);
    let mut addresses: Vec<_> = awaited.map(|listener| &listener.address).collect();
    addresses.dedup();
    let problem = |address: &Text| {
        let what = format!("{address}: no interface of this machine has this address");
        let hint = "it is served once one has; see which there are";
        let problem = Finding::warning(what).on(Layer::Ports);
        problem.command(hint, ["ip", "address"])
    };
    addresses.into_iter().map(problem).collect()
}

/// What clients refuse, or will soon.
fn of_certificate(document: &StatusDocument) -> Option<Finding> {
    let until = document.certificate_until?;
    let left = i64::try_from(until).ok()? - i64::try_from(document.written_at).ok()?;
    let days = left.div_euclid(DAY_MS);
    let problem = match days {
        ..0 => Finding::fault("the gateway's certificate has expired: clients refuse it"),
        0..=EXPIRES_SOON => Finding::warning("the gateway's certificate is about to expire"),
        _ => return None,
    };
    let renew = "renew it: the file is read again by itself; see what else is wrong with it";
    let doctor = document.daemon.command("doctor");
    let problem = problem.on(Layer::Tls).figure(Figure::Days(days));
    Some(problem.command(renew, doctor))
}

/// What has a name of its own for each of the two daemons.
impl DaemonKind {
    /// What its unit and its folders are called.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Run => "loopkdc",
            Self::Gateway => "loopkdc-gateway",
        }
    }

    /// The `command` that is about it, as it is typed.
    pub(crate) fn command(self, command: &str) -> impl Iterator<Item = &str> {
        let option = (self == Self::Gateway).then_some("--gateway");
        ["loopkdc", command].into_iter().chain(option)
    }

    /// The same by root.
    pub(crate) fn as_root(self, command: &str) -> impl Iterator<Item = &str> {
        ["sudo"].into_iter().chain(self.command(command))
    }

    /// What starts it without a service manager.
    pub(crate) fn start(self) -> &'static str {
        match self {
            Self::Run => "loopkdc run",
            Self::Gateway => "loopkdc gateway",
        }
    }

    /// The table of its file that says where it listens.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Run => "[listen]",
            Self::Gateway => "[gateway]",
        }
    }
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

fn of_look_ups(realm: &RealmStatus, is_run: bool) -> Vec<Finding> {
    let failed = |look_up: &LookUpStatus| {
        let (what, error) = (&look_up.what, look_up.error.as_ref()?);
        let hint = format!("list them in {what}, or see whether the name servers answer");
        let failed = Finding::fault(format!("its {what} cannot be looked up: {error}"))
            .command(hint, ["resolvectl", "status"]);
        Some(failed)
    };
    let mut problems: Vec<_> = realm.look_ups.iter().filter_map(failed).collect();
    let mut look_ups = realm.look_ups.iter();
    let was_looked_up = look_ups.any(|look_up| look_up.expires_at.is_some());
    if problems.is_empty() && realm.kdc.is_empty() && was_looked_up {
        let (what, hint) = if is_run {
            let what = "DNS names no proxy and no KDC for it";
            (what, "list its KDC proxies in proxies")
        } else {
            ("DNS names no KDC for it", "list its KDCs in kdcs")
        };
        problems.push(Finding::fault(what).hint(hint));
    }
    let of_realm = |problem: Finding| problem.on(Layer::Names).of(&realm.name);
    problems.into_iter().map(of_realm).collect()
}

/// The fault of a candidate, about the realm if it is not the upstream's in every realm.
fn of_candidate(
    realm: &RealmStatus,
    candidate: &CandidateStatus,
    upstreams: &[UpstreamStatus],
) -> Option<Finding> {
    let finding = candidate.fault.as_ref()?.finding.clone();
    // Away from the office it is as it should be that the office's KDCs do not answer.
    let others = realm.kdc.iter().chain(&realm.kpasswd);
    let serves = |other: &CandidateStatus| !other.direct && other.state.is_good();
    if !is_to_be_mended(&finding) || candidate.direct && others.into_iter().any(serves) {
        return None;
    }
    let upstream = upstreams.get(candidate.upstream);
    let of_upstream = upstream.and_then(|upstream| upstream.last_fault.as_ref());
    if of_upstream.is_some_and(|fault| fault.finding == finding) {
        return Some(finding);
    }
    Some(finding.of(&realm.name))
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

/// The last realm that a client has named and the configuration has not.
fn of_unknown_realm(exchanges: &[ExchangeRecord]) -> Option<Finding> {
    let mut exchanges = exchanges.iter();
    let unknown = exchanges.find(|exchange| {
        exchange.outcome == ExchangeOutcome::NoUpstream
            && exchange.realm.as_str().len() <= MAX_REALM_LENGTH
    })?;
    let realm = toml::string(unknown.realm.as_str());
    let what = format!("requests came for realm {realm}, which is not configured");
    let hint =
        format!("if it should be, add [realms.{realm}] with its proxies; krb5.conf sends it here");
    Some(Finding::warning(what).on(Layer::Configuration).hint(hint))
}

/// What KDCs say about this machine.
fn of_error_codes(exchanges: &[ExchangeRecord]) -> Option<Finding> {
    let mut codes = exchanges.iter().filter_map(|exchange| exchange.krb_error);
    codes.find_map(explain_error_code)
}
