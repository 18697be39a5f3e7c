//! What the other side may have seen of a request that brought no reply.

use std::fmt;

/// What [`Fault::NotKerberos`] says of an answer that is longer than any reply may be.
pub(crate) const OVERSIZED: &str = "an oversized reply";

/// Why an upstream gave no reply; the variant says what may have reached the other side.
///
/// Pure: [`crate::relay::routes`] decides by it what may be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Surely nothing was sent: the connection or its handshake failed, the body was never asked for, or each datagram
    /// was returned as one that nobody was there to take.
    NotSent(Unsent),
    /// A kept connection ended before an octet of the answer: most likely the server had closed it
    /// while it was idle. The request may have been seen; it says nothing about the upstream's health.
    Stale,
    /// A fresh connection was closed without an octet of an answer: most likely the KDC has dropped the request, as
    /// krb5kdc does with what it cannot read. It may have been seen; and as anybody can write such a request, it says
    /// nothing about the upstream's health.
    Dropped,
    /// The request may have been sent, and the connection failed before the whole answer was there.
    Unanswered,
    /// The same, over a fresh connection for which the upstream had asked for a certificate that there is none of: most
    /// likely that is why it ended.
    Uncertified,
    /// The request may have been sent, and time ran out without an octet of an answer.
    Silent,
    /// The upstream answered with this HTTP status other than 200.
    Status(u16),
    /// The same, 400 or above, with a web page: a captive portal's, or that of what stands in front of the KDC proxy.
    Page(u16),
    /// The upstream refused the request for want of something to be shown: 401, 403, or a TLS alert. No KDC proxy asks a
    /// KDC before.
    Wants(Credential),
    /// HTTP 200 or a redirect without a Kerberos reply in it: a captive portal, or no KDC proxy.
    NotKerberos(&'static str),
    /// KRB-ERROR 29 (KDC_ERR_SVC_UNAVAILABLE): this KDC did not serve the request.
    NotServed,
    /// KRB-ERROR 34 (KRB_AP_ERR_REPEAT) to a request of which two copies may be on their way:
    /// it answers the copy, not the request.
    Repeat,
}

/// What kept a request from being sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Name resolution, TCP or TLS failed; the text is the library's.
    Connect(String),
    /// Name, connect and TLS together took longer than they may.
    ConnectTimeout,
    /// The upstream's certificate is not trusted, and why: a captive portal's, or a wrong configuration.
    Untrusted(String),
    /// The HTTP or SOCKS proxy on the way to the upstream did not let it through.
    Barred {
        /// Which proxy it was.
        by: String,
        /// How.
        bar: Bar,
        /// The library's text.
        why: String,
    },
    /// What the upstream wants to be shown could not be had, and why.
    NothingToShow(String),
    /// The ticket that it wants to be shown would have to come through it.
    Loop,
    /// It fits into no datagram, and there is no other way: says nothing about the upstream.
    TooLong,
    /// A living connection handed the request back before its body was asked for.
    HandedBack,
    /// A kept connection ended before the body was asked for: most likely it had ended long before, unheard.
    Ended,
    /// As many requests as it may have at once are under way to this upstream already.
    Busy,
}

/// What an upstream wants to be shown, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A Kerberos ticket (RFC 4559).
    Ticket,
    /// Another ticket than the one that it was shown.
    OtherTicket,
    /// A token, or a user and a password (RFC 6750, RFC 7617).
    Token,
    /// Others than those it was shown.
    OtherToken,
    /// A TLS client certificate.
    Certificate,
    /// Another certificate than the one that it was shown.
    OtherCertificate,
}

/// How a proxy on the way to an upstream stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// It cannot be connected to.
    Unreachable,
    /// It wants user and password.
    Password,
    /// It wants others than those it was given.
    OtherPassword,
    /// It does not connect to the upstream.
    Refused,
}

impl Fault {
    /// Whether the request surely reached no KDC: not sent, refused with a 4xx (no KDC proxy contacts a KDC before
    /// one), or not served by the KDC's own word.
    #[must_use]
    pub fn reached_no_kdc(&self) -> bool {
        matches!(
            self,
            Self::NotSent(_)
                | Self::Status(400..=499)
                | Self::Page(400..=499)
                | Self::Wants(_)
                | Self::NotServed
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(unsent) => unsent.fmt(f),
            Self::Stale => f.write_str("a kept connection had been closed"),
            Self::Dropped => f.write_str("it closed the connection without an answer"),
            Self::Unanswered => f.write_str("the connection failed before the answer"),
            Self::Uncertified => write!(
                f,
                "the connection failed before the answer; {}",
                Credential::Certificate
            ),
            Self::Silent => f.write_str("no answer in time"),
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::Page(status) => {
                write!(
                    f,
                    "HTTP {status} and a web page, perhaps a captive portal's"
                )
            }
            Self::Wants(credential) => credential.fmt(f),
            Self::NotKerberos(what) => {
                write!(
                    f,
                    "what answered is no KDC, perhaps a captive portal: {what}"
                )
            }
            Self::NotServed => f.write_str("the KDC is not available (KRB-ERROR 29)"),
            Self::Repeat => {
                f.write_str("only the copy of a repeated request was answered (KRB-ERROR 34)")
            }
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(why) => write!(f, "cannot connect: {why}"),
            Self::ConnectTimeout => f.write_str("cannot connect: timed out"),
            Self::Untrusted(why) => write!(
                f,
                "its certificate is not trusted, perhaps a captive portal's: {why}"
            ),
            Self::Barred { by, bar, why } => match bar {
                Bar::Unreachable => write!(f, "{by} cannot be connected to: {why}"),
                Bar::Password => {
                    write!(
                        f,
                        "{by} refused: {why}, give it user and password in http-proxy"
                    )
                }
                Bar::OtherPassword => write!(
                    f,
                    "{by} refused: {why}, it does not take the user and password in http-proxy"
                ),
                Bar::Refused => write!(f, "{by} does not connect to the KDC proxy: {why}"),
            },
            Self::NothingToShow(why) => {
                write!(f, "what it wants to be shown cannot be had: {why}")
            }
            Self::Loop => f.write_str(
                "the ticket that it wants to be shown would have to come through it: let that come by another entry of [realms], or by a KDC in krb5.conf",
            ),
            Self::TooLong => f.write_str("too long for a datagram, and TCP is refused"),
            Self::HandedBack => f.write_str("the connection closed before the request was sent"),
            Self::Ended => f.write_str("a kept connection had ended before the request was sent"),
            Self::Busy => f.write_str("too many requests are under way to it"),
        }
    }
}

/// What is missing, and the setting to use.
impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ticket => "it wants a Kerberos ticket (HTTP 401): set auth = \"negotiate\"",
            Self::OtherTicket => "it does not take the ticket that auth = \"negotiate\" shows",
            Self::Token => {
                "it wants a token or a password (HTTP 401): set bearer-token-file or headers-file"
            }
            Self::OtherToken => {
                "it does not take what bearer-token-file or headers-file shows (HTTP 401)"
            }
            Self::Certificate => {
                "it asks for a TLS client certificate: set client-certificate and client-key"
            }
            Self::OtherCertificate => "it does not take the certificate in client-certificate",
        })
    }
}
