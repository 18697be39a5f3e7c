//! Requests: recognised once, read only as far as routing and repeating them needs.

use super::asn1::{application, field, inside};
use super::framed::Framed;
use super::realm::{Realm, RealmError};
use super::{kpasswd, padata};
use bytes::Bytes;
use der::Tag;
use std::fmt;

/// Most octets of a request, without its length: what kdcproxy takes too.
pub const MAX_REQUEST: usize = 128 * 1024;

/// Which of the two protocols a socket speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    /// The KDC's: AS and TGS exchanges (RFC 4120 3.1, 3.3), port 88.
    Kdc,
    /// Changing passwords (RFC 3244), port 464.
    Kpasswd,
}

/// Which request a message is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// AS-REQ (RFC 4120 5.4.1).
    AsReq,
    /// TGS-REQ (RFC 4120 5.4.1).
    TgsReq,
    /// A change of a password, version 1 or 0xff80 (RFC 3244 2).
    Kpasswd,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AsReq => "AS-REQ",
            Self::TgsReq => "TGS-REQ",
            Self::Kpasswd => "kpasswd",
        })
    }
}

/// Whether a second copy of a request may reach another server.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Resend {
    /// A second server that sees it changes nothing.
    Harmless,
    /// A second server may lock an account, refuse a used code, or change a password again.
    Once,
}

/// Octets that are none of the messages expected, and what is wrong with them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotKerberos(pub(super) &'static str);

impl fmt::Display for NotKerberos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotKerberos {}

impl From<RealmError> for NotKerberos {
    fn from(error: RealmError) -> Self {
        Self(error.reason())
    }
}

/// A request that was recognised: what it is, where it belongs, and its octets as they came.
#[derive(Clone, Debug)]
pub struct KerberosMessage {
    kind: Kind,
    realm: Realm,
    resend: Resend,
    ticket: Option<Bytes>,
    bytes: Bytes,
}

impl KerberosMessage {
    /// Recognises a request, without a stream's length before it, that came to `service`.
    ///
    /// Reads only the structure on the way to the realm, since KDCs tolerate odd values elsewhere
    /// and are the ones to judge them. Octets after the message are relayed with it.
    ///
    /// # Errors
    /// Longer than [`MAX_REQUEST`], or not a request of this service with a realm in it.
    pub fn parse(service: Service, bytes: Bytes) -> Result<Self, NotKerberos> {
        if bytes.len() > MAX_REQUEST {
            return Err(NotKerberos("the request is longer than 128 KiB"));
        }
        match service {
            Service::Kdc => Self::parse_kdc_req(bytes),
            Service::Kpasswd => Self::parse_kpasswd(bytes),
        }
    }

    fn parse_kdc_req(bytes: Bytes) -> Result<Self, NotKerberos> {
        let (kind, kdc_req) = kdc_req(&bytes).ok_or(NotKerberos("not an AS-REQ or TGS-REQ"))?;
        let mut realm = body_realm(kdc_req)?;
        if realm.is_anonymous() {
            realm = padata::realm_by_ticket(kdc_req).unwrap_or(realm);
        }
        let resend = match kind {
            Kind::AsReq => padata::resend(kdc_req),
            _ => Resend::Harmless,
        };
        Ok(Self {
            kind,
            realm,
            resend,
            ticket: None,
            bytes,
        })
    }

    fn parse_kpasswd(bytes: Bytes) -> Result<Self, NotKerberos> {
        let (realm, ticket) = {
            let ticket = kpasswd::request_ticket(&bytes)?;
            let realm = ticket
                .realm()
                .ok_or(NotKerberos("the ticket has no realm"))?;
            (realm, bytes.slice_ref(ticket.der()))
        };
        Ok(Self {
            kind: Kind::Kpasswd,
            realm,
            resend: Resend::Once,
            ticket: Some(ticket),
            bytes,
        })
    }

    /// The service that this is a request to.
    pub fn service(&self) -> Service {
        match self.kind {
            Kind::AsReq | Kind::TgsReq => Service::Kdc,
            Kind::Kpasswd => Service::Kpasswd,
        }
    }

    /// Which request this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The realm whose KDC this is for, spelled as in the request.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Whether a second copy may reach another server.
    pub fn resend(&self) -> Resend {
        self.resend
    }

    /// The request as it came, without a stream's length.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The encoding of the ticket that a change of a password is made with: the same in copies that a
    /// client builds anew. `None` for other requests.
    pub fn ticket(&self) -> Option<&[u8]> {
        self.ticket.as_deref()
    }

    /// The request behind its length.
    pub fn framed(&self) -> Framed {
        Framed::wrap(&self.bytes)
    }
}

/// The fields of the KDC-REQ that `input` begins with (RFC 4120 5.4.1).
fn kdc_req(input: &[u8]) -> Option<(Kind, &[u8])> {
    let as_req = inside(input, application(10)).map(|content| (Kind::AsReq, content));
    let kdc_req = || inside(input, application(12)).map(|content| (Kind::TgsReq, content));
    let (kind, content) = as_req.or_else(kdc_req)?;
    Some((kind, inside(content, Tag::Sequence)?))
}

/// `realm [2]` of `req-body [4]` (RFC 4120 5.4.1): in an AS-REQ the client's, in a TGS-REQ the
/// server's, and in both the one whose KDC is asked.
fn body_realm(kdc_req: &[u8]) -> Result<Realm, NotKerberos> {
    let body = field(kdc_req, 4).and_then(|body| inside(body, Tag::Sequence));
    let body = body.ok_or(NotKerberos("the request has no body"))?;
    let realm = field(body, 2).and_then(|realm| inside(realm, Tag::GeneralString));
    let realm = realm.ok_or(NotKerberos("the request's body has no realm"))?;
    Ok(Realm::parse(realm)?)
}
