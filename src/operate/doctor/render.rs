//! Lines for a terminal: 80 columns, words before colours.

use std::fmt::Write as _;

use super::line::{Layer, Line, Verdict};

/// Columns.
const WIDTH: usize = 80;
/// Before the text: two spaces, the verdict's word, two, the layer's, two.
const INDENT: usize = 2 + 5 + 2 + Layer::WIDTH + 2;

/// Writes lines one section after the other.
#[derive(Debug)]
pub(super) struct Renderer {
    colour: bool,
    /// What the last section was about.
    about: Option<About>,
}

/// A realm, and an upstream of it.
type About = (Option<String>, Option<String>);

impl Renderer {
    pub(super) fn new(colour: bool) -> Self {
        Self {
            colour,
            about: None,
        }
    }

    /// The text of `lines`, with a heading wherever they begin to be about something else.
    pub(super) fn text(&mut self, lines: &[Line]) -> String {
        let mut text = String::new();
        let mut rest = lines;
        while let Some((line, after)) = rest.split_first() {
            self.heading(line, &mut text);
            let same = after.iter().take_while(|next| is_skipped_with(line, next));
            let same = same.count();
            let (skipped, after) = after.split_at_checked(same).unwrap_or((&[], after));
            self.line(line, skipped, &mut text);
            rest = after;
        }
        text
    }

    fn heading(&mut self, line: &Line, text: &mut String) {
        let about = match line.layer {
            // Of whatever realm: it is about this machine's file.
            Layer::Krb5Conf => (None, None),
            _ => (line.realm.clone(), line.upstream.clone()),
        };
        if self.about.as_ref() == Some(&about) {
            return;
        }
        if let (Some(realm), upstream) = &about {
            let by = upstream.as_ref().map(|upstream| format!(" by {upstream}"));
            let _ = writeln!(text, "\n{realm}{}", by.unwrap_or_default());
        }
        self.about = Some(about);
    }

    /// One line, and `skipped`, which were not looked at for the same reason.
    fn line(&self, line: &Line, skipped: &[Line], text: &mut String) {
        let figure = line.figure.map(|figure| figure.to_string());
        let figure = figure.unwrap_or_default();
        let what = match skipped.last() {
            Some(last) => format!("and on to {}: {}", last.layer.word(), line.what),
            None => line.what.clone(),
        };
        let room = WIDTH - INDENT;
        let beside = match figure.len() {
            0 => room,
            taken => room - taken - 2,
        };
        let verdict = self.coloured(line.verdict);
        let layer = line.layer.word();
        for (index, part) in wrapped(&what, beside).iter().enumerate() {
            let written = match (index, figure.is_empty()) {
                (0, true) => {
                    writeln!(text, "  {verdict}  {layer:<w$}  {part}", w = Layer::WIDTH)
                }
                (0, false) => {
                    let pad = room - figure.len();
                    writeln!(
                        text,
                        "  {verdict}  {layer:<w$}  {part:<pad$}{figure}",
                        w = Layer::WIDTH
                    )
                }
                _ => writeln!(text, "{:INDENT$}{part}", ""),
            };
            let _ = written;
        }
        for hint in line.hint.iter().flat_map(|hint| hint.lines()) {
            self.hint(hint, text);
        }
    }

    /// A line of a hint. What is indented is to be copied as it is.
    fn hint(&self, hint: &str, text: &mut String) {
        if hint.starts_with(' ') {
            let _ = writeln!(text, "{:INDENT$}  {}", "", hint.trim_start());
            return;
        }
        for part in wrapped(&format!("hint: {hint}"), WIDTH - INDENT) {
            let _ = writeln!(text, "{:INDENT$}{part}", "");
        }
    }

    /// The verdict's word, five columns wide.
    fn coloured(&self, verdict: Verdict) -> String {
        let word = format!("{:<5}", verdict.word());
        let code = match verdict {
            Verdict::Ok => "32",
            Verdict::Skipped => "2",
            Verdict::Warn => "33",
            Verdict::Fault => "1;31",
        };
        match self.colour {
            true => format!("\x1b[{code}m{word}\x1b[0m"),
            false => word,
        }
    }
}

fn is_skipped_with(line: &Line, next: &Line) -> bool {
    let about = |line: &Line| (line.realm.clone(), line.upstream.clone());
    line.verdict == Verdict::Skipped
        && next.verdict == Verdict::Skipped
        && line.what == next.what
        && about(line) == about(next)
}

/// `text` in lines of at most `width` characters, broken at spaces; a word that is longer stays whole, as it may be one to
/// be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let taken = lines.last().map_or(0, |line| line.chars().count());
        if taken > 0 && taken + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::Figure;
    use super::*;

    #[test]
    fn a_section_has_a_heading_and_lines_in_columns() {
        let proxy = |line: Line| line.of("EXAMPLE.COM").at("https://kdcproxy.example.com");
        let lines = [
            Line::ok(Layer::Configuration, "valid"),
            proxy(Line::ok(Layer::Tcp, "192.0.2.7:443").figure(Figure::Milliseconds(12.0))),
            proxy(
                Line::fault(
                    Layer::Tls,
                    "its certificate has expired",
                    "who runs it has to renew it",
                )
                .figure(Figure::Days(-3)),
            ),
            proxy(Line::skipped(Layer::Http, "there is no TLS to speak over")),
            proxy(Line::skipped(
                Layer::Envelope,
                "there is no TLS to speak over",
            )),
            proxy(Line::skipped(Layer::Kdc, "there is no TLS to speak over")),
        ];
        let expected = "\x20 ok     config     valid

EXAMPLE.COM by https://kdcproxy.example.com
  ok     tcp        192.0.2.7:443                                          12 ms
  FAULT  tls        its certificate has expired                          -3 days
                    hint: who runs it has to renew it
  skip   http       and on to kdc: there is no TLS to speak over
";
        assert_eq!(Renderer::new(false).text(&lines), expected);
    }

    #[test]
    fn nothing_is_wider_than_80_columns_but_a_word() {
        let long = "word ".repeat(60);
        let lines = [
            Line::fault(Layer::Krb5Conf, &*long, &*long).figure(Figure::Days(100)),
            Line::warn(
                Layer::Estimate,
                &*long,
                format!("{long}\n  [realms.\"EXAMPLE.COM\"]"),
            ),
        ];
        let text = Renderer::new(false).text(&lines);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(text.lines().any(|line| line.chars().count() > WIDTH - 6));
        let word = "x".repeat(70);
        assert_eq!(wrapped(&word, 60), std::slice::from_ref(&word));
    }

    #[test]
    fn colour_is_beside_the_words() {
        let line = [Line::fault(Layer::Tcp, "refused", "look")];
        let (plain, coloured) = (
            Renderer::new(false).text(&line),
            Renderer::new(true).text(&line),
        );
        assert!(plain.contains("FAULT") && !plain.contains('\x1b'));
        assert_eq!(
            coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", ""),
            plain
        );
    }
}
