//! Replies from upstream: exactly one message of the right protocol, or not Kerberos at all.

use super::asn1::{application, exactly};
use super::framed::Framed;
use super::kpasswd::{Frame, KRB_PRIV, claims_success};
use super::krb_error::{self, Received};
use super::message::{NotKerberos, Service};
use super::realm::Realm;
use super::ticket::Ticket;
use bytes::Bytes;
use der::Tag;
use std::fmt;
use std::time::SystemTime;

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

    /// A loopkdc has made this, and no KDC.
    pub fn is_of_loopkdc(&self) -> bool {
        krb_error::is_of_loopkdc(&self.bytes)
    }

    /// What a KRB-ERROR of a KDC says of the time (`stime [4]`), which nothing authenticates.
    pub fn server_time(&self) -> Option<SystemTime> {
        krb_error::server_time(&self.bytes)
    }

    /// The client's realm in a KRB-ERROR of a KDC, which nothing authenticates: in a referral, that where the client is (RFC 6806 7).
    pub fn client_realm(&self) -> Option<Realm> {
        krb_error::client_realm(&self.bytes)
    }

    /// The realm of the KDC that says this: that of the ticket that it grants, or of its KRB-ERROR (RFC 4120 5.4.2, 5.9.1). Nothing if
    /// that can't be read, or of a kpasswd reply.
    pub fn realm(&self) -> Option<Realm> {
        match self.kind {
            ReplyKind::AsRep | ReplyKind::TgsRep => Ticket::of_kdc_rep(&self.bytes)?.realm(),
            ReplyKind::KrbError => krb_error::realm(&self.bytes),
            ReplyKind::Kpasswd => None,
        }
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
    if claims_success(error) {
        return Err(NotKerberos(
            "an error that claims that the password was changed",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::handmade::{
        field, integer, kpasswd_frame, message, octets, string, ticket,
    };

    fn kdc(bytes: Vec<u8>) -> Result<Reply, NotKerberos> {
        Reply::parse(Service::Kdc, bytes.into())
    }

    fn kpasswd(bytes: Vec<u8>) -> Result<Reply, NotKerberos> {
        Reply::parse(Service::Kpasswd, bytes.into())
    }

    fn error(code: i32, e_data: Option<&[u8]>) -> Vec<u8> {
        let e_data = e_data.map(|data| field(12, &octets(data)));
        message(
            30,
            &[&field(6, &integer(code)), &e_data.unwrap_or_default()],
        )
    }

    #[test]
    fn a_reply_is_exactly_one_message() {
        for number in [11, 13] {
            let rep = message(number, &[&field(0, &integer(5))]);
            assert!(kdc(rep.clone()).is_ok());
            assert!(kdc([&rep[..], b"\0"].concat()).is_err());
            assert!(kdc([&b"\0"[..], &rep].concat()).is_err());
            assert!(kdc(rep[..rep.len() - 1].to_vec()).is_err());
            assert!(kpasswd(rep).is_err());
        }
        assert!(kdc(message(10, &[])).is_err());
        assert!(kdc(b"<html>Please log in</html>".to_vec()).is_err());
        assert!(kdc(vec![]).is_err());
        assert!(kpasswd(vec![]).is_err());
    }

    #[test]
    fn a_reply_has_at_most_1_mib() {
        let filled = |length: usize| {
            let head = |tag, more: usize| {
                let octets = u32::try_from(length - more).unwrap().to_be_bytes();
                [&[tag, 0x83], &octets[1..]].concat()
            };
            let mut rep = [head(0x6b, 5), head(0x30, 10)].concat();
            rep.resize(length, 0);
            rep
        };
        assert!(kdc(filled(MAX_REPLY)).is_ok());
        assert!(kdc(filled(MAX_REPLY + 1)).is_err());
    }

    #[test]
    fn an_error_tells_its_code() {
        assert_eq!(kdc(error(25, None)).unwrap().error_code(), Some(25));
        assert_eq!(kdc(error(-1, Some(b""))).unwrap().error_code(), Some(-1));
        let bare = kpasswd(error(29, None)).unwrap();
        assert_eq!(
            (bare.kind(), bare.error_code()),
            (ReplyKind::KrbError, Some(29))
        );
        assert!(kdc(message(30, &[&field(5, &integer(1))])).is_err());
    }

    #[test]
    fn a_referral_tells_the_clients_realm() {
        let parts = [field(6, &integer(68)), field(7, &string("Child.EXAMPLE"))];
        let referral = kdc(message(30, &[&parts.concat()])).unwrap();
        let realm = referral.client_realm().unwrap();
        assert_eq!(realm.as_str(), "Child.EXAMPLE");
        for odd in [string("\0"), string(""), octets(b"CHILD.EXAMPLE")] {
            let parts = [field(6, &integer(68)), field(7, &odd)];
            let odd = kdc(message(30, &[&parts.concat()])).unwrap();
            assert!(odd.client_realm().is_none());
        }
        assert!(kdc(error(68, None)).unwrap().client_realm().is_none());
    }

    #[test]
    fn a_reply_says_whose_it_is() {
        let realm = |bytes| kdc(bytes).unwrap().realm().map(|realm| realm.to_string());
        for number in [11, 13] {
            let client = field(3, &string("CLIENT.EXAMPLE"));
            let ticket = field(5, &ticket("EXAMPLE.COM", &["krbtgt", "OTHER.EXAMPLE"]));
            let rep = message(number, &[&client, &ticket]);
            assert_eq!(realm(rep).as_deref(), Some("EXAMPLE.COM"));
            assert_eq!(realm(message(number, &[&client])), None);
        }
        let parts = [7, 9].map(|number| field(number, &string(&format!("R{number}"))));
        let error = message(30, &[&field(6, &integer(25)), &parts.concat()]);
        assert_eq!(realm(error).as_deref(), Some("R9"));
    }

    #[test]
    fn a_kpasswd_reply_is_a_result_or_an_error() {
        let (ap_rep, krb_priv) = (message(15, &[]), message(21, &[]));
        for version in [1, 0xff80] {
            let result = kpasswd(kpasswd_frame(version, &ap_rep, &krb_priv)).unwrap();
            assert_eq!(
                (result.kind(), result.error_code()),
                (ReplyKind::Kpasswd, None)
            );
            let refused = kpasswd(kpasswd_frame(version, b"", &error(60, Some(b"\0\x04no"))));
            assert_eq!(refused.unwrap().error_code(), Some(60));
        }
        assert!(kpasswd(kpasswd_frame(2, &ap_rep, &krb_priv)).is_err());
        assert!(kpasswd(kpasswd_frame(1, &krb_priv, &krb_priv)).is_err());
        assert!(kpasswd(kpasswd_frame(1, &ap_rep, &error(60, None))).is_err());
        assert!(kpasswd(kpasswd_frame(1, b"", &krb_priv)).is_err());
        let and_more = |part: &[u8]| [part, b"\0"].concat();
        assert!(kpasswd(and_more(&kpasswd_frame(1, &ap_rep, &krb_priv))).is_err());
        assert!(kpasswd(kpasswd_frame(1, &and_more(&ap_rep), &krb_priv)).is_err());
        assert!(kpasswd(kpasswd_frame(1, &ap_rep, &and_more(&krb_priv))).is_err());
        assert!(kdc(kpasswd_frame(1, &ap_rep, &krb_priv)).is_err());
    }

    #[test]
    fn nothing_unauthenticated_says_that_the_password_was_changed() {
        for e_data in [&b"\0\0"[..], b"\0\0Success"] {
            assert!(kpasswd(kpasswd_frame(1, b"", &error(60, Some(e_data)))).is_err());
            assert!(kpasswd(error(60, Some(e_data))).is_err());
            // To the KDC service e-data means something else.
            assert!(kdc(error(60, Some(e_data))).is_ok());
        }
    }

    #[test]
    fn an_error_that_two_readers_could_read_differently_is_refused() {
        let code = field(6, &integer(60));
        let [refusal, success] = [b"\0\x02", b"\0\0"].map(|data| field(12, &octets(data)));
        let framed = |parts: &[&[u8]]| kpasswd(kpasswd_frame(1, b"", &message(30, parts)));
        assert!(framed(&[&code, &refusal]).is_ok());
        assert!(framed(&[&code, &refusal, &success]).is_err());
        assert!(framed(&[&refusal, &code]).is_err());
        assert!(framed(&[&code, &refusal, b"\xac\x80"]).is_err());
        assert!(framed(&[&code, &field(12, &string("\0\0"))]).is_err());
        let nested = field(12, &[octets(b"\0\x02"), octets(b"\0\0")].concat());
        assert!(framed(&[&code, &nested]).is_err());
    }
}
