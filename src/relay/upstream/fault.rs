//! What the other side may have seen of a request that brought no reply.

use std::error::Error;
use std::io;
use std::sync::Arc;

/// Why an upstream gave no reply; the variant says what may have reached the other side.
///
/// Pure: [`crate::relay::routes`] decides by it what may be sent again, and [`crate::relay::explain`] has the words for it.
///
/// Of a new one the compiler asks for:
///
/// * [`Fault::surely_not_served`];
/// * its words, layer and hints, and if users can do something about it: `explain.rs` (`of_fault`, `is_for_users`);
/// * what it says of the upstream: `routes/record.rs` (`FaultClass`) and `routes/health.rs` (`saw_fault`);
/// * what the client is told: `answer.rs` (`From<&Fault>`).
///
/// It does not ask for what most faults need not: [`Fault::is_portal`]; another way than the next upstream (`after` in
/// `routes/resend.rs`); words that only the log may say (`Display` in `explain.rs`); a code or a status of its own
/// (`error_code` in `shim/render.rs`, `gateway/https/responses.rs`); a connection that is not kept (`KdcProxy::receive`);
/// a second try of the doctor's (`operate/doctor/proxy.rs`); not to be remembered (the end of `saw_fault`).
/// `tests/fuzz/src/answer.rs` says which may come of an answer, and `causes()` in the tests of `answer.rs` lists the causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Surely nobody has it: the connection or its handshake failed, the body was never asked for, a server of HTTP/2 has not
    /// processed it, or each datagram was returned as one that nobody was there to take.
    NotSent(Unsent),
    /// A reused connection ended before an octet of the answer: most likely the server had closed it
    /// while it was idle. The request may have been seen; it says nothing about the upstream's health.
    ReusedConnectionClosed,
    /// A fresh connection was closed without an octet of an answer: most likely the KDC has dropped the request, as
    /// krb5kdc does with what it cannot read. It may have been seen; and as anybody can write such a request, it says
    /// nothing about the upstream's health.
    ClosedWithoutReply,
    /// The request may have been sent, and the connection failed before the whole answer was there.
    Unanswered,
    /// The same, and no sign of life came before: no answer to a ping, or octets that nobody acknowledged.
    Lifeless,
    /// The same, over a fresh connection to an upstream that has served nothing yet, and has asked for a certificate that there is none
    /// of, or for none where there is one: most likely that is why it ended.
    ClosedWanting(Credential),
    /// A server of HTTP/2 refused the request's stream (RFC 9113 8.7), and if it was harmless once more over another connection. Nobody has looked
    /// at it then, if that is so: HAProxy says it of whatever brought no answer.
    StreamRefused,
    /// The request may have been sent, and time ran out without an octet of an answer.
    Silent,
    /// The upstream answered with this HTTP status, 400 or above, and no Kerberos reply; what it says of that, if it does.
    Status(u16, OwnWords),
    /// The same with a web page: a captive portal's, or that of what stands in front of the KDC proxy.
    Page(u16),
    /// The upstream refused the request for want of a credential: 401, 403, or a TLS alert. No KDC proxy asks a KDC
    /// before. What it says of that, if it does.
    AuthenticationRequired(Credential, OwnWords),
    /// HTTP 2xx or a redirect without a Kerberos reply in it, or with one to another request: a captive portal, or no KDC proxy.
    NotKerberos(NotReply),
    /// KRB-ERROR 29 (KDC_ERR_SVC_UNAVAILABLE): this KDC did not serve the request.
    NotServed,
    /// KRB-ERROR 34 (KRB_AP_ERR_REPEAT) to a request of which two copies may be on their way:
    /// it answers the copy, not the request.
    Repeat,
}

/// A line of an upstream's own, for people: what two of them say beside the same status makes no two faults.
#[derive(Clone, Debug, Default)]
pub struct OwnWords(pub Option<Arc<str>>);

impl PartialEq for OwnWords {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for OwnWords {}

/// What kept a request from being sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// Name resolution, TCP or TLS failed.
    Connect(ConnectError),
    /// Name, connect and TLS together took longer than they may.
    ConnectTimeout,
    /// The upstream's certificate is not trusted, and why: a captive portal's, or a wrong configuration.
    Untrusted(CertificateFault),
    /// The HTTP or SOCKS proxy on the way to the upstream did not let it through.
    ForwardProxy {
        /// Which proxy it was: `HTTP proxy http://proxy.example:3128`.
        proxy: Arc<str>,
        /// How.
        fault: ForwardProxyFault,
        /// The library's text.
        detail: Arc<str>,
    },
    /// The credential that the upstream wants is not available here, and why: in words that may name principals.
    NoCredential(Arc<str>),
    /// The ticket that it wants would have to come through it.
    TicketLoop,
    /// It fits into no datagram, and there is no other way: says nothing about the upstream.
    TooLong,
    /// A living connection handed the request back before its body was asked for.
    HandedBack,
    /// A server of HTTP/2 has not processed it, by its own word, nor over another connection (RFC 9113 6.8).
    Unprocessed,
    /// A reused connection ended before the body was asked for: most likely it had ended long before, unheard.
    Ended,
    /// As many requests as it may have at once are under way to this upstream already.
    Busy,
}

/// Why no connection was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The name has no address, in the resolver's words.
    Name(Arc<str>),
    /// DNS may not lead to its address, and why.
    NotPermitted(Arc<str>),
    /// Nobody listens at its port.
    Refused,
    /// No route leads to it, in the system's words.
    Unreachable(Arc<str>),
    /// The handshake of TLS failed.
    Tls(TlsFault),
    /// Anything else, in the library's words.
    Other(Arc<str>),
}

/// Why a handshake failed, but for the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// What answered speaks no TLS.
    NotTls,
    /// The other side has no version, no cipher or no group of TLS that will do here.
    NothingInCommon,
    /// The other side speaks neither HTTP/2 nor HTTP/1.1 (RFC 7301).
    NoHttp,
    /// The other side showed no certificate.
    NoCertificate,
    /// The other side ended it with this alert (RFC 8446 6).
    Alert(u8),
    /// What the other side sent breaks the rules of TLS.
    RulesBroken,
    /// Anything else.
    Other,
}

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// No authority that is trusted here has signed it.
    UnknownIssuer,
    /// It is for another name.
    WrongName,
    /// It is for no name: a CN does not count (RFC 9525 2).
    NoName,
    /// It has expired, by the clock here.
    Expired,
    /// It is not valid yet, by the clock here.
    NotYetValid,
    /// None of its chain's keys is pinned.
    NotPinned,
    /// It is an authority's, and is not trusted itself.
    Authority,
    /// One of its chain is signed by one that is no authority's.
    SignedByNoAuthority,
    /// An authority of its chain may not sign it (RFC 5280 4.2.1.9, 4.2.1.10).
    Constrained,
    /// It is not for servers (RFC 5280 4.2.1.12).
    WrongPurpose,
    /// It is of another version than 3 (RFC 5280 4.1.2.1).
    OldVersion,
    /// It is signed by an algorithm that will not do, such as SHA-1.
    UnsupportedSignature,
    /// A key of its chain is too short an RSA key.
    ShortKey,
    /// One of its chain has a critical extension that is not known here.
    CriticalExtension,
    /// Its chain is longer than is looked at.
    LongChain,
    /// It, or an authority of its chain, has been revoked.
    Revoked,
    /// It cannot be read.
    Malformed,
    /// Anything else.
    Other,
}

impl Error for CertificateFault {}

/// What came in the place of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReply {
    /// HTTP 3xx.
    Redirect,
    /// The same, to the same host, which has proved its name: no portal's.
    Moved,
    /// HTML.
    WebPage,
    /// HTTP 511 (RFC 6585 6).
    LoginRequired,
    /// Another HTTP status that brings no answer.
    OddStatus,
    /// Nothing.
    Empty,
    /// More than any reply may have.
    Oversized,
    /// No KDC-PROXY-MESSAGE.
    NoEnvelope,
    /// A KDC-PROXY-MESSAGE without a Kerberos reply in it.
    NoReplyInside,
    /// From a KDC, no Kerberos reply.
    NoReply,
    /// A reply to another kind of request, or one that says that it is too long for UDP.
    OtherReply,
    /// Octets after the reply.
    TrailingOctets,
    /// A KDC proxy's answer to a ticket that does not prove who it is (RFC 4559).
    Unproven,
}

/// What an upstream wants, as far as it says.
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
    /// The certificate that there is, and that it has not asked for in the handshake. What asks later, by renegotiation or after the
    /// handshake of TLS 1.3 (RFC 8446 4.6.2), is not understood.
    UnaskedCertificate,
}

/// How a proxy on the way to an upstream stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardProxyFault {
    /// It cannot be connected to.
    Unreachable,
    /// It wants user and password.
    PasswordRequired,
    /// It wants others than those it was given.
    PasswordRejected,
    /// It does not connect to the upstream.
    Refused,
}

impl Fault {
    /// What it is if nothing came in time: of a request that surely never left, that the connection was not made.
    pub fn out_of_time(may_have_left: bool) -> Self {
        if may_have_left {
            Self::Silent
        } else {
            Self::NotSent(Unsent::ConnectTimeout)
        }
    }

    /// An HTTP status, without a word beside it.
    pub const fn status(status: u16) -> Self {
        Self::Status(status, OwnWords(None))
    }

    /// A refusal for want of this, without a word beside it.
    pub const fn wants(credential: Credential) -> Self {
        Self::AuthenticationRequired(credential, OwnWords(None))
    }

    /// Surely no KDC has served the request: not sent, refused with a 4xx (no KDC proxy contacts a KDC before
    /// one), or not served by the KDC's own word.
    pub fn surely_not_served(&self) -> bool {
        match self {
            Self::NotSent(_)
            | Self::Status(400..=499, _)
            | Self::Page(400..=499)
            | Self::AuthenticationRequired(..)
            | Self::NotServed => true,
            Self::ReusedConnectionClosed
            | Self::ClosedWithoutReply
            | Self::Unanswered
            | Self::Lifeless
            | Self::StreamRefused
            | Self::ClosedWanting(_)
            | Self::Silent
            | Self::Status(..)
            | Self::Page(_)
            | Self::NotKerberos(_)
            | Self::Repeat => false,
        }
    }

    /// It looks like a captive portal's doing: the network wants a login before it lets anything through.
    pub fn is_portal(&self) -> bool {
        match self {
            Self::NotKerberos(what) => what.is_page(),
            Self::Page(_) => true,
            _ => false,
        }
    }
}

impl NotReply {
    /// It is made for people with browsers.
    pub fn is_page(self) -> bool {
        matches!(self, Self::Redirect | Self::WebPage | Self::LoginRequired)
    }
}

impl From<&io::Error> for Unsent {
    /// Why a connection was not made. Of a look-up, [`io::ErrorKind::NotFound`] says that the name has no address, and
    /// [`io::ErrorKind::PermissionDenied`] that DNS may not lead to the one that it has.
    fn from(error: &io::Error) -> Self {
        use io::ErrorKind::{
            ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound, PermissionDenied,
            TimedOut,
        };
        let text = error.to_string();
        // The system's errors have numbers: `Connection refused (os error 111)`.
        let text = text
            .split_once(" (os error ")
            .map_or(&*text, |(text, _)| text);
        Self::Connect(match error.kind() {
            // EMSGSIZE: 90 on Linux, 40 on the BSDs, WSAEMSGSIZE on Windows.
            _ if matches!(error.raw_os_error(), Some(90 | 40 | 10040)) => return Self::TooLong,
            TimedOut => return Self::ConnectTimeout,
            NotFound => ConnectError::Name(text.into()),
            PermissionDenied if error.raw_os_error().is_none() => {
                ConnectError::NotPermitted(text.into())
            }
            ConnectionRefused => ConnectError::Refused,
            HostUnreachable | NetworkUnreachable => ConnectError::Unreachable(text.into()),
            _ => ConnectError::Other(text.into()),
        })
    }
}
