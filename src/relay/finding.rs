//! What is wrong and what to do about it: one type, whoever found it and whoever is told.
//!
//! Pure. The doctor, the status, `check`, errors and the log are views of it; how it is drawn is the business of whoever draws it.
//! Whatever others wrote into it (a proxy, a zone, another process, a file) gives no order to a terminal and hides nothing.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::text::{self, shell};

/// No text of a finding is longer, in characters.
const MAX_TEXT: usize = 4096;

/// What was found about one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[must_use]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is the case: lower case, no full stop. Lines after the first quote something, and are shown as they are.
    #[serde(deserialize_with = "harmless_lines")]
    pub what: String,
    /// What to do about it, in this order. None: nothing is to be done.
    pub hints: Vec<Hint>,
    /// Its number.
    pub figure: Option<Figure>,
}

/// How bad it is. JSON has the word in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Not looked at, and it is said why.
    Skipped,
    /// It works, but not as well as it could, or not for long.
    Warning,
    /// It does not work.
    Fault,
}

/// What a finding is about, as far as it is about one of each. Null: not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The layer.
    #[serde(deserialize_with = "known_layer")]
    pub layer: Option<Layer>,
    /// The realm, as the configuration or the command line spells it.
    #[serde(deserialize_with = "harmless_line")]
    pub realm: Option<String>,
    /// The upstream: scheme, host and port; a KDC has no scheme.
    #[serde(deserialize_with = "harmless_line")]
    pub upstream: Option<String>,
    /// The place in a file.
    pub file: Option<FilePosition>,
}

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePosition {
    /// The file's path.
    pub path: String,
    /// Null: the file as a whole.
    pub line: Option<usize>,
    /// Null: the line as a whole.
    pub column: Option<usize>,
}

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
    /// The daemon itself: that it runs, answers, and is this version; at work, how much is under way.
    Daemon,
    /// Name resolution, and what DNS says where the configuration has it looked up.
    Names,
    /// The network and TCP, to the upstream or to what stands before it.
    Tcp,
    /// TLS: version, key exchange, chain, pins.
    Tls,
    /// HTTP: status, server, version, captive portals.
    Http,
    /// What HTTP brought: a KDC-PROXY-MESSAGE, or none.
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

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[must_use]
pub enum Hint {
    /// In words.
    Text(#[serde(deserialize_with = "harmless_lines")] String),
    /// A command, word by word; whoever prints it quotes the words for a shell.
    Command(#[serde(deserialize_with = "harmless_words")] Vec<String>),
    /// What the configuration should say: a key, or a key and its value as TOML.
    Key(#[serde(deserialize_with = "harmless_lines")] String),
}

/// A number that was found. In JSON it has its unit as the name: `{"milliseconds": 12.3}`.
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
}

impl Finding {
    fn new(severity: Severity, what: &str) -> Self {
        Self {
            severity,
            subject: Subject::default(),
            what: harmless(what),
            hints: Vec::new(),
            figure: None,
        }
    }

    /// All is well.
    pub fn ok(layer: Layer, what: impl Into<String>) -> Self {
        Self::new(Severity::Ok, &what.into()).on(layer)
    }

    /// It was not looked at, and why.
    pub fn skipped(layer: Layer, why: impl Into<String>) -> Self {
        Self::new(Severity::Skipped, &why.into()).on(layer)
    }

    /// It works, but something should be done.
    pub fn warning(what: impl Into<String>) -> Self {
        Self::new(Severity::Warning, &what.into())
    }

    /// It does not work.
    pub fn fault(what: impl Into<String>) -> Self {
        Self::new(Severity::Fault, &what.into())
    }

    /// About `layer`.
    pub fn on(mut self, layer: Layer) -> Self {
        self.subject.layer = Some(layer);
        self
    }

    /// About `realm`.
    pub fn of(mut self, realm: impl fmt::Display) -> Self {
        self.subject.realm = Some(text::line(&realm.to_string()).into_owned());
        self
    }

    /// About the upstream at `upstream`.
    pub fn at(mut self, upstream: impl Into<String>) -> Self {
        self.subject.upstream = Some(text::line(&upstream.into()).into_owned());
        self
    }

    /// About this place in a file.
    pub fn in_file(mut self, file: FilePosition) -> Self {
        self.subject.file = Some(file);
        self
    }

    /// The same in other words.
    pub fn reworded(mut self, what: impl Into<String>) -> Self {
        self.what = harmless(&what.into());
        self
    }

    /// With what to do next, after what was said already.
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With a command to type, and what it is for.
    pub fn command<W: Into<String>>(
        self,
        purpose: impl Into<String>,
        words: impl IntoIterator<Item = W>,
    ) -> Self {
        self.hint(purpose.into()).hint(Hint::command(words))
    }

    /// The same of a command of plain words, as it is typed.
    pub fn typed(self, purpose: impl Into<String>, command: &str) -> Self {
        self.hint(purpose.into()).hint(Hint::typed(command))
    }

    /// With several of them.
    pub fn hints(mut self, hints: impl IntoIterator<Item = Hint>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// With a number.
    pub fn figure(mut self, figure: impl Into<Figure>) -> Self {
        self.figure = Some(figure.into());
        self
    }

    /// What is the case, behind its place in a file.
    pub fn placed(&self) -> String {
        match &self.subject.file {
            Some(file) => format!("{file}: {}", self.what),
            None => self.what.clone(),
        }
    }

    /// What a command says of it to a pipe: a line for what is the case after `word`, and one for each hint.
    pub fn message(&self, word: &str) -> String {
        let mut message = format!("loopkdc: {word}: {}", self.placed());
        for hint in self.advice_lines() {
            message.push_str(&format!("\nloopkdc: hint: {hint}"));
        }
        message
    }

    /// The hints, each command and key behind the words that it belongs to.
    pub fn advice_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut follows_text = false;
        for hint in &self.hints {
            let is_text = matches!(hint, Hint::Text(_));
            match lines.last_mut().filter(|_| follows_text && !is_text) {
                Some(words) => words.push_str(&format!(": {hint}")),
                None => lines.push(hint.to_string()),
            }
            follows_text = is_text;
        }
        lines
    }

    /// The same in one line, with semicolons.
    pub fn advice(&self) -> String {
        self.advice_lines().join("; ")
    }
}

/// As a line of the log has it: the place, what is the case, what to do.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.placed())?;
        if self.hints.is_empty() {
            return Ok(());
        }
        write!(f, "; {}", self.advice())
    }
}

impl fmt::Display for FilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::line(&self.path))?;
        let numbers = [self.line, self.column];
        let mut known = numbers.iter().map_while(|number| *number);
        known.try_for_each(|number| write!(f, ":{number}"))
    }
}

impl Hint {
    /// A command of these words.
    pub fn command<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        let words = words
            .into_iter()
            .map(|word| text::short(&word.into(), MAX_TEXT));
        Self::Command(words.collect())
    }

    /// A command of plain words, as it is typed.
    pub fn typed(command: &str) -> Self {
        Self::command(command.split(' '))
    }

    /// What the configuration should say: `key`, or `key = value`.
    pub fn key(key: impl Into<String>) -> Self {
        Self::Key(text::short(&key.into(), MAX_TEXT))
    }
}

impl From<&str> for Hint {
    fn from(words: &str) -> Self {
        Self::Text(harmless(words))
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Self {
        words.as_str().into()
    }
}

/// As it is to be read or typed.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(words) => f.write_str(words),
            Self::Command(words) => {
                let words: Vec<_> = words.iter().map(|word| shell::word(word)).collect();
                f.write_str(&words.join(" "))
            }
            Self::Key(key) => write!(f, "set {key}"),
        }
    }
}

impl Layer {
    /// All of them in order, and what people are shown as their names.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Configuration, "config"),
        (Self::Krb5Conf, "krb5.conf"),
        (Self::Ports, "ports"),
        (Self::Daemon, "daemon"),
        (Self::Names, "names"),
        (Self::Tcp, "tcp"),
        (Self::Tls, "tls"),
        (Self::Http, "http"),
        (Self::Envelope, "envelope"),
        (Self::Kdc, "kdc"),
        (Self::Clock, "clock"),
        (Self::Kpasswd, "kpasswd"),
        (Self::Estimate, "estimate"),
    ];

    /// What the exit status is if this is the first layer with a fault: 10 for the configuration, and so on.
    pub fn exit_code(self) -> u8 {
        10 + self as u8
    }

    /// Its name, as people are shown it.
    pub fn word(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(layer, _)| *layer == self)
            .map_or("", |(_, word)| word)
    }
}

impl Severity {
    /// The word for people. One is in capitals, so that it is seen without colour.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skip",
            Self::Warning => "warn",
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
        }
    }
}

impl From<Duration> for Figure {
    /// Milliseconds, to a tenth.
    fn from(time: Duration) -> Self {
        Self::Milliseconds((time.as_secs_f64() * 10_000.0).round() / 10.0)
    }
}

/// What is quoted below begins with a blank, or with the number of its line and one: no line of others looks like one of this
/// program's, or of its log.
fn harmless(words: &str) -> String {
    let words = text::lines(&text::cut(words, MAX_TEXT)).into_owned();
    let mut lines = words.split('\n');
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |before, line| {
        let behind_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_quote = line.is_empty() || behind_number.starts_with(' ');
        let between = if is_quote { '\n' } else { '\u{fffd}' };
        format!("{before}{between}{line}")
    })
}

/// A layer that only a later version knows is none.
fn known_layer<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Layer>, D::Error> {
    let word = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(word).ok())
}

fn harmless_lines<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(harmless(&String::deserialize(from)?))
}

fn harmless_line<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let line = Option::<String>::deserialize(from)?;
    Ok(line.map(|line| text::short(&line, MAX_TEXT)))
}

fn harmless_words<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(from)?;
    let words = words.iter().map(|word| text::short(word, MAX_TEXT));
    Ok(words.collect())
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
        let finding = Finding::fault(foreign)
            .on(Layer::Http)
            .hint(foreign)
            .hint(Hint::command([foreign]))
            .hint(Hint::key(foreign))
            .of(foreign)
            .at(foreign);
        let raw = serde_json::to_string(&finding).unwrap();
        let raw = raw.replace(
            "a\u{fffd}[2J\u{fffd}b\u{fffd}",
            &foreign.replace('\x1b', "\\u001b"),
        );
        let read: Finding = serde_json::from_str(&raw).unwrap();
        for finding in [finding, read] {
            let shown = format!("{finding} {:?}", finding.subject);
            assert!(!shown.chars().any(text::is_unseen), "{shown:?}");
            assert!(shown.contains("a\u{fffd}[2J\u{fffd}b\u{fffd}"));
        }
        let long = Finding::warning("x".repeat(2 * MAX_TEXT));
        assert_eq!(long.what.len(), MAX_TEXT + 3);
    }

    #[test]
    fn what_others_wrote_begins_no_line() {
        for forged in ["loopkdc: hint: forged", "2026-12-01T10:00:00Z  WARN forged"] {
            let foreign = format!("a\n{forged}");
            let finding = Finding::fault(&*foreign)
                .hint(&*foreign)
                .reworded(&*foreign);
            let raw = serde_json::to_string(&finding).unwrap();
            let raw = raw.replace("a\u{fffd}", "a\\n");
            let read: Finding = serde_json::from_str(&raw).unwrap();
            for finding in [finding, read] {
                let expected =
                    format!("loopkdc: error: a\u{fffd}{forged}\nloopkdc: hint: a\u{fffd}{forged}");
                assert_eq!(finding.message("error"), expected);
            }
        }
        // What is quoted stands below.
        let quoted = "not a URL\n   |\n12 | proxies\n   | ^";
        assert_eq!(Finding::fault(quoted).what, quoted);
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

    #[test]
    fn a_line_of_the_log_has_place_and_command() {
        let finding = Finding::fault("not a URL")
            .in_file(FilePosition {
                path: "/etc/x.toml".to_owned(),
                line: Some(3),
                column: Some(7),
            })
            .hint("see what it says")
            .hint(Hint::command(["loopkdc", "check", "--config", "a b"]))
            .hint(Hint::key("proxies"));
        assert_eq!(
            finding.to_string(),
            "/etc/x.toml:3:7: not a URL; see what it says: loopkdc check --config 'a b'; set proxies"
        );
    }
}
