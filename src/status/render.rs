//! A report as a terminal shows it: 80 columns, and next to each problem what to do about it. Pure.

mod latency;
mod paper;
mod words;

use self::paper::{Paper, Tone};
use self::words::{about_ago, ago, count, span, took};
use super::{About, Exchange, Listener, Problem, Realm, Report, State, Text, Way};

/// What the terminal can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colour: bool,
    /// More than ASCII.
    pub utf8: bool,
    /// So many lines are seen at once; without a bound all that is known is shown.
    pub rows: Option<usize>,
}

/// Lines of exchanges are shown at least, however low the terminal is.
const EXCHANGES: usize = 6;

/// The report as text, each line with its newline.
#[must_use]
pub fn render(report: &Report, look: Look) -> String {
    let mut page = Page {
        report,
        paper: Paper::new(look),
        told: Vec::new(),
    };
    page.head();
    for realm in &report.realms {
        page.realm(realm);
    }
    page.latency();
    page.counted();
    page.exchanges(look.rows);
    page.paper.into_text()
}

/// What stands above a report, line by line.
#[must_use]
pub fn told(text: &str, look: Look) -> String {
    let mut paper = Paper::new(look);
    for line in text.lines() {
        paper.text(0, Tone::Bad, line);
    }
    paper.blank();
    paper.into_text()
}

/// What is being written.
struct Page<'a> {
    report: &'a Report,
    paper: Paper,
    /// The problems that stand there already.
    told: Vec<&'a Problem>,
}

impl<'a> Page<'a> {
    fn head(&mut self) {
        let report = self.report;
        let title = format!("loopkdc {}", report.version);
        let up = span(report.uptime_seconds.saturating_mul(1000));
        let mut rest = format!(", up {up}, process {}", report.pid);
        match report.problems.len() {
            0 => {}
            1 => rest.push_str(": 1 problem"),
            problems => rest.push_str(&format!(": {problems} problems")),
        }
        let tone = if report.problems.is_empty() {
            Tone::Plain
        } else {
            Tone::Bad
        };
        self.paper.line(&[(Tone::Bold, &title), (tone, &rest)]);
        for service in ["kdc", "kpasswd"] {
            let text = listeners(&report.listeners, service);
            self.paper.entry(service, &text);
        }
        let configuration = &report.configuration;
        let read = ago(report.written_at, configuration.read_at);
        let file = configuration
            .file
            .as_ref()
            .map_or("the command line", Text::as_str);
        self.paper.entry("from", &format!("{file}, read {read}"));
        self.problems(2, |problem| problem.about == About::Configuration);
        let network = self.network();
        self.paper.entry("network", &network);
        self.problems(2, |problem| problem.about == About::Network);
    }

    fn network(&self) -> String {
        let (network, now) = (self.report.network, self.report.written_at);
        let times = |times, verb: &str, at: Option<u64>| {
            let at = at.map_or(String::new(), |at| format!(", last {}", ago(now, at)));
            format!("{verb} {}{at}", count(times, "time"))
        };
        match (network.changes, network.sleeps) {
            (0, 0) => "the same since the start".to_owned(),
            (changes, 0) => times(changes, "changed", network.changed_at),
            (0, sleeps) => times(sleeps, "slept", network.woke_at),
            (changes, sleeps) => format!(
                "{}; {}",
                times(changes, "changed", network.changed_at),
                times(sleeps, "slept", network.woke_at)
            ),
        }
    }

    fn realm(&mut self, realm: &'a Realm) {
        self.paper.blank();
        let aliases: Vec<_> = realm.aliases.iter().map(Text::as_str).collect();
        let also = match aliases.is_empty() {
            true => String::new(),
            false => format!(", also {}", aliases.join(", ")),
        };
        self.paper
            .line(&[(Tone::Bold, realm.name.as_str()), (Tone::Plain, &also)]);
        self.look_ups(realm);
        let of_realm = |problem: &Problem| {
            problem.about == About::Realm && problem.realm.as_ref() == Some(&realm.name)
        };
        self.problems(2, of_realm);
        if realm.kdc.is_empty() && realm.kpasswd.is_empty() {
            self.paper.text(
                2,
                Tone::Warn,
                "nothing is known that its requests could go to",
            );
        }
        let before = self.told.len();
        self.ways(realm, &realm.kdc);
        if !are_alike(&realm.kdc, &realm.kpasswd) {
            self.paper.text(2, Tone::Dim, "for password changes:");
            self.ways(realm, &realm.kpasswd);
        }
        let name = realm.name.as_str();
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        // A wildcard is no realm to ask for, and a name that a shell reads otherwise none to be copied.
        if self.told.len() > before && name.bytes().all(is_plain) {
            let hint = format!("to see how far each gets: loopkdc doctor {name}");
            self.paper.hint(2, &hint);
        }
    }

    fn look_ups(&mut self, realm: &Realm) {
        for look_up in &realm.look_ups {
            let when = match look_up.expires_at {
                Some(at) => {
                    let left = span(at.saturating_sub(self.report.written_at));
                    format!("looked up again in {left} at the earliest")
                }
                None => "looked up with the next request".to_owned(),
            };
            let found = count(look_up.kdc.len() as u64, "found in DNS");
            let text = format!("{}: {found}, {when}", look_up.what);
            self.paper.text(2, Tone::Dim, &text);
            for refused in &look_up.refused {
                let text = format!("not asked: {}, as {}", refused.name, refused.why);
                self.paper.text(4, Tone::Warn, &text);
            }
        }
    }

    fn ways(&mut self, realm: &'a Realm, ways: &'a [Way]) {
        for way in ways {
            let Some(upstream) = self.report.upstreams.get(way.upstream) else {
                continue;
            };
            let (tone, state) = self.state(way);
            let mark = self.paper.mark(way.state);
            self.paper.row(&[
                (tone, mark),
                (Tone::Plain, upstream.name.as_str()),
                (tone, &state),
            ]);
            let of_way = |problem: &Problem| {
                let of_realm = problem
                    .realm
                    .as_ref()
                    .is_none_or(|name| *name == realm.name);
                problem.upstream == Some(way.upstream) && of_realm
            };
            let last = way.fault.as_ref().or(upstream.last_fault.as_ref());
            let before = self.told.len();
            self.problems_met(6, last.map(|fault| fault.met_at), of_way);
            if let Some(fault) = &way.fault
                && !self
                    .told
                    .iter()
                    .any(|problem| of_way(problem) && problem.what == fault.what)
            {
                let text = format!(
                    "{}, {}",
                    fault.what,
                    ago(self.report.written_at, fault.met_at)
                );
                self.paper.text(6, Tone::Dim, &text);
            } else if before == self.told.len()
                && let Some(fault) = upstream
                    .last_fault
                    .as_ref()
                    .filter(|_| upstream.replied_since)
            {
                let text = format!(
                    "before: {}, {}",
                    fault.what,
                    ago(self.report.written_at, fault.met_at)
                );
                self.paper.text(6, Tone::Dim, &text);
            }
        }
    }

    fn state(&self, way: &Way) -> (Tone, String) {
        let left = |at: Option<u64>| {
            let left = at
                .unwrap_or_default()
                .saturating_sub(self.report.written_at);
            span(left.max(1000))
        };
        let times = match way.failures {
            0 | 1 => String::new(),
            failures => format!(" ({})", count(failures.into(), "time")),
        };
        match way.state {
            State::InUse => (Tone::Good, "in use".to_owned()),
            State::Healthy => (Tone::Good, "healthy".to_owned()),
            State::Unknown => (Tone::Dim, "not asked yet".to_owned()),
            State::Failing => (Tone::Warn, format!("failed{times}")),
            State::Resting => {
                let left = left(way.until_at);
                (Tone::Bad, format!("failed{times}; rests for {left}"))
            }
            State::Refusing => {
                let left = left(way.until_at);
                (Tone::Bad, format!("refuses{times}; rests for {left}"))
            }
            State::SetAside => (Tone::Dim, "not on this network".to_owned()),
            State::Other => (Tone::Dim, "in a state of a later version".to_owned()),
        }
    }

    fn latency(&mut self) {
        let upstreams = self.report.upstreams.iter();
        let measured: Vec<_> = upstreams
            .filter(|upstream| upstream.latency.answers > 0)
            .collect();
        if measured.is_empty() {
            return;
        }
        self.paper.blank();
        let head = latency::head(self.paper.is_utf8());
        self.paper.line(&[(Tone::Bold, &head)]);
        for upstream in measured {
            let [name, figures, bars] = latency::line(upstream, self.paper.is_utf8());
            self.paper.line(&[
                (Tone::Plain, &name),
                (Tone::Plain, &figures),
                (Tone::Good, &bars),
            ]);
        }
    }

    fn counted(&mut self) {
        self.paper.blank();
        let report = self.report;
        let counted = |name: &str| {
            let mut counters = report.counters.iter();
            counters
                .find(|counter| counter.name.as_str() == name)
                .map_or(0, |counter| counter.value)
        };
        let requests = format!(
            "{} replied, {} failed, {} joined, {} replayed",
            counted("replied"),
            counted("failed"),
            report.retransmits.joined,
            report.retransmits.replayed
        );
        self.paper.entry("requests", &requests);
        let load = report.load;
        let at_once = format!(
            "{} of {} requests, {} of {} connections",
            load.in_flight, load.max_in_flight, load.connections, load.max_connections
        );
        self.paper.entry("at once", &at_once);
        self.problems(2, |problem| problem.about == About::Load);
        let shown = [
            "replied", "failed", "joined", "replayed", "networks", "sleeps",
        ];
        let others = report
            .counters
            .iter()
            .filter(|counter| counter.value > 0 && !shown.contains(&counter.name.as_str()));
        let others: Vec<_> = others
            .map(|counter| {
                format!(
                    "{} {}",
                    counter.name.as_str().replace('_', "-"),
                    counter.value
                )
            })
            .collect();
        if !others.is_empty() {
            self.paper.entry("counted", &others.join(", "));
        }
    }

    fn exchanges(&mut self, rows: Option<usize>) {
        let exchanges = &self.report.exchanges;
        self.paper.blank();
        self.paper.line(&[(Tone::Bold, "last exchanges")]);
        self.problems(2, |problem| problem.about == About::Exchanges);
        self.problems(2, |_| true);
        if exchanges.is_empty() {
            return self.paper.text(2, Tone::Dim, "none yet");
        }
        // The last row is the cursor's.
        let most = rows.map(|rows| rows.saturating_sub(self.paper.lines() + 1).max(EXCHANGES));
        let mut left = most.unwrap_or(usize::MAX);
        for (place, exchange) in exchanges.iter().enumerate() {
            let lines = self.exchange(exchange);
            let is_last = place + 1 == exchanges.len();
            // One line is for how many are left out.
            if lines.len() + usize::from(!is_last) > left {
                let older = exchanges.len() - place;
                let text = format!("{older} older ones: loopkdc status --json");
                return self.paper.text(2, Tone::Dim, &text);
            }
            left -= lines.len();
            for (tone, line) in lines {
                self.paper.line(&[(tone, &line)]);
            }
        }
    }

    fn exchange(&self, exchange: &Exchange) -> Vec<(Tone, String)> {
        let upstream = exchange.upstream.as_ref().map_or("-", Text::as_str);
        let upstream = upstream
            .split_once("://")
            .map_or(upstream, |(_, host)| host);
        let realm = crate::logging::Quoted(exchange.realm.as_str()).to_string();
        let (tone, outcome) = match (exchange.replied, exchange.krb_error) {
            (true, Some(code)) => (Tone::Plain, format!("KRB-ERROR {code}")),
            (true, None) => (Tone::Plain, "replied".to_owned()),
            (false, _) => (Tone::Bad, "failed".to_owned()),
        };
        let cut = |text: &str, width| self.paper.cut(text, width);
        let line = format!(
            "{:>9}  {:<7} {:<14} {:<4} {:<20} {:>6}  {outcome}",
            about_ago(self.report.written_at, exchange.ended_at),
            cut(exchange.kind.as_str(), 7),
            cut(&realm, 14),
            cut(exchange.transport.as_str(), 4),
            cut(upstream, 20),
            took(exchange.took_ms),
        );
        let mut lines = vec![(tone, line)];
        if !exchange.replied {
            let why = self.paper.wrapped(exchange.outcome.as_str(), 11);
            lines.extend(why.into_iter().map(|line| (Tone::Dim, line)));
        }
        lines
    }

    /// Shows the problems that are meant, unless they stand somewhere already.
    fn problems(&mut self, indent: usize, is_meant: impl Fn(&Problem) -> bool) {
        self.problems_met(indent, None, is_meant);
    }

    fn problems_met(
        &mut self,
        indent: usize,
        met_at: Option<u64>,
        is_meant: impl Fn(&Problem) -> bool,
    ) {
        let report = self.report;
        for problem in report.problems.iter().filter(|problem| is_meant(problem)) {
            if self.told.iter().any(|told| std::ptr::eq(*told, problem)) {
                continue;
            }
            self.told.push(problem);
            let when = met_at.map_or(String::new(), |at| {
                format!(", {}", ago(report.written_at, at))
            });
            self.paper
                .text(indent, Tone::Bad, &format!("{}{when}", problem.what));
            self.paper.hint(indent, problem.hint.as_str());
        }
    }
}

/// `127.0.0.1:88, [::1]:88 (udp, tcp)`.
fn listeners(listeners: &[Listener], service: &str) -> String {
    let mut shown: Vec<(&str, Vec<&str>, bool)> = Vec::new();
    for listener in listeners
        .iter()
        .filter(|listener| listener.service.as_str() == service)
    {
        let (address, transport) = (listener.address.as_str(), listener.transport.as_str());
        match shown.iter_mut().find(|(known, ..)| *known == address) {
            Some((_, transports, _)) => transports.push(transport),
            None => shown.push((address, vec![transport], listener.inherited)),
        }
    }
    if shown.is_empty() {
        return "not offered".to_owned();
    }
    let inherited = shown.iter().all(|(.., inherited)| *inherited);
    let address = |(address, transports, _): &(&str, Vec<&str>, bool)| {
        format!("{address} ({})", transports.join(", "))
    };
    let addresses: Vec<_> = shown.iter().map(address).collect();
    let from = if inherited {
        ", from the service manager"
    } else {
        ""
    };
    format!("{}{from}", addresses.join(", "))
}

/// Whether password changes go where everything else goes.
fn are_alike(kdc: &[Way], kpasswd: &[Way]) -> bool {
    let alike = |(one, other): (&Way, &Way)| {
        let served = |state| matches!(state, State::InUse | State::Healthy | State::Unknown);
        one.upstream == other.upstream
            && (one.state == other.state || served(one.state) && served(other.state))
    };
    kdc.len() == kpasswd.len() && kdc.iter().zip(kpasswd).all(alike)
}

#[cfg(test)]
mod tests;
