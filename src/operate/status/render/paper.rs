//! Lines of 80 columns, in colours or not.

use super::{Look, State};

/// Columns of a line.
const WIDTH: usize = 80;
/// Where what an entry says begins.
const ENTRY: usize = 10;
/// Where the state of an upstream begins, if its name is short enough.
const STATE: usize = 44;

/// What a text means, and so its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
}

impl Tone {
    /// ECMA-48 8.3.117 (SGR).
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// What is written so far.
#[derive(Debug)]
pub(super) struct Paper {
    look: Look,
    text: String,
}

impl Paper {
    pub(super) fn new(look: Look) -> Self {
        Self {
            look,
            text: String::new(),
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn is_utf8(&self) -> bool {
        self.look.utf8
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A line of these parts, cut where it is too long.
    pub(super) fn line(&mut self, parts: &[(Tone, &str)]) {
        let mut left = WIDTH;
        for (tone, part) in parts {
            let part = self.cut(part, left);
            left -= part.chars().count();
            self.paint(*tone, &part);
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn paint(&mut self, tone: Tone, text: &str) {
        if !self.look.utf8 && !text.is_ascii() {
            let shown = |character: char| if character.is_ascii() { character } else { '?' };
            let text: String = text.chars().map(shown).collect();
            return self.paint(tone, &text);
        }
        if !self.look.colour || tone == Tone::Plain || text.is_empty() {
            self.text.push_str(text);
            return;
        }
        self.text.extend([tone.code(), text, "\x1b[0m"]);
    }

    /// A name, and what is said of it, over as many lines as it takes.
    pub(super) fn entry(&mut self, name: &str, text: &str) {
        let name = format!("{name:ENTRY$}");
        for (place, line) in wrap(text, WIDTH - ENTRY).into_iter().enumerate() {
            let first = place == 0;
            let margin = if first { &name } else { &" ".repeat(ENTRY) };
            self.line(&[(Tone::Dim, margin), (Tone::Plain, &line)]);
        }
    }

    /// A mark, a name and a state; the state on a line of its own below a long name.
    pub(super) fn row(&mut self, [mark, name, state]: &[(Tone, &str); 3]) {
        let length = name.1.chars().count() + 4;
        let (margin, space) = ("  ", " ");
        let fits = length < STATE || length + 2 + state.1.chars().count() <= WIDTH;
        let gap = " ".repeat(STATE.saturating_sub(length).max(2));
        let head = [(Tone::Plain, margin), *mark, (Tone::Plain, space), *name];
        if fits {
            let [a, b, c, d] = head;
            return self.line(&[a, b, c, d, (Tone::Plain, &gap), *state]);
        }
        self.line(&head);
        self.text(6, state.0, state.1);
    }

    /// A paragraph.
    pub(super) fn text(&mut self, indent: usize, tone: Tone, text: &str) {
        for line in self.wrapped(text, indent) {
            self.line(&[(tone, &line)]);
        }
    }

    /// What to do next.
    pub(super) fn hint(&mut self, indent: usize, hint: &str) {
        let (mark, rest) = ("hint: ", indent + 6);
        for (place, line) in before_command(hint, WIDTH - rest).into_iter().enumerate() {
            let margin = match place {
                0 => format!("{:indent$}{mark}", ""),
                _ => " ".repeat(rest),
            };
            self.line(&[(Tone::Warn, &margin), (Tone::Plain, &line)]);
        }
    }

    /// Lines of `text`, each behind `indent` spaces.
    pub(super) fn wrapped(&self, text: &str, indent: usize) -> Vec<String> {
        let lines = wrap(text, WIDTH - indent).into_iter();
        lines.map(|line| format!("{:indent$}{line}", "")).collect()
    }

    /// As much of `text` as fits, with a sign if that is not all.
    pub(super) fn cut(&self, text: &str, width: usize) -> String {
        if text.chars().count() <= width {
            return text.to_owned();
        }
        let sign = if self.look.utf8 { "…" } else { "~" };
        let kept: String = text.chars().take(width.saturating_sub(1)).collect();
        match width {
            0 => String::new(),
            _ => kept + sign,
        }
    }

    pub(super) fn mark(&self, state: State) -> &'static str {
        match (state, self.look.utf8) {
            (State::InUse, true) => "●",
            (State::InUse, false) => "*",
            (State::Healthy, true) => "○",
            (State::Healthy, false) => "o",
            (State::Failing | State::Resting | State::Refusing, true) => "✗",
            (State::Failing | State::Resting | State::Refusing, false) => "x",
            (State::Unknown | State::SetAside | State::Other, true) => "·",
            (State::Unknown | State::SetAside | State::Other, false) => ".",
        }
    }
}

/// The same for what may end in a command behind a colon, which stays in one piece where it can: it is to be copied.
fn before_command(hint: &str, width: usize) -> Vec<String> {
    let Some((words, command)) = hint
        .rsplit_once(": ")
        .filter(|(_, command)| command.chars().count() <= width)
    else {
        return wrap(hint, width);
    };
    let mut lines = wrap(&format!("{words}:"), width);
    match lines.last_mut() {
        Some(last) if last.chars().count() + 1 + command.chars().count() <= width => {
            last.push(' ');
            last.push_str(command);
        }
        _ => lines.push(command.to_owned()),
    }
    lines
}

/// Lines of at most `width` columns, broken between words; a longer word is broken itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while !rest.is_empty() {
            let Some(line) = lines.last_mut() else {
                break;
            };
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            let piece: Vec<char> = rest.drain(..rest.len().min(width.max(1))).collect();
            used += piece.len();
            line.extend(piece);
            if !rest.is_empty() {
                lines.push(String::new());
                used = 0;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_no_line_is_too_long() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("ab cd efg", 5), ["ab cd", "efg"]);
        assert_eq!(wrap("a bcdefghij k", 4), ["a", "bcde", "fghi", "j k"]);
        for width in 1..20 {
            let lines = wrap(
                "see how far it gets: curl -v https://kdcproxy.example.com/",
                width,
            );
            assert!(
                lines.iter().all(|line| line.chars().count() <= width),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_command_stays_in_one_piece() {
        let hint = "see whether it runs: curl -v https://p.example/";
        assert_eq!(
            before_command(hint, 30),
            ["see whether it runs:", "curl -v https://p.example/"]
        );
        assert_eq!(before_command(hint, 60), [hint]);
        assert_eq!(
            before_command("raise max-in-flight", 10),
            ["raise", "max-in-fli", "ght"]
        );
    }

    #[test]
    fn colours_take_no_columns() {
        for colour in [false, true] {
            let mut paper = Paper::new(Look {
                colour,
                ..Look::default()
            });
            paper.line(&[(Tone::Good, &"a".repeat(70)), (Tone::Bad, &"b".repeat(20))]);
            let text = paper.into_text();
            assert_eq!(text.contains('\x1b'), colour);
            assert_eq!(text.matches('a').count(), 70);
            assert_eq!(text.matches('b').count(), 9, "{text}");
            assert_eq!(text.matches('~').count(), 1);
        }
    }
}
