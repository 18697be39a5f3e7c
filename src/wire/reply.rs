//! Replies from upstream: exactly one message of the right protocol, or not Kerberos at all.

use super::asn1::{application, exactly};
use super::framed::Framed;
use super::kpasswd::{Frame, KRB_PRIV, claims_success};
use super::krb_error::Received;
use super::message::{NotKerberos, Service};
use bytes::Bytes;
use der::Tag;
use std::fmt;

/// Most octets of a reply, without its length: what MIT's clients take over TCP.
pub const MAX_REPLY: usize = 1024 * 1024;

/// Which reply a message is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReplyKind {
    /// AS-REP (RFC 4120 5.4.2).
    AsRep,
    /// TGS-REP (RFC 4120 5.4.2).
    TgsRep,
    /// KRB-ERROR (RFC 4120 5.9.1), from either service.
    KrbError,
    /// A reply in kpasswd's frame (RFC 3244 2), a result or an error.
    Kpasswd,
}

impl fmt::Display for ReplyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AsRep => "AS-REP",
            Self::TgsRep => "TGS-REP",
            Self::KrbError => "KRB-ERROR",
            Self::Kpasswd => "kpasswd reply",
        })
    }
}

/// A reply that was recognised, and its octets as they came.
#[derive(Clone, Debug)]
pub struct Reply {
    kind: ReplyKind,
    error_code: Option<i32>,
    bytes: Bytes,
}

impl Reply {
    /// Recognises the reply to a request to `service`, without a stream's length before it.
    ///
    /// # Errors
    /// Longer than [`MAX_REPLY`], not one whole reply of this service, octets after it, or a
    /// kpasswd error that claims success, which nothing authenticates.
    pub fn parse(service: Service, bytes: Bytes) -> Result<Self, NotKerberos> {
        if bytes.len() > MAX_REPLY {
            return Err(NotKerberos("the reply is longer than 1 MiB"));
        }
        let (kind, error_code) = match (service, bytes.first()) {
            (_, Some(&KRB_ERROR_OCTET)) => krb_error(service, &bytes)?,
            (Service::Kdc, _) => (kdc_rep(&bytes)?, None),
            (Service::Kpasswd, _) => (ReplyKind::Kpasswd, framed_result(&bytes)?),
        };
        Ok(Self {
            kind,
            error_code,
            bytes,
        })
    }

    /// Which reply this is.
    pub fn kind(&self) -> ReplyKind {
        self.kind
    }

    /// The error-code of a KRB-ERROR, also of one in kpasswd's frame.
    pub fn error_code(&self) -> Option<i32> {
        self.error_code
    }

    /// The reply as it came, without a stream's length.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The reply behind its length.
    pub fn framed(&self) -> Framed {
        Framed::wrap(&self.bytes)
    }
}

/// How KRB-ERROR begins. A frame of kpasswd may begin with it too, but only one of 32,256 octets
/// and more.
const KRB_ERROR_OCTET: u8 = 0x7e;

fn krb_error(service: Service, bytes: &[u8]) -> Result<(ReplyKind, Option<i32>), NotKerberos> {
    let error = Received::parse(bytes)?;
    if service == Service::Kpasswd {
        refuse_claimed_success(&error)?;
    }
    Ok((ReplyKind::KrbError, Some(error.code)))
}

fn kdc_rep(bytes: &[u8]) -> Result<ReplyKind, NotKerberos> {
    let whole = |number| exactly(bytes, application(number)).map(|rep| exactly(rep, Tag::Sequence));
    match (whole(11), whole(13)) {
        (Some(Some(_)), _) => Ok(ReplyKind::AsRep),
        (_, Some(Some(_))) => Ok(ReplyKind::TgsRep),
        _ => Err(NotKerberos("not one AS-REP, TGS-REP or KRB-ERROR")),
    }
}

/// The error-code in a kpasswd reply, if it tells an error in the clear.
fn framed_result(bytes: &[u8]) -> Result<Option<i32>, NotKerberos> {
    let frame = Frame::parse(bytes)?;
    if frame.length != bytes.len() {
        return Err(NotKerberos("octets after the kpasswd reply"));
    }
    if frame.ap.is_empty() {
        let error = Received::parse(frame.rest)?;
        refuse_claimed_success(&error)?;
        return Ok(Some(error.code));
    }
    exactly(frame.ap, application(15)).ok_or(NotKerberos("no AP-REP in the kpasswd reply"))?;
    exactly(frame.rest, KRB_PRIV).ok_or(NotKerberos("no KRB-PRIV in the kpasswd reply"))?;
    Ok(None)
}

fn refuse_claimed_success(error: &Received<'_>) -> Result<(), NotKerberos> {
    match claims_success(error) {
        true => Err(NotKerberos(
            "an error that claims that the password was changed",
        )),
        false => Ok(()),
    }
}
