//! Kerberos by HTTP (RFC 4559): a token for each request to a KDC proxy that wants one.
//!
//! The system's GSSAPI library makes the tokens, in a process of its own (`loopkdc gssapi`): its calls block for as long as the
//! library likes, and it takes keytab and credential cache from the environment, of which a process has one.
//!
//! A line asks and a line answers:
//!
//! | asked | answered |
//! |---|---|
//! | `begin`, or `begin BASE64` with what it is bound to | `token NUMBER BASE64`: a first token, and the number of its context |
//! | `go-on NUMBER BASE64` | `token NUMBER BASE64`, or `done NUMBER` once both sides are known to each other |
//! | either | `failed TEXT` |

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::tls::TlsInfo;
use reqwest::{Response, StatusCode};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::certificate::channel_bindings;
use super::fault::Unsent;
use super::refusal;
use crate::relay::sync::lock;
use crate::wire::{KerberosMessage, Kind, Service};

/// A token takes a ticket at most once in hours, and that two exchanges with a KDC.
const TOKEN: Duration = Duration::from_secs(5);
/// A failure to get one is not tried again at once: those who wait for a token would each wait as long.
const FAILED: Duration = Duration::from_secs(2);
/// The scheme's name (RFC 4559 4.1).
const SCHEME: &str = "Negotiate";

/// Where the tickets come from that a KDC proxy is shown. At least one of `keytab` and `ccache` is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// The file of keys that tickets are got with.
    pub keytab: Option<PathBuf>,
    /// The credential cache, by its name in krb5.conf's sense. Without one, tickets are kept in memory.
    pub ccache: Option<String>,
    /// The client principal; there wherever `keytab` is.
    pub principal: Option<Principal>,
}

/// A principal: name and realm, as text (RFC 1964 2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its components with slashes between them.
    pub name: String,
    /// Its realm.
    pub realm: String,
}

/// Gets tokens for one KDC proxy.
#[derive(Debug)]
pub(super) struct Negotiator {
    program: Program,
    /// The principal whose keys the keytab holds: the library may ask for a ticket with them.
    keys_of: Option<Principal>,
    /// The proxy's service: `HTTP/host`.
    service: String,
    /// One call at a time: the library works through them one after the other anyway.
    process: tokio::sync::Mutex<Option<GssapiProcess>>,
    fetch: Mutex<TokenFetch>,
    /// What tokens are bound to (RFC 5929 4), once the proxy has shown its certificate. Some take no others, so that nobody in between
    /// can show them as his own.
    bindings: Mutex<ToldBindings>,
    /// How long a call may take.
    patience: Duration,
}

/// What a token is bound to, in base64.
type ToldBindings = Option<Arc<str>>;

/// The getting of first tokens.
#[derive(Debug, Default)]
struct TokenFetch {
    under_way: bool,
    /// A request of the library for the ticket came back to be sent to this very proxy.
    looped: bool,
    failed: Option<(Instant, Unsent)>,
}

/// One conversation with the proxy: our last token, and what the library remembers of it.
#[derive(Debug)]
pub(super) struct Conversation {
    negotiator: Arc<Negotiator>,
    context: u64,
    token: HeaderValue,
    bindings: ToldBindings,
}

impl Negotiator {
    /// Tokens of `whose` for the proxy on `host`.
    pub(super) fn new(whose: &Negotiate, host: &str) -> Self {
        Self {
            program: Program::new(whose, host),
            keys_of: whose.principal.clone().filter(|_| whose.keytab.is_some()),
            service: format!("HTTP/{host}"),
            process: tokio::sync::Mutex::default(),
            fetch: Mutex::default(),
            bindings: Mutex::default(),
            patience: TOKEN,
        }
    }

    /// `message` asks for the ticket that a token is being made of: sent to the proxy, it would wait for itself.
    pub(super) fn is_looping(&self, message: &KerberosMessage) -> bool {
        let mut fetch = lock(&self.fetch);
        let is_looping = fetch.under_way && self.asks_for_ticket(message);
        fetch.looped |= is_looping;
        is_looping
    }

    fn asks_for_ticket(&self, message: &KerberosMessage) -> bool {
        match (message.service(), message.kind()) {
            (Service::Kdc, Kind::AsReq) => self.keys_of.as_ref().is_some_and(|own| {
                let is_in_realm = message.realm().as_str().eq_ignore_ascii_case(&own.realm);
                is_in_realm && message.client_name().as_deref() == Some(&own.name)
            }),
            (Service::Kdc, Kind::TgsReq) => message
                .service_name()
                .is_some_and(|name| name.eq_ignore_ascii_case(&self.service)),
            _ => false,
        }
    }

    /// A first token.
    ///
    /// # Errors
    /// There is none, and why.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<Conversation, Unsent> {
        let negotiator = Arc::clone(self);
        // In a task, as who gives up must not leave half a call behind.
        let call = tokio::spawn(negotiator.first_token());
        let ended = call.await;
        ended.unwrap_or_else(|error| Err(Unsent::NoCredential(error.to_string().into())))
    }

    async fn first_token(self: Arc<Self>) -> Result<Conversation, Unsent> {
        let mut process = self.process.lock().await;
        if let Some((at, why)) = &lock(&self.fetch).failed
            && at.elapsed() < FAILED
        {
            return Err(why.clone());
        }
        lock(&self.fetch).under_way = true;
        let bindings = lock(&self.bindings).clone();
        let question = match &bindings {
            Some(bindings) => format!("begin {bindings}\n"),
            None => "begin\n".to_owned(),
        };
        let token = self.ask(&mut process, &question).await;
        let token = token.and_then(|token| token.ok_or("the GSSAPI library makes no token".into()));
        // The library may have got it from another KDC all the same.
        let looped = std::mem::take(&mut *lock(&self.fetch)).looped;
        let token = token.map_err(|why| {
            if looped {
                Unsent::TicketLoop
            } else {
                Unsent::NoCredential(why.into())
            }
        });
        let failed = token.as_ref().err();
        lock(&self.fetch).failed = failed.map(|why| (Instant::now(), why.clone()));
        drop(process);
        token.map(|(context, token)| Conversation {
            negotiator: self,
            context,
            token,
            bindings,
        })
    }

    /// A token and the number of its context; nothing if none is wanted any more.
    async fn ask(
        &self,
        slot: &mut Option<GssapiProcess>,
        question: &str,
    ) -> Result<Option<(u64, HeaderValue)>, String> {
        // Taken out: one that does not answer as it should is not asked again.
        let mut process = match slot.take() {
            Some(process) => process,
            None => self.program.start()?,
        };
        let answered = timeout(self.patience, process.ask(question)).await;
        let late = |_| format!("no token within {} s", self.patience.as_secs());
        let answer = answered.map_err(late)??;
        *slot = Some(process);
        match answer {
            GssapiAnswer::Token(context, token) => Ok(Some((context, header(&token)?))),
            GssapiAnswer::Done => Ok(None),
            GssapiAnswer::Failed(why) => Err(why),
        }
    }
}

impl Conversation {
    /// Notes whom an answer is of. True if it refuses a token that was not bound to him: another one may do.
    pub(super) fn is_unbound(&self, response: &Response) -> bool {
        let info = response.extensions().get::<TlsInfo>();
        let certificate = info.and_then(TlsInfo::peer_certificate);
        let bindings = certificate.and_then(channel_bindings);
        let bindings = bindings.map(|octets| STANDARD.encode(octets).into());
        let is_other = bindings != self.bindings;
        *lock(&self.negotiator.bindings) = bindings;
        is_other && response.status() == StatusCode::UNAUTHORIZED
    }

    /// Another one with the same proxy.
    ///
    /// # Errors
    /// There is no token, and why.
    pub(super) async fn anew(&self) -> Result<Self, Unsent> {
        self.negotiator.begin().await
    }

    /// The Authorization header.
    pub(super) fn token(&self) -> HeaderValue {
        self.token.clone()
    }

    /// Takes the proxy's token. True: it is that of the proxy that was asked, and the conversation is over (mutual
    /// authentication). False: it wants another one, which is [`Conversation::token`] now.
    ///
    /// # Errors
    /// The token is not of the proxy that was asked, or nobody can tell.
    pub(super) async fn go_on(&mut self, token: &str) -> Result<bool, String> {
        let negotiator = Arc::clone(&self.negotiator);
        let question = format!("go-on {} {token}\n", self.context);
        let call = tokio::spawn(async move {
            let mut process = negotiator.process.lock().await;
            negotiator.ask(&mut process, &question).await
        });
        let next = call.await.unwrap_or_else(|error| Err(error.to_string()))?;
        let is_over = next.is_none();
        if let Some((_, token)) = next {
            self.token = token;
        }
        Ok(is_over)
    }
}

/// The token in an answer (RFC 4559 4.1), if there is one: base64, as it came.
pub(super) fn token_in(headers: &HeaderMap) -> Option<&str> {
    let mut challenges = refusal::challenges(headers);
    challenges.find_map(|(scheme, token)| {
        let is_it = scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) && !token.is_empty();
        std::str::from_utf8(token).ok().filter(|_| is_it)
    })
}

fn header(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("{SCHEME} {token}"));
    let mut value = value.map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.realm)
    }
}

/// Most octets of an answer: a token of a ticket with a PAC of 64 KiB, in base64.
const MAX_LINE: u64 = 256 * 1024;

/// How to start the process.
#[derive(Clone, Debug)]
struct Program {
    file: PathBuf,
    args: Vec<String>,
    ccache: String,
    keytab: String,
}

impl Program {
    fn new(whose: &Negotiate, host: &str) -> Self {
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
    fn start(&self) -> Result<GssapiProcess, String> {
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
struct GssapiProcess {
    _child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What the library says.
enum GssapiAnswer {
    /// A token, and the number of its context.
    Token(u64, String),
    /// No further token is wanted.
    Done,
    Failed(String),
}

impl GssapiProcess {
    /// # Errors
    /// It does not answer as it should: nobody knows what it answers to next.
    async fn ask(&mut self, question: &str) -> Result<GssapiAnswer, &'static str> {
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

#[cfg(test)]
mod tests;
