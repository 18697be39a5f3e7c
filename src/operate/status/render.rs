//! A status document as a terminal shows it. Pure.

use crate::operate::terminal::{Cell, Page, joined, style};
use crate::relay::finding::{Figure, Finding, Hint};
use crate::relay::status::{
    AttemptRecord, CandidateState, CandidateStatus, CounterStatus, DaemonKind, ExchangeOutcome,
    ExchangeRecord, FaultRecord, LatencyStatus, ListenerStatus, LookUpStatus, NetworkStatus,
    RealmStatus, StatusDocument, Text,
};
use crate::relay::text::{Quoted, short};
use crate::wire::krb_error::NamedCode;

/// Of the last exchanges so many are shown.
const MAX_EXCHANGES: usize = 10;
/// Of a realm that a client named so many characters are shown.
const MAX_REALM_LENGTH: usize = 24;

/// The document as text for a terminal of this width, each line with its newline.
#[must_use]
pub fn render(document: &StatusDocument, width: usize) -> String {
    let mut page = Page::new(width);
    head(&mut page, document);
    problems(&mut page, &document.problems);
    for realm in &document.realms {
        show_realm(&mut page, realm, document);
    }
    exchanges(&mut page, document);
    page.text()
}

fn head(page: &mut Page, document: &StatusDocument) {
    let StatusDocument { version, pid, .. } = document;
    let uptime = span(document.uptime_seconds.saturating_mul(1000));
    let (name, listening) = match document.daemon {
        DaemonKind::Run => ("loopkdc", &["kdc", "kpasswd"][..]),
        DaemonKind::Gateway => ("loopkdc gateway", &["https", "http", "metrics"][..]),
    };
    page.heading(&format!("{name} {version}, up {uptime}, process {pid}"));
    let configuration = &document.configuration;
    let file = configuration.file.as_ref();
    let file = file.map_or("the command line", Text::as_str);
    let read = match configuration.read_at {
        None => "never valid".to_owned(),
        Some(at) => format!("read {}", ago(document.written_at, at)),
    };
    let load = document.load;
    let requests = format!("{} of {} requests", load.in_flight, load.max_in_flight);
    let (open, most) = (load.connections, load.max_connections);
    let connections = format!("{open} of {most} connections");
    let offered = |service: &&'static str| (*service, listeners(&document.listeners, service));
    let of_place = match document.daemon {
        DaemonKind::Run => ("network", network(&document.network, document.written_at)),
        DaemonKind::Gateway => ("certificate", certificate(document)),
    };
    let rows = [
        ("configuration", format!("{file}, {read}")),
        of_place,
        ("counted", counters(&document.counters)),
        ("in progress", format!("{requests}, {connections}")),
    ];
    let row = |(name, text): (&str, String)| vec![Cell::styled(name, style::DIM), text.into()];
    let rows = listening.iter().map(offered).chain(rows);
    let rows: Vec<_> = rows.map(row).collect();
    page.table(2, &rows);
}

/// Of a gateway, for how long it is valid.
fn certificate(document: &StatusDocument) -> String {
    let Some(until) = document.certificate_until else {
        return "none".to_owned();
    };
    if until < document.written_at {
        return format!("expired {}", ago(document.written_at, until));
    }
    format!("valid for {} more", left(document.written_at, until))
}

/// `udp 127.0.0.1:88, tcp 127.0.0.1:88`.
fn listeners(listeners: &[ListenerStatus], service: &str) -> String {
    let mut listeners = listeners.to_vec();
    listeners.retain(|listener| listener.service.as_str() == service);
    if listeners.is_empty() {
        return "not offered".to_owned();
    }
    let name = |of: &ListenerStatus| {
        let when = if of.awaits_address {
            " (not there yet)"
        } else {
            ""
        };
        format!("{} {}{when}", of.transport, of.address)
    };
    let names = joined(listeners.iter().map(name));
    if listeners.iter().all(|listener| listener.inherited) {
        return format!("{names}, from the service manager");
    }
    names
}

fn network(network: &NetworkStatus, now: u64) -> String {
    let told = |what: &str, count: u64, last: Option<u64>| {
        last.map(|at| format!("{what}: {count}, last {}", ago(now, at)))
    };
    let changes = told("changes", network.changes, network.changed_at);
    let sleeps = told("sleeps", network.sleeps, network.woke_at);
    let told: Vec<_> = changes.into_iter().chain(sleeps).collect();
    if told.is_empty() {
        return "the same since the start".to_owned();
    }
    told.join("; ")
}

/// What was counted and stands nowhere else.
fn counters(counters: &[CounterStatus]) -> String {
    let is_shown = |name: &str| ["networks", "sleeps"].contains(&name);
    let counted = counters.iter().filter(|counter| counter.value > 0);
    let counted = counted.filter(|counter| !is_shown(counter.name.as_str()));
    let told = |of: &CounterStatus| format!("{} {}", of.name, of.value).replace('_', "-");
    let counted = joined(counted.map(told));
    if counted.is_empty() {
        return "nothing yet".to_owned();
    }
    counted
}

fn problems(page: &mut Page, problems: &[Finding]) {
    match problems.len() {
        0 => return,
        1 => page.heading("1 problem"),
        count => page.heading(&format!("{count} problems")),
    }
    for finding in problems {
        page.finding(&with_subject(finding));
    }
}

/// The finding with the name of its upstream and realm.
fn with_subject(finding: &Finding) -> Finding {
    let what = &finding.what;
    let subject = match (&finding.subject.upstream, &finding.subject.realm) {
        (Some(upstream), Some(realm)) => format!("{upstream}, for {realm}: "),
        (Some(name), None) | (None, Some(name)) => format!("{name}: "),
        (None, None) => String::new(),
    };
    Finding {
        what: format!("{subject}{what}"),
        ..finding.clone()
    }
}

fn show_realm(page: &mut Page, realm: &RealmStatus, document: &StatusDocument) {
    let names = std::iter::once(&realm.name).chain(&realm.aliases);
    let names: Vec<_> = names.map(Text::as_str).collect();
    page.heading(&names.join(", also "));
    for look_up in &realm.look_ups {
        show_look_up(page, look_up, document.written_at);
    }
    if let Some(until) = realm.primary_until {
        let more = left(document.written_at, until);
        let what = "a password was changed: logins ask for the primary KDC";
        let text = format!("{what} for {more} more");
        page.paragraph(2, style::DIM, &text);
    }
    if realm.kdc.is_empty() && realm.kpasswd.is_empty() {
        let what = match document.daemon {
            DaemonKind::Run => "no proxy and no KDC is known for it",
            DaemonKind::Gateway => "no KDC is known for it",
        };
        page.paragraph(2, style::WARNING, what);
    }
    candidates(page, &realm.kdc, document);
    if !realm.kpasswd.is_empty() && !are_alike(&realm.kdc, &realm.kpasswd) {
        page.paragraph(2, style::DIM, "for password changes:");
        candidates(page, &realm.kpasswd, document);
    }
    let mut proxies = realm.kdc.iter().chain(&realm.kpasswd);
    let fails = proxies.any(|candidate| !candidate.direct && !candidate.state.is_good());
    let name = realm.name.as_str();
    // A wildcard is no realm to ask for.
    if fails && !name.contains('*') {
        let doctor = Hint::command(document.daemon.command("doctor").chain([name]));
        page.hints("  ", &["to see how far each gets".into(), doctor]);
    }
}

fn show_look_up(page: &mut Page, look_up: &LookUpStatus, now: u64) {
    let when = match look_up.expires_at {
        Some(at) => format!("looked up again in {} at the earliest", left(now, at)),
        None => "looked up with the next request".to_owned(),
    };
    let (what, count) = (&look_up.what, look_up.kdc.len());
    let text = format!("{what}: {count} found in DNS, {when}");
    page.paragraph(2, style::DIM, &text);
    for rejected in &look_up.rejected {
        let text = format!("not used: {}, as {}", rejected.name, rejected.why);
        page.paragraph(4, style::WARNING, &text);
    }
}

/// Password changes go where everything else goes.
fn are_alike(kdc: &[CandidateStatus], kpasswd: &[CandidateStatus]) -> bool {
    let alike = |(one, other): (&CandidateStatus, &CandidateStatus)| {
        let are_good = one.state.is_good() && other.state.is_good();
        one.upstream == other.upstream && (one.state == other.state || are_good)
    };
    kdc.len() == kpasswd.len() && kdc.iter().zip(kpasswd).all(alike)
}

fn candidates(page: &mut Page, candidates: &[CandidateStatus], document: &StatusDocument) {
    let row = |candidate: &CandidateStatus| {
        let upstream = document.upstreams.get(candidate.upstream)?;
        let now = document.written_at;
        let (mark, style, mut state) = state(candidate, now);
        if let Some(fault) = &candidate.fault {
            state += &format!(": {}", told(fault, candidate.failures, now));
        } else if let Some(fault) = &upstream.last_fault {
            state += &format!("; last fault: {}", told(fault, 0, now));
        }
        if let Some(latency) = latency(upstream.latency) {
            state += &format!("; {latency}");
        }
        let primary = if candidate.primary { " (primary)" } else { "" };
        let name = format!("{mark} {}{primary}", upstream.name);
        Some(vec![Cell::styled(name, style), Cell::styled(state, style)])
    };
    let rows: Vec<_> = candidates.iter().filter_map(row).collect();
    page.table(2, &rows);
}

/// The mark, the colour and the words for the state of a candidate.
fn state(candidate: &CandidateStatus, now: u64) -> (char, anstyle::Style, String) {
    let (mark, style) = match candidate.state {
        CandidateState::Active => ('●', style::GOOD),
        CandidateState::Up => ('○', style::GOOD),
        CandidateState::Failing => ('✗', style::WARNING),
        CandidateState::Down | CandidateState::Refusing => ('✗', style::BAD),
        CandidateState::Untried | CandidateState::OffNetwork | CandidateState::Other => {
            ('·', style::DIM)
        }
    };
    let words = match candidate.retry_at {
        Some(at) => format!("{}, retried in {}", candidate.state, left(now, at)),
        None => candidate.state.to_string(),
    };
    (mark, style, words)
}

/// `no answer in time (4 times, last 3 s ago)`.
fn told(fault: &FaultRecord, failures: u32, now: u64) -> String {
    let seen = ago(now, fault.seen_at);
    let what = &fault.finding.what;
    if failures > 1 {
        return format!("{what} ({failures} times, last {seen})");
    }
    format!("{what} ({seen})")
}

/// `312 answers, p50 12 ms, p99 121 ms`.
fn latency(latency: LatencyStatus) -> Option<String> {
    let [p50, p99] = [latency.p50_ms?, latency.p99_ms?].map(Figure::Milliseconds);
    Some(format!("{} answers, p50 {p50}, p99 {p99}", latency.answers))
}

fn exchanges(page: &mut Page, document: &StatusDocument) {
    page.heading("last exchanges");
    if document.exchanges.is_empty() {
        return page.paragraph(2, style::DIM, "none yet");
    }
    let shown = document.exchanges.iter().take(MAX_EXCHANGES);
    let rows = shown.flat_map(|exchange| {
        let attempts = exchange.attempts.iter().map(attempt);
        std::iter::once(self::exchange(exchange, document.written_at)).chain(attempts)
    });
    let rows: Vec<_> = rows.collect();
    page.table(2, &rows);
    if let Some(older @ 1..) = document.exchanges.len().checked_sub(MAX_EXCHANGES) {
        let status = Hint::command(document.daemon.command("status").chain(["--json"]));
        let text = format!("{older} older ones: {status}");
        page.paragraph(2, style::DIM, &text);
    }
}

fn exchange(exchange: &ExchangeRecord, now: u64) -> Vec<Cell> {
    let realm = Quoted(exchange.realm.as_str()).to_string();
    let (style, outcome) = match (exchange.outcome, exchange.krb_error, &exchange.fault) {
        (ExchangeOutcome::Replied, Some(code), _) => (style::PLAIN, NamedCode(code).to_string()),
        (ExchangeOutcome::Replied, None, _) => (style::PLAIN, "replied".to_owned()),
        (_, _, Some(fault)) => (style::BAD, fault.to_string()),
        (outcome, _, None) => (style::BAD, outcome.to_string()),
    };
    let upstream = exchange.upstream.as_ref();
    let from = upstream.map_or(String::new(), |name| format!("{}: ", host(name)));
    vec![
        Cell::number(ago(now, exchange.ended_at)),
        exchange.kind.as_str().into(),
        short(&realm, MAX_REALM_LENGTH).into(),
        exchange.transport.as_str().into(),
        Cell::number(format!("{} ms", exchange.took_ms)),
        Cell::styled(format!("{from}{outcome}"), style),
    ]
}

/// In the columns of its exchange.
fn attempt(attempt: &AttemptRecord) -> Vec<Cell> {
    let why = attempt.why.to_string();
    let host = host(&attempt.upstream);
    let outcome = match &attempt.fault {
        Some(fault) => format!("{host}: {fault}"),
        None => host.to_owned(),
    };
    let dim = |text: &str| Cell::styled(text, style::DIM);
    let took = Cell::number(format!("{} ms", attempt.took_ms));
    vec![dim(""), dim(&why), dim(""), dim(""), took, dim(&outcome)]
}

/// An upstream's name without its scheme.
fn host(name: &Text) -> &str {
    let name = name.as_str();
    name.split_once("://").map_or(name, |(_, host)| host)
}

/// `12 s`, `3 min`, `3 h 12 min` or `5 d 3 h`.
fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// How long after `now` that is, at least a second.
fn left(now: u64, at: u64) -> String {
    span(at.saturating_sub(now).max(1000))
}

/// How long before `now` that was.
fn ago(now: u64, at: u64) -> String {
    match now.saturating_sub(at) {
        0..1000 => "just now".to_owned(),
        past => format!("{} ago", span(past)),
    }
}

#[cfg(test)]
mod tests;
