//! What ends a command: one error, what to do about it, and the exit code.

use std::fmt;

use crate::relay::text::lines;

/// How the process ends, after sysexits(3), whose codes begin at 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok,
    /// What the doctor found faulty first ([`crate::operate::doctor::Layer::exit_code`]).
    Layer(u8),
    /// EX_UNAVAILABLE: the daemon that is to answer does not.
    Unavailable,
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
            Exit::Permission => Self::from(77),
            Exit::Config => Self::from(78),
        }
    }
}

/// Why a command ends. `Display` is what the user reads, and `main` alone prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// `message`: lower case and no full stop; it may go on over further lines.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: lines(&message.into()).into_owned(),
            hints: Vec::new(),
        }
    }

    /// Adds what to type next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(lines(&hint.into()).into_owned());
        self
    }

    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do about it.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// What went wrong, without the hints.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loopkdc: error: {}", self.message)?;
        self.hints
            .iter()
            .try_for_each(|hint| write!(f, "\nloopkdc: hint: {hint}"))
    }
}

impl std::error::Error for Failure {}
