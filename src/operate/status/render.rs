//! A report as a terminal shows it: 80 columns, and next to each problem what to do about it. Pure.

mod exchanges;
mod head;
mod latency;
mod paper;
mod realms;
mod words;

use self::paper::{Paper, Tone};
use self::words::ago;
use crate::relay::status::{About, Exchange, Listener, Problem, Realm, Report, State, Text, Way};

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

/// So many problems are told: each is looked for at each way, and somebody else may have written the report.
const PROBLEMS: usize = 1000;

/// The report as text, each line with its newline.
#[must_use]
pub fn render(report: &Report, look: Look) -> String {
    let mut page = Page {
        report,
        paper: Paper::new(look),
        told: Vec::new(),
        left: report.problems.iter().take(PROBLEMS).collect(),
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
    /// The others.
    left: Vec<&'a Problem>,
}

impl<'a> Page<'a> {
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
        let left = std::mem::take(&mut self.left).into_iter();
        let (meant, left) = left.partition(|problem| is_meant(problem));
        self.left = left;
        let meant: Vec<&Problem> = meant;
        for problem in meant {
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

#[cfg(test)]
mod tests;
