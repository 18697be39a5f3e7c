//! What the doctor found, as JSON and as an exit status.

use serde::Serialize;

use super::line::{Layer, Line, Verdict};

/// The version of the JSON: one more whenever something that was there is not, or means something else.
const SCHEMA: u32 = 1;

/// All that was found.
///
/// In JSON an object; no line of it names a principal, a secret or the path of a URL:
///
/// ```json
/// {"schema": 1, "version": "0.1.0", "configuration": "/etc/loopkdc/config.toml", "fault": "tls",
///  "lines": [{"layer": "tls", "verdict": "fault", "realm": "EXAMPLE.COM",
///             "upstream": "https://kdcproxy.example.com", "what": "its certificate has expired",
///             "figure": {"days": -3}, "hint": "who runs it has to renew it"}]}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of this document.
    pub schema: u32,
    /// Of this program.
    pub version: &'static str,
    /// The configuration that was read. Null: none could be.
    pub configuration: Option<String>,
    /// The first layer with a fault, which decides the exit status. Null: there is none, and the exit status is 0.
    pub fault: Option<Layer>,
    /// The lines: those about this machine, then those about each realm.
    pub lines: Vec<Line>,
}

impl Report {
    /// What these lines amount to.
    #[must_use]
    pub fn new(configuration: Option<String>, lines: Vec<Line>) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            configuration,
            fault: fault(&lines),
            lines,
        }
    }
}

/// The first layer with a fault.
pub(super) fn fault<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Option<Layer> {
    let faulty = lines
        .into_iter()
        .filter(|line| line.verdict == Verdict::Fault);
    faulty.map(|line| line.layer).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_layer_with_a_fault_decides() {
        let lines = vec![
            Line::ok(Layer::Configuration, "valid"),
            Line::fault(Layer::Http, "HTTP 503", "ask who runs it"),
            Line::fault(Layer::Tls, "it has expired", "renew it"),
            Line::warn(Layer::Ports, "odd", "look"),
            Line::skipped(Layer::Names, "not asked"),
        ];
        let report = Report::new(None, lines);
        assert_eq!(report.fault, Some(Layer::Tls));
        assert_eq!(Report::new(None, Vec::new()).fault, None);
    }

    #[test]
    fn the_json_is_as_documented() {
        let line = Line::fault(Layer::Tls, "it has expired", "renew it")
            .figure(super::super::Figure::Days(-3))
            .of("EXAMPLE.COM")
            .at("https://kdcproxy.example.com");
        let report = Report::new(Some("/etc/loopkdc/config.toml".to_owned()), vec![line]);
        let version = env!("CARGO_PKG_VERSION");
        let expected = serde_json::json!({
            "schema": 1, "version": version, "configuration": "/etc/loopkdc/config.toml", "fault": "tls",
            "lines": [{"layer": "tls", "verdict": "fault", "realm": "EXAMPLE.COM",
                "upstream": "https://kdcproxy.example.com", "what": "it has expired",
                "figure": {"days": -3}, "hint": "renew it"}]
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    }
}
