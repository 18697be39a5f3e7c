//! Kerberos by HTTP (RFC 4559): a token for each request to a KDC proxy that wants one.
//!
//! The system's GSSAPI library makes the tokens, in a process of its own (`loopkdc gssapi`): its calls block for as long as the
//! library likes, and it takes keytab and credential cache from the environment, of which a process has one.

mod helper;
mod own;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use self::helper::{Helper, Program};
use self::own::Own;
use super::fault::Unsent;
use crate::relay::sync::lock;
use crate::wire::KerberosMessage;

pub use self::own::Principal;

/// A token takes a ticket at most once in hours, and that two exchanges with a KDC.
const TOKEN: Duration = Duration::from_secs(5);
/// A failure to get one is not tried again at once: those who wait for a token would each wait as long.
const FAILED: Duration = Duration::from_secs(2);
/// The scheme's name (RFC 4559 4.1).
const SCHEME: &str = "Negotiate";

/// Whose tickets are shown to a KDC proxy. At least one of `keytab` and `ccache` is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Negotiate {
    /// The file of keys that tickets are got with.
    pub keytab: Option<PathBuf>,
    /// The credential cache, by its name in krb5.conf's sense. Without one, tickets are kept in memory.
    pub ccache: Option<String>,
    /// Who asks; there wherever `keytab` is.
    pub principal: Option<Principal>,
}

/// Gets tokens for one KDC proxy.
#[derive(Debug)]
pub(super) struct Negotiator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: Program,
    own: Own,
    /// One call at a time: the library works through them one after the other anyway.
    helper: tokio::sync::Mutex<Option<Helper>>,
    state: Mutex<State>,
    /// How long a call may take.
    patience: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the library is at work on a token.
    fetching: bool,
    /// Whether a request of its for the ticket came back to be sent to this very proxy.
    looped: bool,
    failed: Option<(Instant, Unsent)>,
}

/// One conversation with the proxy: its last token, and what the library remembers of it.
#[derive(Debug)]
pub(super) struct Conversation {
    inner: Arc<Inner>,
    number: u64,
    token: HeaderValue,
}

impl Negotiator {
    /// Tokens of `whose` for the proxy on `host`.
    pub(super) fn new(whose: &Negotiate, host: &str) -> Self {
        Self::by(Program::new(whose, host), Own::new(whose, host), TOKEN)
    }

    /// Tokens by a script of the shell.
    #[cfg(test)]
    pub(super) fn scripted(text: &str) -> Self {
        let own = Own::new(
            &Negotiate {
                keytab: None,
                ccache: None,
                principal: None,
            },
            "kdcproxy.example",
        );
        Self::by(Program::script(text), own, TOKEN)
    }

    fn by(program: Program, own: Own, patience: Duration) -> Self {
        Self(Arc::new(Inner {
            program,
            own,
            helper: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            patience,
        }))
    }

    /// Whether `message` asks for the ticket that a token is being made of: sent to the proxy, it would wait for itself.
    pub(super) fn is_looping(&self, message: &KerberosMessage) -> bool {
        let mut state = self.0.state();
        let is_looping = state.fetching && self.0.own.asks_for_ticket(message);
        state.looped |= is_looping;
        is_looping
    }

    /// A first token.
    ///
    /// # Errors
    /// There is none, and why.
    pub(super) async fn begin(&self) -> Result<Conversation, Unsent> {
        let inner = Arc::clone(&self.0);
        // In a task, as who gives up must not leave half a call behind.
        let call = tokio::spawn(async move { inner.begin().await });
        let ended = call.await;
        ended.unwrap_or_else(|error| Err(Unsent::NoCredential(error.to_string().into())))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    async fn begin(self: Arc<Self>) -> Result<Conversation, Unsent> {
        let mut helper = self.helper.lock().await;
        if let Some(failed) = self.has_failed(Instant::now()) {
            return Err(failed);
        }
        self.state().fetching = true;
        let begun = match tokio::time::timeout(self.patience, self.ask_first(&mut helper)).await {
            Ok(begun) => begun,
            Err(_) => {
                // Whatever it waits for: the next one is answered by another process.
                *helper = None;
                Err(format!("no token within {} s", self.patience.as_secs()))
            }
        };
        drop(helper);
        let mut state = self.state();
        state.fetching = false;
        let looped = std::mem::take(&mut state.looped);
        // The library may have got it from another KDC all the same.
        let begun = begun.map_err(|why| match looped {
            true => Unsent::TicketLoop,
            false => Unsent::NoCredential(why.into()),
        });
        state.failed = begun
            .as_ref()
            .err()
            .map(|why| (Instant::now(), why.clone()));
        let (number, token) = begun?;
        drop(state);
        Ok(Conversation {
            token: header(&token).map_err(|why| Unsent::NoCredential(why.into()))?,
            inner: self,
            number,
        })
    }

    fn has_failed(&self, now: Instant) -> Option<Unsent> {
        let state = self.state();
        let (at, why) = state.failed.as_ref()?;
        (now < *at + FAILED).then(|| why.clone())
    }

    async fn ask_first(&self, helper: &mut Option<Helper>) -> Result<(u64, String), String> {
        let mut process = match helper.take() {
            Some(process) => process,
            None => self.program.start()?,
        };
        let begun = process.begin().await;
        // One that does not answer is not asked again.
        if !process.is_broken() {
            *helper = Some(process);
        }
        begun
    }
}

impl Conversation {
    /// The Authorization header.
    pub(super) fn token(&self) -> HeaderValue {
        self.token.clone()
    }

    /// What the proxy says with this token: that it wants another, which is [`Conversation::token`] then, or who it is.
    ///
    /// # Errors
    /// The token is not of the proxy that was asked, or nobody can tell.
    pub(super) async fn hear(&mut self, token: &str) -> Result<Heard, String> {
        let (inner, number, token) = (Arc::clone(&self.inner), self.number, token.to_owned());
        let call = tokio::spawn(async move {
            let mut helper = inner.helper.lock().await;
            let process = helper.as_mut().ok_or("it is forgotten by now")?;
            match tokio::time::timeout(inner.patience, process.go_on(number, &token)).await {
                Ok(went_on) if !process.is_broken() => went_on,
                _ => {
                    *helper = None;
                    Err("the GSSAPI library does not answer".to_owned())
                }
            }
        });
        match call.await.unwrap_or_else(|error| Err(error.to_string()))? {
            Some(token) => {
                self.token = header(&token)?;
                Ok(Heard::WantsMore)
            }
            None => Ok(Heard::Proven),
        }
    }
}

/// What a proxy's token meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It wants another one.
    WantsMore,
    /// It is the one that was asked: mutual authentication.
    Proven,
}

/// The token in an answer (RFC 4559 4.1), if there is one: base64, as it came.
pub(super) fn token_in(headers: &HeaderMap) -> Option<&str> {
    let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter();
    challenges.find_map(|challenge| {
        let (scheme, token) = challenge.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
    })
}

fn header(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("{SCHEME} {token}"));
    let mut value = value.map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What configurations and errors call it.
impl fmt::Display for Negotiate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tickets")?;
        if let Some(principal) = &self.principal {
            write!(f, " of {principal}")?;
        }
        if let Some(keytab) = &self.keytab {
            write!(f, " by keytab {}", keytab.display())?;
        }
        match &self.ccache {
            Some(ccache) => write!(f, " in {ccache}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
