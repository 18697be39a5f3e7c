//! What the doctor found: drawn on a terminal as it comes, or one JSON document at the end, and an exit status.

use std::pin::pin;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::operate::circumstances::Circumstances;
use crate::operate::terminal::{self, Page, PassingLine, style};
use crate::relay::failure::Exit;
use crate::relay::finding::{Finding, Layer, Severity};

/// The version of the JSON: one more whenever something that was there is not, or means something else.
const SCHEMA: u32 = 2;
/// What comes so soon is not seen to be waited for.
const SOON: Duration = Duration::from_millis(200);

/// All that was found.
///
/// In JSON an object; no finding names a principal, a secret or the path of a URL:
///
/// ```json
/// {"schema": 2, "version": "0.1.0", "configuration": "/etc/loopkdc/config.toml", "fault": "tls",
///  "findings": [{"severity": "fault",
///                "subject": {"layer": "tls", "realm": "EXAMPLE.COM",
///                            "upstream": "https://kdcproxy.example.com", "file": null},
///                "what": "its certificate has expired",
///                "hints": [{"text": "see whether the clock is right"}, {"command": ["timedatectl"]}],
///                "figure": {"days": -3}}]}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoctorReport {
    /// Of this document.
    pub schema: u32,
    /// Of this program.
    pub version: &'static str,
    /// The configuration that was read. Null: none could be.
    pub configuration: Option<String>,
    /// The first layer with a fault, which decides the exit status. Null: there is none, and the exit status is 0.
    pub fault: Option<Layer>,
    /// First what is about this machine, then what is about each realm.
    pub findings: Vec<Finding>,
}

impl DoctorReport {
    fn new(configuration: Option<String>, findings: Vec<Finding>) -> Self {
        let faults = findings.iter().filter(|finding| is_fault(finding));
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            configuration,
            fault: faults.filter_map(|finding| finding.subject.layer).min(),
            findings,
        }
    }
}

pub(super) fn is_fault(finding: &Finding) -> bool {
    finding.severity == Severity::Fault
}

/// Tells what is found, and remembers it.
pub(super) struct DoctorOutput {
    as_json: bool,
    findings: Vec<Finding>,
    /// For the commands of hints.
    pub(super) circumstances: Circumstances,
}

impl DoctorOutput {
    pub(super) fn new(as_json: bool) -> Self {
        Self {
            as_json,
            findings: Vec::new(),
            circumstances: Circumstances::default(),
        }
    }

    pub(super) fn tell(&mut self, findings: impl IntoIterator<Item = Finding>) {
        let told = self.findings.len();
        let findings = findings.into_iter();
        let fitting = findings.map(|finding| self.circumstances.fit(finding));
        self.findings.extend(fitting);
        if !self.as_json {
            let (before, new) = self.findings.split_at(told);
            terminal::print(&drawn(terminal::width(), before.last(), new));
        }
    }

    /// Waits for `found`; who looks on is shown which `lines` are waited for, and how long that may take.
    pub(super) async fn wait_for<T>(
        &self,
        lines: &str,
        limit: Duration,
        found: impl Future<Output = T>,
    ) -> T {
        let mut found = pin!(found);
        if let Ok(found) = timeout(SOON, &mut found).await {
            return found;
        }
        let seconds = limit.as_secs_f64().ceil();
        let text = format!("waiting for {lines}, for up to {seconds} s");
        let _passing = (!self.as_json).then(|| PassingLine::show(&text));
        found.await
    }

    /// The layers after `layer` are not looked at, and why.
    pub(super) fn skip_after(&mut self, layer: Layer, why: &str) {
        let all = Layer::ALL.into_iter().map(|(each, _)| each);
        self.skip(all.filter(|each| *each > layer), why);
    }

    /// These layers are not looked at, and why.
    pub(super) fn skip(&mut self, layers: impl IntoIterator<Item = Layer>, why: &str) {
        let layers = layers.into_iter();
        self.tell(layers.map(|layer| Finding::skipped(layer, why)));
    }

    /// All was found. The exit status.
    pub(super) fn end(self, configuration: Option<String>) -> Exit {
        let report = DoctorReport::new(configuration, self.findings);
        if self.as_json {
            terminal::print_json(&report);
        }
        report
            .fault
            .map_or(Exit::Ok, |layer| Exit::Layer(layer.exit_code()))
    }
}

/// What a terminal shows of `findings` that come after `before`: a heading wherever they begin to be about something else,
/// and neighbours that were skipped for the same reason as one.
pub(super) fn drawn(width: usize, before: Option<&Finding>, findings: &[Finding]) -> String {
    let mut page = Page::new(width);
    let mut last = before.map(about);
    for run in findings.chunk_by(is_skipped_with) {
        let [first, rest @ ..] = run else { continue };
        if last != Some(about(first)) {
            heading(first, &mut page);
        }
        last = Some(about(first));
        match rest.last().and_then(|last| last.subject.layer) {
            Some(layer) => {
                let mut joined = first.clone();
                joined.what = format!("and on to {}: {}", layer.word(), first.what);
                page.finding(&joined);
            }
            None => page.finding(first),
        }
    }
    page.text()
}

/// The realm, and the upstream of it.
fn about(finding: &Finding) -> (Option<&str>, Option<&str>) {
    let subject = &finding.subject;
    (subject.realm.as_deref(), subject.upstream.as_deref())
}

fn heading(finding: &Finding, page: &mut Page) {
    let text = match about(finding) {
        (Some(realm), Some(upstream)) => format!("{realm} by {upstream}"),
        (Some(realm), None) => realm.to_owned(),
        (None, _) => return,
    };
    page.blank();
    page.paragraph(0, style::HEADING, &text);
}

fn is_skipped_with(finding: &Finding, next: &Finding) -> bool {
    let is_skipped = |finding: &Finding| finding.severity == Severity::Skipped;
    is_skipped(finding)
        && is_skipped(next)
        && finding.what == next.what
        && about(finding) == about(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::finding::{Figure, Hint};

    #[test]
    fn the_first_layer_with_a_fault_decides() {
        let findings = vec![
            Finding::ok(Layer::Configuration, "valid"),
            Finding::fault("HTTP 503").on(Layer::Http),
            Finding::fault("it has expired").on(Layer::Tls),
            Finding::warning("odd").on(Layer::Ports),
            Finding::skipped(Layer::Names, "not asked"),
        ];
        let report = DoctorReport::new(None, findings);
        assert_eq!(report.fault, Some(Layer::Tls));
        assert_eq!(DoctorReport::new(None, Vec::new()).fault, None);
    }

    #[test]
    fn the_json_is_as_documented() {
        let finding = Finding::fault("its certificate has expired")
            .on(Layer::Tls)
            .of("EXAMPLE.COM")
            .at("https://kdcproxy.example.com")
            .figure(Figure::Days(-3))
            .hint("see whether the clock is right")
            .hint(Hint::typed("timedatectl"));
        let file = Some("/etc/loopkdc/config.toml".to_owned());
        let report = DoctorReport::new(file, vec![finding]);
        let mut example = include_str!("report.rs").lines();
        let example = example
            .by_ref()
            .skip_while(|line| *line != "/// ```json")
            .skip(1)
            .take_while(|line| *line != "/// ```");
        let example: String = example
            .map(|line| line.trim_start_matches("/// "))
            .collect();
        let mut example: serde_json::Value = serde_json::from_str(&example).unwrap();
        example["version"] = env!("CARGO_PKG_VERSION").into();
        assert_eq!(serde_json::to_value(&report).unwrap(), example);
    }

    #[test]
    fn a_section_has_a_heading_and_what_was_skipped_is_joined() {
        let proxy = |finding: Finding| finding.of("EXAMPLE.COM").at("https://kdcproxy.example.com");
        let findings = [
            Finding::ok(Layer::Configuration, "valid"),
            proxy(Finding::ok(Layer::Tcp, "192.0.2.7:443").figure(Figure::Milliseconds(12.0))),
            proxy(
                Finding::fault("its certificate has expired")
                    .on(Layer::Tls)
                    .figure(Figure::Days(-3))
                    .hint("who runs it has to renew it"),
            ),
            proxy(Finding::skipped(Layer::Http, "there is no TLS")),
            proxy(Finding::skipped(Layer::Envelope, "there is no TLS")),
            proxy(Finding::skipped(Layer::Kdc, "there is no TLS")),
        ];
        let expected = "\x20 ok     config     valid

EXAMPLE.COM by https://kdcproxy.example.com
  ok     tcp        192.0.2.7:443                                          12 ms
  FAULT  tls        its certificate has expired                          -3 days
                    hint: who runs it has to renew it
  skip   http       and on to kdc: there is no TLS
";
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        let whole = drawn(terminal::WIDTH, None, &findings);
        assert_eq!(plain(whole), expected);
        let (before, after) = findings.split_at(2);
        let parts = [
            drawn(terminal::WIDTH, None, before),
            drawn(terminal::WIDTH, before.last(), after),
        ];
        assert_eq!(plain(parts.concat()), expected);
    }
}
