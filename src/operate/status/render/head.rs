//! What stands above the realms: the daemon, where it listens, what it goes by, and the network.

use super::paper::Tone;
use super::words::{ago, count, span};
use super::{About, Listener, Page, Text};

impl Page<'_> {
    pub(super) fn head(&mut self) {
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
