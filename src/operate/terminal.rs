//! What a terminal is shown: findings, tables and paragraphs, 60 to 160 columns wide; words before colours.
//!
//! A command to copy stands in one piece on a line of its own, however narrow the terminal is. Colours are written always, and
//! taken out again by `anstream` where they are not wanted (a pipe, NO_COLOR, TERM=dumb).

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use anstyle::Style;
use textwrap::{Options, WordSeparator, WordSplitter};
use tracing::Level;

use crate::daemon::logging::journal_priority;
use crate::relay::failure::Failure;
use crate::relay::finding::{Finding, Hint, Layer, Severity};
use crate::relay::text::{self, json};

/// Columns of what is no terminal.
pub const WIDTH: usize = 80;
/// Between columns.
const GAP: usize = 2;
/// Of the widest [`Layer::word`].
const LAYER: usize = 9;
/// Before a finding's words: its severity and its layer.
const FINDING: usize = GAP + 5 + GAP + LAYER + GAP;

/// What texts mean, and so their colours.
pub mod style {
    use anstyle::{AnsiColor, Style};

    /// As it is.
    pub const PLAIN: Style = Style::new();
    /// A heading.
    pub const HEADING: Style = Style::new().bold();
    /// What matters less.
    pub const DIM: Style = Style::new().dimmed();
    /// All is well.
    pub const GOOD: Style = AnsiColor::Green.on_default();
    /// Something should be done.
    pub const WARNING: Style = AnsiColor::Yellow.on_default();
    /// It does not work.
    pub const BAD: Style = AnsiColor::Red.on_default();
}

/// The columns of this process's terminal that are used.
#[must_use]
pub fn width() -> usize {
    let size = terminal_size::terminal_size();
    size.map_or(WIDTH, |(width, _)| usize::from(width.0).clamp(60, 160))
}

/// In one line, with commas.
pub(crate) fn joined(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

/// Writes `text` to stdout, with colours if they are wanted there. A reader that is gone wants no more.
pub fn print(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// A line at the end of what a terminal shows that is blank again, and written over, once it is dropped. In a pipe it is none.
#[derive(Debug)]
pub(crate) struct PassingLine(usize);

impl PassingLine {
    pub(crate) fn show(text: &str) -> Self {
        if !io::stdout().is_terminal() {
            return Self(0);
        }
        // A line that is full would be two.
        let text = text::short(text, width() - "...".len() - 1);
        print(&format!("{text}\r"));
        Self(columns(&text))
    }
}

impl Drop for PassingLine {
    fn drop(&mut self) {
        if self.0 > 0 {
            print(&format!("{}\r", " ".repeat(self.0)));
        }
    }
}

/// Each of `lines` as one, whatever others wrote in it.
pub(crate) fn lines(lines: &[String]) -> String {
    let lines = lines.iter().map(|line| format!("{}\n", text::line(line)));
    lines.collect()
}

/// Writes `document` to stdout as JSON (RFC 8259) that may be shown on a terminal.
pub fn print_json(document: &impl serde::Serialize) {
    print(&format!("{}\n", json::pretty(document).unwrap_or_default()));
}

/// Writes why a command ends to stderr: on a terminal as wide as that, else a line for each thing that is said.
pub fn print_error(failure: &Failure) {
    notice("error", Level::ERROR, style::BAD, failure.finding());
}

/// Writes what is to be known besides to stderr, as [`print_error`] does.
pub fn print_warning(finding: &Finding) {
    notice("warning", Level::WARN, style::WARNING, finding);
}

fn notice(word: &str, level: Level, style: Style, finding: &Finding) {
    if !io::stderr().is_terminal() {
        let priority = journal_priority(level);
        let lines = finding.message(word);
        lines.lines().for_each(|line| eprintln!("{priority}{line}"));
        return;
    }
    let mut page = Page::new(width());
    page.notice(word, style, finding);
    let _ = anstream::stderr().lock().write_all(page.text().as_bytes());
}

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Style,
    is_number: bool,
}

impl Cell {
    /// With this meaning.
    #[must_use]
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
            is_number: false,
        }
    }

    /// A number, which stands at its column's right.
    #[must_use]
    pub fn number(text: impl Into<String>) -> Self {
        Self {
            is_number: true,
            ..Self::from(text.into())
        }
    }

    fn padded(&self, width: usize) -> String {
        let pad = " ".repeat(width.saturating_sub(columns(&self.text)));
        let text = painted(self.style, &self.text);
        if self.is_number {
            pad + &text
        } else {
            text + &pad
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, style::PLAIN)
    }
}

/// What is written so far.
#[derive(Debug)]
pub struct Page {
    width: usize,
    text: String,
}

impl Page {
    /// Nothing yet.
    #[must_use]
    pub fn new(width: usize) -> Self {
        let text = String::new();
        Self { width, text }
    }

    /// All of it, each line with its newline.
    #[must_use]
    pub fn text(self) -> String {
        self.text
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A heading, after an empty line unless it is the first.
    pub fn heading(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.blank();
        }
        self.paragraph(0, style::HEADING, text);
    }

    /// A paragraph, behind `indent` columns.
    pub fn paragraph(&mut self, indent: usize, style: Style, text: &str) {
        self.hanging(&" ".repeat(indent), indent, style, text);
    }

    /// What was found: how bad it is, the layer, the words with their figure, and what to do.
    pub fn finding(&mut self, finding: &Finding) {
        let severity = finding.severity;
        let word = painted(of(severity), &format!("{:<5}", severity.word()));
        let layer = finding.subject.layer.map_or("", Layer::word);
        let head = format!("{:GAP$}{word}{:GAP$}{layer:<LAYER$}{:GAP$}", "", "", "");
        let figure = finding.figure.map(|figure| figure.to_string());
        let figure = figure.unwrap_or_default();
        self.beside(&head, FINDING, style::PLAIN, &finding.placed(), &figure);
        self.hints(&" ".repeat(FINDING), &finding.hints);
    }

    /// Why a command ends, or what it warns of, behind the program's name.
    fn notice(&mut self, word: &str, style: Style, finding: &Finding) {
        let lead = "loopkdc: ";
        let head = format!("{lead}{} ", painted(style.bold(), &format!("{word}:")));
        let indent = lead.len() + word.len() + ": ".len();
        self.hanging(&head, indent, style::PLAIN, &finding.placed());
        self.hints(lead, &finding.hints);
    }

    /// What to do, behind `lead`: words wrapped, a command or a key in one piece, and below the words that it belongs to.
    pub fn hints(&mut self, lead: &str, hints: &[Hint]) {
        let head = format!("{lead}{} ", painted(style::WARNING, "hint:"));
        let indent = lead.len() + "hint: ".len();
        let mut follows_text = false;
        for hint in hints {
            let is_text = matches!(hint, Hint::Text(_));
            if is_text {
                self.hanging(&head, indent, style::PLAIN, &hint.to_string());
            } else if follows_text {
                self.line(&format!("{:indent$}{hint}", ""));
            } else {
                self.line(&format!("{head}{hint}"));
            }
            follows_text = is_text;
        }
    }

    /// Rows of cells, behind `indent` columns. A column is as wide as its widest cell; the last one is wrapped.
    pub fn table(&mut self, indent: usize, rows: &[Vec<Cell>]) {
        let width = |index: usize| {
            let rows = rows.iter().filter(|row| index + 1 < row.len());
            let cells = rows.filter_map(|row| row.get(index));
            cells.map(|cell: &Cell| columns(&cell.text)).max()
        };
        let widths: Vec<_> = (0..).map_while(width).collect();
        for row in rows {
            let Some((last, before)) = row.split_last() else {
                continue;
            };
            let (mut head, mut taken) = (" ".repeat(indent), indent);
            for (cell, width) in before.iter().zip(&widths) {
                let _ = write!(head, "{}{:GAP$}", cell.padded(*width), "");
                taken += width + GAP;
            }
            if taken + WIDTH / 4 > self.width {
                self.line(&head);
                self.paragraph(indent + 2 * GAP, last.style, &last.text);
            } else {
                self.hanging(&head, taken, last.style, &last.text);
            }
        }
    }

    /// Text behind `head`, which is `indent` columns wide: its first line wrapped, and below it what is quoted, as it is.
    fn hanging(&mut self, head: &str, indent: usize, style: Style, text: &str) {
        self.beside(head, indent, style, text, "");
    }

    /// The same with a figure at the right.
    fn beside(&mut self, head: &str, indent: usize, style: Style, text: &str, figure: &str) {
        let room = self.width.saturating_sub(indent).max(WIDTH / 4);
        let gap = if figure.is_empty() { 0 } else { GAP };
        let options = Options::new(room.saturating_sub(figure.len() + gap))
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        let mut quoted = text.lines();
        let wrapped = textwrap::wrap(quoted.next().unwrap_or_default(), options);
        let lines = wrapped.iter().map(AsRef::as_ref).chain(quoted);
        for (index, line) in lines.enumerate() {
            let pad = room.saturating_sub(columns(line));
            let line = painted(style, line);
            if index == 0 {
                self.line(&format!("{head}{line}{figure:>pad$}"));
            } else {
                self.line(&format!("{:indent$}{line}", ""));
            }
        }
    }

    /// A line as it is.
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end_matches(' '));
        self.text.push('\n');
    }
}

/// `text` in a style, which leaves what is plain alone.
fn painted(style: Style, text: &str) -> String {
    if style.is_plain() || text.is_empty() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}

fn columns(text: &str) -> usize {
    textwrap::core::display_width(text)
}

const fn of(severity: Severity) -> Style {
    match severity {
        Severity::Ok => style::GOOD,
        Severity::Skipped => style::DIM,
        Severity::Warning => style::WARNING,
        Severity::Fault => style::BAD.bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::failure::Exit;
    use crate::relay::finding::{Figure, FilePosition};

    /// What is shown, without colours.
    fn shown(width: usize, write: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(width);
        write(&mut page);
        anstream::adapter::strip_str(&page.text()).to_string()
    }

    fn finding() -> Finding {
        Finding::fault("it cannot be connected to, as nobody listens there: connection refused")
            .on(Layer::Tcp)
            .figure(Figure::Milliseconds(12.0))
            .hint("see whether proxies names the right port, and whether it runs at all today")
            .hint(Hint::typed("curl -v https://backup.example.com:8443/"))
            .hint(Hint::key("proxies"))
    }

    #[test]
    fn a_finding_has_its_figure_at_the_right_and_its_command_in_one_piece() {
        assert_eq!(
            shown(60, |page| page.finding(&finding())),
            [
                "  FAULT  tcp        it cannot be connected to, as      12 ms",
                "                    nobody listens there: connection",
                "                    refused",
                "                    hint: see whether proxies names the",
                "                          right port, and whether it runs at",
                "                          all today",
                "                          curl -v https://backup.example.com:8443/",
                "                    hint: set proxies",
                "",
            ]
            .join("\n")
        );
    }

    #[test]
    fn what_is_quoted_keeps_its_lines() {
        let broken = Finding::warning(
            "not a URL\n  |\n3 | proxies = [\"http//x\"]  \n  |            ^^^^^^^",
        )
        .on(Layer::Configuration)
        .in_file(FilePosition {
            path: "/etc/x".to_owned(),
            line: Some(3),
            column: Some(12),
        });
        let text = shown(60, |page| page.finding(&broken));
        let quoted =
            "/etc/x:3:12: not a URL\n|  |\n|3 | proxies = [\"http//x\"]\n|  |            ^^^^^^^\n";
        assert_eq!(
            text,
            format!("  warn   config     {quoted}").replace("\n|", "\n                    ")
        );
    }

    #[test]
    fn what_is_to_be_written_somewhere_keeps_its_lines() {
        let hint = format!(
            "write into {}:\n    [realms]\n    proxies = {:?}",
            "x".repeat(30),
            ["y"; 9]
        );
        let text = shown(60, |page| page.finding(&Finding::fault("none").hint(hint)));
        let lines: Vec<_> = text.lines().skip(1).map(str::trim_start).collect();
        assert_eq!(lines[0], "hint: write into");
        assert_eq!(lines[2], "[realms]");
        assert_eq!(lines[3], format!("proxies = {:?}", ["y"; 9]));
        assert!(
            text.ends_with(&format!("{:30}{}\n", "", lines[3])),
            "{text}"
        );
    }

    #[test]
    fn an_error_names_the_program_and_wraps_words_alone() {
        let failure = Failure::new(Exit::Config, "a b c ".repeat(12))
            .hint("look")
            .hint(Hint::command([
                "loopkdc",
                "check",
                "--config",
                &"x".repeat(80),
            ]));
        let text = shown(60, |page| {
            page.notice("error", style::BAD, failure.finding())
        });
        let command = format!("               loopkdc check --config {}\n", "x".repeat(80));
        assert!(text.starts_with("loopkdc: error: a b c"), "{text}");
        assert!(
            text.ends_with(&format!("loopkdc: hint: look\n{command}")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 4, "{text}");
    }

    #[test]
    fn a_table_has_columns_and_wraps_the_last() {
        let rows = [
            vec![
                Cell::from("a"),
                Cell::number("1 ms"),
                Cell::from("x ".repeat(40)),
            ],
            vec![
                Cell::from("long name"),
                Cell::number("100 ms"),
                Cell::from("y"),
            ],
        ];
        let text = shown(60, |page| page.table(2, &rows));
        assert_eq!(
            text,
            format!(
                "  a            1 ms  {}\n                     {}\n  long name  100 ms  y\n",
                "x ".repeat(20).trim_end(),
                "x ".repeat(20).trim_end()
            )
        );
    }

    #[test]
    fn a_name_is_not_broken() {
        let name = "https://kdcproxy.example.com:8443/";
        let rows = [
            vec![Cell::from("ä"), Cell::from("b")],
            vec![Cell::from("x".repeat(30)), Cell::from(name)],
        ];
        let text = shown(60, |page| page.table(2, &rows));
        let (pad, long) = (" ".repeat(31), "x".repeat(30));
        assert_eq!(text, format!("  ä{pad}b\n  {long}  {name}\n"));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_but_one_with_a_command() {
        for width in [60, 80, 160] {
            let text = shown(width, |page| page.finding(&finding()));
            let wide = text.lines().filter(|line| columns(line) > width);
            assert!(wide.clone().all(|line| line.contains("curl")), "{text}");
        }
    }
}
