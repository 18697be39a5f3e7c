//! The process that asks the GSSAPI library: this very program, by its command `gssapi`.
//!
//! A line asks and a line answers:
//!
//! | asked | answered |
//! |---|---|
//! | `begin` | `token NUMBER BASE64`: a first token, and the number of its context |
//! | `go-on NUMBER BASE64` | `token NUMBER BASE64`, or `done NUMBER` once both sides are known to each other |
//! | either | `failed TEXT` |

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Negotiate;

/// Most octets of an answer: a token of a ticket with a PAC of 64 KiB, in base64.
const MAX_LINE: u64 = 256 * 1024;

/// How to start the process.
#[derive(Clone, Debug)]
pub(super) struct Program {
    file: PathBuf,
    args: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Program {
    pub(super) fn new(whose: &Negotiate, host: &str) -> Self {
        let mut args = vec!["gssapi".to_owned(), format!("HTTP@{host}")];
        args.extend(whose.principal.iter().map(ToString::to_string));
        // Its own credentials, and never those that lie about.
        let ccache = whose.ccache.clone();
        let mut environment = vec![(
            "KRB5CCNAME",
            ccache.unwrap_or_else(|| "MEMORY:loopkdc".to_owned()),
        )];
        let keytab = whose.keytab.as_ref();
        environment.push((
            "KRB5_CLIENT_KTNAME",
            keytab.map_or("/dev/null".to_owned(), |keytab| {
                format!("FILE:{}", keytab.display())
            }),
        ));
        Self {
            file: own_file(),
            args,
            environment,
        }
    }

    #[cfg(test)]
    pub(super) fn script(text: &str) -> Self {
        Self {
            file: "/bin/sh".into(),
            args: vec!["-c".to_owned(), text.to_owned()],
            environment: Vec::new(),
        }
    }

    /// # Errors
    /// It can't be started, and why.
    pub(super) fn start(&self) -> Result<Helper, String> {
        let mut command = Command::new(&self.file);
        command
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // What a service manager has handed to this process is not the other's.
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let started = command.spawn().and_then(Helper::adopt);
        started.map_err(|error| format!("the process for GSSAPI does not start: {error}"))
    }
}

/// This program's file, which may have been replaced meanwhile.
fn own_file() -> PathBuf {
    match cfg!(target_os = "linux") {
        true => "/proc/self/exe".into(),
        false => std::env::current_exe().unwrap_or_else(|_| "loopkdc".into()),
    }
}

/// The process at work; it ends with this.
#[derive(Debug)]
pub(super) struct Helper {
    _child: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
    broken: bool,
}

enum Answer {
    Token(u64, String),
    Done,
}

impl Helper {
    fn adopt(mut child: Child) -> std::io::Result<Self> {
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(asked), Some(answers)) = pipes else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            _child: child,
            asked,
            answers: BufReader::new(answers),
            broken: false,
        })
    }

    /// Whether it has not answered as it should: nobody knows what it answers to next.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A first token, and the number of its context.
    pub(super) async fn begin(&mut self) -> Result<(u64, String), String> {
        match self.ask("begin\n").await? {
            Answer::Token(number, token) => Ok((number, token)),
            Answer::Done => Err("the GSSAPI library makes no token".to_owned()),
        }
    }

    /// The next token; nothing if none is wanted.
    pub(super) async fn go_on(
        &mut self,
        number: u64,
        token: &str,
    ) -> Result<Option<String>, String> {
        match self.ask(&format!("go-on {number} {token}\n")).await? {
            Answer::Token(_, token) => Ok(Some(token)),
            Answer::Done => Ok(None),
        }
    }

    async fn ask(&mut self, line: &str) -> Result<Answer, String> {
        // A call that is given up in the middle leaves it so.
        self.broken = true;
        let gone = |_| "the process for GSSAPI has ended".to_owned();
        self.asked.write_all(line.as_bytes()).await.map_err(gone)?;
        let mut answer = String::new();
        let mut limited = (&mut self.answers).take(MAX_LINE);
        limited.read_line(&mut answer).await.map_err(gone)?;
        let answer = answer
            .strip_suffix('\n')
            .ok_or("the process for GSSAPI has ended")?;
        let (kind, rest) = answer.split_once(' ').unwrap_or((answer, ""));
        let read = match kind {
            "token" => rest.split_once(' ').and_then(|(number, token)| {
                Some(Answer::Token(number.parse().ok()?, token.to_owned()))
            }),
            "done" => Some(Answer::Done),
            "failed" => {
                self.broken = false;
                return Err(rest.to_owned());
            }
            _ => None,
        };
        self.broken = read.is_none();
        read.ok_or_else(|| "the process for GSSAPI says what it should not".to_owned())
    }
}
