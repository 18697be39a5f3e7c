//! What a terminal is shown: findings, tables and paragraphs, 60 to 160 columns wide; words before colours.
//!
//! A command to copy stands in one piece on a line of its own, however narrow the terminal is. Colours are written always, and
//! taken out again by `anstream` where they are not wanted (a pipe, NO_COLOR, TERM=dumb).

use std::env;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter};

use crate::relay::failure::Failure;
use crate::relay::finding::{Figure, Finding, Hint, Layer, Severity};
use crate::relay::text::json;

/// Columns of what is no terminal.
const WIDTH: usize = 80;
/// Between columns.
const GAP: usize = 2;
/// Of the widest [`Layer::word`].
const LAYER: usize = 9;
/// Before a finding's words: its severity and its layer.
const FINDING: usize = 5 + GAP + LAYER + GAP;

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

/// What the terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Columns that are used.
    pub width: usize,
    /// More than ASCII.
    pub utf8: bool,
}

impl Terminal {
    /// The terminal of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let size = terminal_size::terminal_size();
        Self {
            width: size.map_or(WIDTH, |(width, _)| usize::from(width.0).clamp(60, 160)),
            utf8: is_utf8(),
        }
    }

    /// 80 columns of ASCII.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            width: WIDTH,
            utf8: false,
        }
    }
}

/// By the first of the variables that says anything (locale(7)).
fn is_utf8() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| env::var(name).unwrap_or_default());
    let locale = set.into_iter().find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Writes `text` to stdout, with colours if they are wanted there. A reader that is gone wants no more.
pub fn print(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Writes `document` to stdout as JSON (RFC 8259) that may be shown on a terminal.
pub fn print_json(document: &impl serde::Serialize) {
    print(&format!("{}\n", json::pretty(document).unwrap_or_default()));
}

/// Writes why a command ends to stderr: on a terminal as wide as that, else a line for each thing that is said.
pub fn print_error(failure: &Failure) {
    if !io::stderr().is_terminal() {
        eprintln!("{failure}");
        return;
    }
    let mut page = Page::new(Terminal::of_process());
    page.notice("error:", style::BAD, failure.finding());
    let _ = anstream::stderr().lock().write_all(page.text().as_bytes());
}

/// Writes what is to be known besides to stderr, as [`print_error`] does.
pub fn print_warning(finding: &Finding) {
    if !io::stderr().is_terminal() {
        eprintln!("{}", finding.message("warning"));
        return;
    }
    let mut page = Page::new(Terminal::of_process());
    page.notice("warning:", style::WARNING, finding);
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
        let (before, after) = if self.is_number {
            (pad.as_str(), "")
        } else {
            ("", pad.as_str())
        };
        format!("{before}{}{after}", painted(self.style, &self.text))
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
    terminal: Terminal,
    text: String,
}

impl Page {
    /// Nothing yet.
    #[must_use]
    pub fn new(terminal: Terminal) -> Self {
        let text = String::new();
        Self { terminal, text }
    }

    /// All of it, each line with its newline.
    #[must_use]
    pub fn text(self) -> String {
        self.text
    }

    /// More than ASCII may be written.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.terminal.utf8
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
        for line in self.wrapped(text, indent) {
            self.line(indent, &painted(style, &line));
        }
    }

    /// What was found, one after the other.
    pub fn findings<'a>(&mut self, findings: impl IntoIterator<Item = &'a Finding>) {
        findings
            .into_iter()
            .for_each(|finding| self.finding(finding));
    }

    /// What was found: how bad it is, the layer, the words with their figure, and what to do.
    pub fn finding(&mut self, finding: &Finding) {
        let severity = finding.severity;
        let word = format!("{:<5}", severity.word());
        let layer = finding.subject.layer.map_or("", Layer::word);
        let head = format!("{}  {layer:<LAYER$}  ", painted(of(severity), &word));
        let what = finding.placed();
        let indent = GAP + FINDING;
        self.quoted(&head, indent, &what, finding.figure);
        self.hints(indent, &finding.hints);
    }

    /// Why a command ends, or what it warns of, each line with the program's name.
    fn notice(&mut self, word: &str, style: Style, finding: &Finding) {
        let bold = |word: &str, style: Style| format!("loopkdc: {} ", painted(style.bold(), word));
        let what = finding.placed();
        let mut lines = what.lines();
        let first = lines.next().unwrap_or_default();
        self.text.push_str(&bold(word, style));
        self.hanging("loopkdc:  ".len() + word.len(), first);
        lines.for_each(|line| self.line(0, line));
        let mut follows_text = false;
        for hint in &finding.hints {
            match hint {
                Hint::Text(words) => {
                    self.text.push_str(&bold("hint:", style::WARNING));
                    self.hint_text("loopkdc: hint: ".len(), words);
                }
                _ if follows_text => self.line("loopkdc: hint: ".len(), &hint.to_string()),
                _ => {
                    self.text.push_str(&bold("hint:", style::WARNING));
                    self.line(0, &hint.to_string());
                }
            }
            follows_text = matches!(hint, Hint::Text(_));
        }
    }

    /// What to do, behind `indent` columns: words wrapped, a command or a key in one piece.
    pub fn hints(&mut self, indent: usize, hints: &[Hint]) {
        let mark = painted(style::WARNING, "hint:");
        let below = indent + "hint: ".len();
        let mut follows_text = false;
        for hint in hints {
            match hint {
                Hint::Text(words) => {
                    self.text.push_str(&format!("{:indent$}{mark} ", ""));
                    self.hint_text(below, words);
                }
                _ if follows_text => self.line(below, &hint.to_string()),
                _ => self.line(indent, &format!("{mark} {hint}")),
            }
            follows_text = matches!(hint, Hint::Text(_));
        }
    }

    /// The first line of a hint wrapped, and below it, as it is, what is to be written somewhere.
    fn hint_text(&mut self, below: usize, words: &str) {
        let mut lines = words.lines();
        self.hanging(below, lines.next().unwrap_or_default());
        lines.for_each(|line| self.line(below, line));
    }

    /// Rows of cells, behind `indent` columns. A column is as wide as its widest cell; the last one is wrapped.
    pub fn table(&mut self, indent: usize, rows: &[Vec<Cell>]) {
        let most = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| {
                let is_last = column + 1 == row.len();
                row.get(column).filter(|cell| !is_last || cell.is_number)
            });
            cells
                .map(|cell| columns(&cell.text))
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<_> = (0..most).map(width).collect();
        for row in rows {
            self.row(indent, row, &widths);
        }
    }

    fn row(&mut self, indent: usize, row: &[Cell], widths: &[usize]) {
        let Some((last, before)) = row.split_last() else {
            return self.blank();
        };
        let mut head = " ".repeat(indent);
        let mut taken = indent;
        for (cell, width) in before.iter().zip(widths) {
            head.push_str(&cell.padded(*width));
            head.push_str(&" ".repeat(GAP));
            taken += width + GAP;
        }
        if last.is_number {
            let width = widths.get(before.len()).copied().unwrap_or_default();
            return self.line(0, &format!("{head}{}", last.padded(width)));
        }
        let room = self.terminal.width.saturating_sub(taken);
        let widest_word = last.text.split(' ').map(columns).max().unwrap_or_default();
        if widest_word > room || room < WIDTH / 4 && columns(&last.text) > room {
            self.line(0, &head);
            return self.paragraph(indent + 2 * GAP, last.style, &last.text);
        }
        self.push(&head);
        self.hanging_in(taken, last.style, &last.text);
    }

    /// `what` behind `head`, which is as wide as `indent` less [`GAP`], with its figure at the right; what is quoted below it as it is.
    fn quoted(&mut self, head: &str, indent: usize, what: &str, figure: Option<Figure>) {
        let figure = figure.map_or_else(String::new, |figure| figure.to_string());
        let beside = if figure.is_empty() {
            0
        } else {
            figure.len() + GAP
        };
        let mut quoted = what.lines();
        let words = quoted.next().unwrap_or_default();
        let room = self.terminal.width.saturating_sub(indent);
        let lines = self.wrapped(words, indent + beside);
        for (index, line) in lines.iter().enumerate() {
            match index {
                0 if !figure.is_empty() => {
                    let pad = " ".repeat(room.saturating_sub(columns(line) + figure.len()));
                    self.line(GAP, &format!("{head}{line}{pad}{figure}"));
                }
                0 => self.line(GAP, &format!("{head}{line}")),
                _ => self.line(indent, line),
            }
        }
        quoted.for_each(|line| self.line(indent, line));
    }

    /// Wrapped words, the first line of which goes on where the text is, `taken` columns from the left.
    fn hanging(&mut self, taken: usize, words: &str) {
        self.hanging_in(taken, style::PLAIN, words);
    }

    fn hanging_in(&mut self, taken: usize, style: Style, words: &str) {
        for (index, line) in self.wrapped(words, taken).iter().enumerate() {
            self.line(if index == 0 { 0 } else { taken }, &painted(style, line));
        }
    }

    /// Words in lines that fit behind `indent` columns. At least one.
    fn wrapped(&self, words: &str, indent: usize) -> Vec<String> {
        let options = Options::new(self.terminal.width.saturating_sub(indent).max(1))
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation);
        let lines = textwrap::wrap(words, options);
        lines
            .into_iter()
            .map(std::borrow::Cow::into_owned)
            .collect()
    }

    /// A line as it is, behind `indent` columns.
    fn line(&mut self, indent: usize, line: &str) {
        if !line.is_empty() {
            self.text.push_str(&" ".repeat(indent));
        }
        self.push(line);
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
    }

    /// As much of `text` as the terminal knows.
    fn push(&mut self, text: &str) {
        let is_shown = |character: char| self.terminal.utf8 || character.is_ascii();
        let shown = text.chars().map(|c| if is_shown(c) { c } else { '?' });
        self.text.extend(shown);
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
        Severity::Fault => AnsiColor::Red.on_default().bold(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::failure::Exit;
    use crate::relay::finding::FilePosition;

    /// What is shown, without colours.
    fn shown(width: usize, write: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(Terminal { width, utf8: true });
        write(&mut page);
        anstream::adapter::strip_str(&page.text()).to_string()
    }

    fn finding() -> Finding {
        Finding::fault("it cannot be connected to, as nobody listens there: connection refused")
            .on(Layer::Tcp)
            .figure(Figure::Milliseconds(12.0))
            .hint("see whether proxies names the right port, and whether it runs at all today")
            .hint(Hint::command([
                "curl",
                "-v",
                "https://backup.example.com:8443/",
            ]))
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
            page.notice("error:", style::BAD, failure.finding())
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
    fn a_table_ends_in_numbers_or_in_a_name_that_is_not_broken() {
        let name = "https://kdcproxy.example.com:8443/";
        let rows = [
            vec![Cell::from("ä"), Cell::number("1 ms")],
            vec![Cell::from("b"), Cell::number("100 ms")],
            vec![Cell::from("x".repeat(30)), Cell::from(name)],
        ];
        let mut page = Page::new(Terminal {
            width: 60,
            utf8: false,
        });
        page.table(2, &rows);
        let (pad, long) = (" ".repeat(31), "x".repeat(30));
        assert_eq!(
            page.text(),
            format!("  ?{pad}  1 ms\n  b{pad}100 ms\n  {long}\n      {name}\n")
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_but_one_with_a_command() {
        for width in [60, 80, 160] {
            let text = shown(width, |page| page.finding(&finding()));
            let wide = text.lines().filter(|line| columns(line) > width);
            assert!(wide.clone().all(|line| line.contains("curl")), "{text}");
        }
    }

    #[test]
    fn a_terminal_that_knows_ascii_alone_gets_no_more() {
        let mut page = Page::new(Terminal::plain());
        page.paragraph(0, style::PLAIN, "Zürich");
        assert_eq!(page.text(), "Z?rich\n");
    }
}
