//! What was counted, and the last exchanges, as many as there is room for.

use super::paper::Tone;
use super::words::{about_ago, took};
use super::{About, Exchange, PROBLEMS, Page, Text};

/// Lines of exchanges are shown at least, however low the terminal is.
const EXCHANGES: usize = 6;

impl Page<'_> {
    pub(super) fn counted(&mut self) {
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

    pub(super) fn exchanges(&mut self, rows: Option<usize>) {
        let exchanges = &self.report.exchanges;
        self.paper.blank();
        self.paper.line(&[(Tone::Bold, "last exchanges")]);
        self.problems(2, |problem| problem.about == About::Exchanges);
        self.problems(2, |_| true);
        if let Some(more @ 1..) = self.report.problems.len().checked_sub(PROBLEMS) {
            let text = format!("{more} further problems: loopkdc status --json");
            self.paper.text(2, Tone::Bad, &text);
        }
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
        let realm = crate::relay::text::Quoted(exchange.realm.as_str()).to_string();
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
}
