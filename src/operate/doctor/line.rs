//! One line of what the doctor says.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::relay::text;

/// No line says more.
const MAX: usize = 4096;

/// What is looked at, in the order in which one layer stands on the other. JSON has the name in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    /// The configuration file and the realm in it.
    Configuration,
    /// krb5.conf as libkrb5 would read it.
    Krb5Conf,
    /// The addresses that the daemon listens on, and whose they are.
    Ports,
    /// The daemon itself: that it runs, answers, and is this version.
    Daemon,
    /// Name resolution, and what DNS says where the configuration has it looked up.
    Names,
    /// TCP, to the upstream or to what stands before it.
    Tcp,
    /// TLS: version, key exchange, chain, pins.
    Tls,
    /// HTTP: status, server, version, captive portals.
    Http,
    /// Whether what HTTP brought is a KDC-PROXY-MESSAGE.
    Envelope,
    /// The KDC behind it all.
    Kdc,
    /// This machine's clock beside the KDC's.
    Clock,
    /// The way that a password change would take.
    Kpasswd,
    /// What `kinit` will take.
    Estimate,
}

/// What came of a check. JSON has the word in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not checked, and the line says why.
    Skipped,
    /// It works, but not as well as it could, or not for long.
    Warn,
    /// It does not work.
    Fault,
}

/// A number that a check brought. In JSON it has its unit as the name: `{"milliseconds": 12.3}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// How long something took, or will take.
    Milliseconds(f64),
    /// Seconds, of clocks: negative if this machine is behind.
    Seconds(i64),
    /// Days until something ends: negative if it has.
    Days(i64),
    /// A status of HTTP.
    Status(u16),
    /// How many there are.
    Count(usize),
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What was looked at.
    pub layer: Layer,
    /// What came of it.
    pub verdict: Verdict,
    /// The realm that it was looked at for, as the configuration or the command line spells it. Null: for all of them.
    pub realm: Option<String>,
    /// The upstream that it is about: scheme, host and port; a KDC has no scheme. Null: none.
    pub upstream: Option<String>,
    /// What is the case, in words.
    pub what: String,
    /// Its number.
    pub figure: Option<Figure>,
    /// What to do about it: the next command, or the key of a file.
    pub hint: Option<String>,
}

impl Layer {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Configuration,
        Self::Krb5Conf,
        Self::Ports,
        Self::Daemon,
        Self::Names,
        Self::Tcp,
        Self::Tls,
        Self::Http,
        Self::Envelope,
        Self::Kdc,
        Self::Clock,
        Self::Kpasswd,
        Self::Estimate,
    ];

    /// What the exit status is if this is the first layer with a fault: 10 for the configuration, and so on.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        let index = Self::ALL.iter().position(|layer| *layer == self);
        10 + u8::try_from(index.unwrap_or_default()).unwrap_or_default()
    }

    /// The word at the line's head, at most [`Layer::WIDTH`] columns.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Configuration => "config",
            Self::Krb5Conf => "krb5.conf",
            Self::Ports => "ports",
            Self::Daemon => "daemon",
            Self::Names => "names",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Envelope => "envelope",
            Self::Kdc => "kdc",
            Self::Clock => "clock",
            Self::Kpasswd => "kpasswd",
            Self::Estimate => "estimate",
        }
    }

    /// The widest of the words.
    pub const WIDTH: usize = 9;
}

impl Verdict {
    /// The word at the line's head. One is in capitals, so that it is seen without colour.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skip",
            Self::Warn => "warn",
            Self::Fault => "FAULT",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Milliseconds(ms) if *ms < 10.0 => write!(f, "{ms:.1} ms"),
            Self::Milliseconds(ms) => write!(f, "{ms:.0} ms"),
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
            Self::Days(1) => write!(f, "1 day"),
            Self::Days(days) => write!(f, "{days} days"),
            Self::Status(status) => write!(f, "{status}"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl From<Duration> for Figure {
    /// Milliseconds, to a tenth.
    fn from(time: Duration) -> Self {
        Self::Milliseconds((time.as_secs_f64() * 10_000.0).round() / 10.0)
    }
}

impl Line {
    fn new(layer: Layer, verdict: Verdict, what: impl Into<String>) -> Self {
        Self {
            layer,
            verdict,
            realm: None,
            upstream: None,
            what: told(&what.into()),
            figure: None,
            hint: None,
        }
    }

    /// All is well with `layer`.
    #[must_use]
    pub fn ok(layer: Layer, what: impl Into<String>) -> Self {
        Self::new(layer, Verdict::Ok, what)
    }

    /// It works, but something should be done.
    #[must_use]
    pub fn warn(layer: Layer, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(layer, Verdict::Warn, what).hint(hint)
    }

    /// It does not work, and what to do about it.
    #[must_use]
    pub fn fault(layer: Layer, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(layer, Verdict::Fault, what).hint(hint)
    }

    /// It was not looked at, and why.
    #[must_use]
    pub fn skipped(layer: Layer, why: impl Into<String>) -> Self {
        Self::new(layer, Verdict::Skipped, why)
    }

    /// With a number.
    #[must_use]
    pub fn figure(mut self, figure: impl Into<Figure>) -> Self {
        self.figure = Some(figure.into());
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(told(&hint.into()));
        self
    }

    /// About `realm`.
    #[must_use]
    pub fn of(mut self, realm: impl fmt::Display) -> Self {
        self.realm = Some(text::line(&realm.to_string()).into_owned());
        self
    }

    /// About the upstream at `upstream`.
    #[must_use]
    pub fn at(mut self, upstream: impl Into<String>) -> Self {
        self.upstream = Some(text::line(&upstream.into()).into_owned());
        self
    }
}

/// Whoever chose a part of it: a proxy, a zone, another process or a file.
fn told(text: &str) -> String {
    text::lines(&text::cut(text, MAX)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_the_layer() {
        assert_eq!(Layer::Configuration.exit_code(), 10);
        assert_eq!(Layer::Tls.exit_code(), 16);
        assert_eq!(Layer::Estimate.exit_code(), 22);
        assert!(Layer::ALL.is_sorted());
    }

    #[test]
    fn nobody_writes_to_the_terminal_what_they_like() {
        let foreign = "a\x1b[2J\u{202e}b\u{200b}";
        let line = Line::fault(Layer::Http, foreign, foreign)
            .of(foreign)
            .at(foreign);
        let shown = "a\u{fffd}[2J\u{fffd}b\u{fffd}";
        assert_eq!(
            (line.what.as_str(), line.hint.as_deref()),
            (shown, Some(shown))
        );
        assert_eq!(
            (line.realm, line.upstream),
            (Some(shown.to_owned()), Some(shown.to_owned()))
        );
        let long = Line::ok(Layer::Http, "x".repeat(2 * MAX));
        assert_eq!(long.what.len(), MAX + 3);
    }

    #[test]
    fn no_word_is_wider_than_its_column() {
        let widest = Layer::ALL.iter().map(|layer| layer.word().len()).max();
        assert_eq!(widest, Some(Layer::WIDTH));
    }

    #[test]
    fn a_figure_has_its_unit() {
        let took = Figure::from(Duration::from_micros(1_234));
        assert_eq!(
            (took.to_string(), took),
            ("1.2 ms".into(), Figure::Milliseconds(1.2))
        );
        assert_eq!(Figure::Milliseconds(230.4).to_string(), "230 ms");
        assert_eq!(Figure::Days(1).to_string(), "1 day");
        assert_eq!(Figure::Days(-3).to_string(), "-3 days");
    }
}
