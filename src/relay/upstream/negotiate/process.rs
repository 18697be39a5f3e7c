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
    pub(super) file: PathBuf,
    pub(super) args: Vec<String>,
    ccache: String,
    keytab: String,
}

impl Program {
    pub(super) fn new(whose: &Negotiate, host: &str) -> Self {
        let mut args = vec!["gssapi".to_owned(), format!("HTTP@{host}")];
        args.extend(whose.principal.iter().map(ToString::to_string));
        let keytab = whose.keytab.as_ref();
        Self {
            // This program's file, which may have been replaced meanwhile.
            file: if cfg!(target_os = "linux") {
                "/proc/self/exe".into()
            } else {
                std::env::current_exe().unwrap_or_else(|_| "loopkdc".into())
            },
            args,
            // Its own credentials, and never those that lie about.
            ccache: whose.ccache.clone().unwrap_or("MEMORY:loopkdc".to_owned()),
            keytab: keytab.map_or("/dev/null".to_owned(), |keytab| {
                format!("FILE:{}", keytab.display())
            }),
        }
    }

    /// # Errors
    /// It can't be started, and why.
    pub(super) fn start(&self) -> Result<GssapiProcess, String> {
        let mut command = Command::new(&self.file);
        command
            .args(&self.args)
            .env("KRB5CCNAME", &self.ccache)
            .env("KRB5_CLIENT_KTNAME", &self.keytab)
            // What a service manager has handed to this process is not the other's.
            .env_remove("LISTEN_FDS")
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDNAMES")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let failed = |why: &str| format!("the process for GSSAPI does not start: {why}");
        let mut child = command
            .spawn()
            .map_err(|error| failed(&error.to_string()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, answers) = pipes.ok_or_else(|| failed("no pipes"))?;
        Ok(GssapiProcess {
            _child: child,
            questions,
            answers: BufReader::new(answers),
        })
    }
}

/// The process at work; it ends with this.
#[derive(Debug)]
pub(super) struct GssapiProcess {
    _child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the library says.
pub(super) enum GssapiAnswer {
    /// A token, and the number of its context.
    Token(u64, String),
    /// No further token is wanted.
    Done,
    Failed(String),
}

impl GssapiProcess {
    /// # Errors
    /// It does not answer as it should: nobody knows what it answers to next.
    pub(super) async fn ask(&mut self, question: &str) -> Result<GssapiAnswer, &'static str> {
        let ended = "the process for GSSAPI has ended";
        let asked = self.questions.write_all(question.as_bytes()).await;
        asked.map_err(|_| ended)?;
        let mut line = String::new();
        let mut limited = (&mut self.answers).take(MAX_LINE);
        limited.read_line(&mut line).await.map_err(|_| ended)?;
        let line = line.strip_suffix('\n').ok_or(ended)?;
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match kind {
            "token" => rest.split_once(' ').and_then(|(number, token)| {
                Some(GssapiAnswer::Token(number.parse().ok()?, token.to_owned()))
            }),
            "done" => Some(GssapiAnswer::Done),
            "failed" => Some(GssapiAnswer::Failed(rest.to_owned())),
            _ => None,
        };
        answer.ok_or("the process for GSSAPI says what it should not")
    }
}
