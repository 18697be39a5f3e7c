//! What ends a command: one error, what to do about it, and the exit code.

use std::fmt;

use super::finding::{Finding, Hint};

/// How the process ends, after sysexits(3), whose codes begin at 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok,
    /// What the doctor found faulty first ([`super::finding::Layer::exit_code`]).
    Layer(u8),
    /// EX_UNAVAILABLE: the daemon that is to answer does not.
    Unavailable,
    /// EX_TEMPFAIL: what was waited for has not come in time.
    TimedOut,
    /// EX_SOFTWARE: a fault of this program's own.
    Bug,
    /// EX_NOPERM: something that exists may not be read or bound by this user.
    Permission,
    /// EX_CONFIG: the configuration or the command line can't work as written.
    /// A service manager gains nothing from starting the same thing again.
    Config,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Ok => Self::SUCCESS,
            Exit::Layer(code) => Self::from(code),
            Exit::Unavailable => Self::from(69),
            Exit::Bug => Self::from(70),
            Exit::TimedOut => Self::from(75),
            Exit::Permission => Self::from(77),
            Exit::Config => Self::from(78),
        }
    }
}

/// Why a command ends. `main` alone prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    exit: Exit,
    finding: Box<Finding>,
}

impl Failure {
    /// `message`: lower case and no full stop; it may go on over further lines, which quote something.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::of(exit, Finding::fault(message))
    }

    /// A finding that ends a command.
    pub fn of(exit: Exit, finding: Finding) -> Self {
        Self {
            exit,
            finding: Box::new(finding),
        }
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.finding.hints.push(hint.into());
        self
    }

    /// Adds a command to type, and what it is for.
    #[must_use]
    pub fn command<W: Into<String>>(
        self,
        purpose: impl Into<Hint>,
        words: impl IntoIterator<Item = W>,
    ) -> Self {
        self.hint(purpose).hint(Hint::command(words))
    }

    /// The same of a command of plain words, as it is typed.
    #[must_use]
    pub fn typed(self, purpose: impl Into<Hint>, command: &str) -> Self {
        self.hint(purpose).hint(Hint::typed(command))
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What went wrong, where, and what to do about it.
    pub fn finding(&self) -> &Finding {
        &self.finding
    }

    /// What to do about it, a line each.
    pub fn hints(&self) -> Vec<String> {
        self.finding.advice_lines()
    }

    /// What went wrong, without the hints.
    pub fn message(&self) -> &str {
        &self.finding.what
    }
}

/// As a pipe or the journal has it: a line for what is wrong, and one for each hint.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message("error"))
    }
}

impl std::error::Error for Failure {}
