//! What a fault amounts to for the people who have it, and what to do next.
//!
//! Pure. Said by `loopkdc status` and by `loopkdc doctor`; the log has [`Fault`]'s own words. A hint names the next command
//! or the key of the configuration that matters, and none says what only the log may: no principal, no path of a URL.

mod answered;
mod unsent;

use crate::relay::finding::{Finding, Hint};
use crate::relay::upstream::{Fault, Unsent};
use answered::{on_credential, on_page, on_status, on_stranger};
use unsent::on_unsent;

pub(crate) use unsent::probe;

/// Why, the libraries say, and they may name principals.
const NOTHING_TO_SHOW: &str = "what it wants to be shown cannot be had; the log says why";

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong: lower case, one line, no full stop.
    pub what: String,
    /// The next command to type or key to set, in the same form; nothing where nothing is to be done.
    pub hint: Option<String>,
}

impl Advice {
    /// The same as a finding.
    pub(crate) fn into_finding(self) -> Finding {
        Finding::fault(self.what).hints(self.hint.map(Hint::from))
    }
}

/// What kind of upstream a fault is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A KDC proxy, named by `scheme://host:port`.
    Proxy,
    /// A KDC, named by `host:port`.
    Kdc,
}

impl Kind {
    /// The key of the configuration that lists it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Proxy => "proxies",
            Self::Kdc => "kdcs",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "KDC proxy",
            Self::Kdc => "KDC",
        }
    }
}

/// The upstream that a fault is of.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its name, as the log has it.
    pub name: &'a str,
}

/// Whether `fault` looks like a captive portal's doing: the network wants a login before it lets anything through.
#[must_use]
pub fn is_portal(fault: &Fault) -> bool {
    match fault {
        Fault::NotKerberos(what) => is_page(what),
        Fault::Page(_) => true,
        _ => false,
    }
}

fn is_page(what: &str) -> bool {
    ["a redirect", "a web page", "HTTP 511"]
        .iter()
        .any(|page| what.starts_with(page))
}

/// What `fault` of `upstream` amounts to.
#[must_use]
pub fn on(fault: &Fault, upstream: Upstream<'_>) -> Advice {
    let key = upstream.kind.key();
    match fault {
        Fault::NotSent(unsent) => on_unsent(unsent, upstream),
        Fault::Stale => nothing("a kept connection had been closed"),
        Fault::Repeat => nothing("only the copy of a repeated request was answered (KRB-ERROR 34)"),
        Fault::Dropped => advice(
            "it closed the connection without an answer",
            format!("if it does so again, its log says why; meanwhile list another in {key}"),
        ),
        Fault::Unanswered => advice(
            "the connection failed before the answer",
            format!("its log may say why; meanwhile list another in {key}"),
        ),
        Fault::Uncertified => advice(
            "the connection failed before the answer, and it asks for a TLS client certificate",
            "set client-certificate and client-key",
        ),
        Fault::Silent => advice(
            "no answer in time",
            format!(
                "list another in {key}; if it needs longer than others, raise deadline-seconds"
            ),
        ),
        Fault::Status(status) => on_status(*status, key),
        Fault::Page(status) => on_page(*status),
        Fault::Wants(credential) => on_credential(*credential),
        Fault::NotKerberos(what) => on_stranger(what, upstream.kind),
        Fault::NotServed => advice(
            "its KDC says that it is not available (KRB-ERROR 29)",
            format!("who runs it should look after that KDC; meanwhile list another in {key}"),
        ),
    }
}

/// `fault` in the words of the log, less what only the log may say.
#[must_use]
pub fn in_short(fault: &Fault) -> String {
    match fault {
        Fault::NotSent(Unsent::NothingToShow(_)) => NOTHING_TO_SHOW.to_owned(),
        fault => fault.to_string(),
    }
}

/// What an error that a KDC replied with says about this machine, if it does.
#[must_use]
pub fn on_error_code(code: i32) -> Option<Advice> {
    // KRB_AP_ERR_SKEW (RFC 4120 7.5.9).
    (code == 37).then(|| {
        advice(
            "the KDC says that the clock here is more than five minutes off (KRB-ERROR 37)",
            "set the clock: timedatectl set-ntp true",
        )
    })
}

fn advice(what: impl Into<String>, hint: impl Into<String>) -> Advice {
    Advice {
        what: what.into(),
        hint: Some(hint.into()),
    }
}

/// What ends by itself.
fn nothing(what: &str) -> Advice {
    Advice {
        what: what.to_owned(),
        hint: None,
    }
}

#[cfg(test)]
mod tests;
