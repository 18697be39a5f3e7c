//! What a client of a KDC proxy posts: the envelope, the realm that it is for, and the request inside.

use std::fmt;

use bytes::Bytes;

use super::asn1::{application, exactly};
use super::kkdcp::{self, KdcProxyMessage};
use super::{Framed, KerberosMessage, Kind, NotKerberos, Realm, Service};

/// A request as it was posted, recognised.
#[derive(Clone, Debug)]
pub struct Proxied {
    /// The request, addressed to the realm that target-domain says.
    pub message: KerberosMessage,
    /// It came behind its length, and so is answered behind one.
    pub had_length: bool,
    /// The realm inside the request, where that is another one, which the KDC goes by.
    pub other_realm: Option<Realm>,
    /// Flags for finding a domain controller.
    pub dclocator_hint: Option<u32>,
}

/// DS_WRITABLE_REQUIRED, a flag of a dclocator-hint ([MS-NRPC] 3.5.4.3.1): a domain controller that takes writes is wanted.
pub(crate) const WRITABLE_REQUIRED: u32 = 0x1000;
/// The flags that only such a one fulfils; DS_PDC_REQUIRED is the other.
const PRIMARY: u32 = 0x80 | WRITABLE_REQUIRED;
/// DS_FORCE_REDISCOVERY: another domain controller than so far is wanted. The others change nothing here.
const FORCE_REDISCOVERY: u32 = 1;

impl Proxied {
    /// True if the KDC that takes writes is wanted.
    #[must_use]
    pub fn wants_primary(&self) -> bool {
        self.has_flag(PRIMARY)
    }

    /// True if another KDC than so far is wanted.
    #[must_use]
    pub fn forces_rediscovery(&self) -> bool {
        self.has_flag(FORCE_REDISCOVERY)
    }

    fn has_flag(&self, flags: u32) -> bool {
        self.dclocator_hint.is_some_and(|hint| hint & flags != 0)
    }
}

/// Why a body is not passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unproxied {
    /// Not one KDC-PROXY-MESSAGE in DER.
    Envelope,
    /// No target-domain ([MS-KKDCP] 3.2.5.1), or one that is no realm.
    TargetDomain,
    /// The kerb-message is no AS-REQ, TGS-REQ or kpasswd request, or more than one: to be dropped ([MS-KKDCP] 3.2.5.1).
    KerbMessage(NotKerberos),
}

impl fmt::Display for Unproxied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope => f.write_str("the body is not one KDC-PROXY-MESSAGE in DER"),
            Self::TargetDomain => f.write_str("the target-domain is absent or no realm"),
            Self::KerbMessage(error) => write!(f, "the kerb-message is not Kerberos: {error}"),
        }
    }
}

impl std::error::Error for Unproxied {}

/// Reads the body of a request: the whole way from the octets of a POST to what is asked of a KDC.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &Bytes) -> Result<Proxied, Unproxied> {
    let envelope = kkdcp::decode(body).map_err(|_| Unproxied::Envelope)?;
    let domain = envelope.target_domain.ok_or(Unproxied::TargetDomain)?;
    let domain = Realm::parse(domain.as_bytes()).map_err(|_| Unproxied::TargetDomain)?;
    let (octets, had_length) = envelope.message();
    let message = recognise(body.slice_ref(octets)).map_err(Unproxied::KerbMessage)?;
    let other_realm = (message.realm().key() != domain.key()).then(|| message.realm().clone());
    Ok(Proxied {
        message: message.addressed_to(domain),
        had_length,
        other_realm,
        dclocator_hint: envelope.dclocator_hint.map(|hint| hint.0),
    })
}

/// The body of the answer: `reply` behind its length if the request was.
#[must_use]
pub fn answer(reply: &Bytes, had_length: bool) -> Vec<u8> {
    let framed = Framed::wrap(reply);
    let kerb_message = if had_length { framed.as_bytes() } else { reply };
    kkdcp::encode(&KdcProxyMessage {
        kerb_message,
        target_domain: None,
        dclocator_hint: None,
    })
}

/// A KDC's request, or else one for kpasswd: nothing but the octets tells which, and none is both.
fn recognise(octets: Bytes) -> Result<KerberosMessage, NotKerberos> {
    let message = KerberosMessage::parse(Service::Kdc, octets.clone())
        .or_else(|_| KerberosMessage::parse(Service::Kpasswd, octets))?;
    // On the Internet neither is a slip of a client's: one octet more, and a realm by which policies would not go as a KDC does.
    if !is_whole(&message) {
        return Err(NotKerberos("octets after the message"));
    }
    if message.realm().key().is_nobodys() {
        return Err(NotKerberos("its realm is none"));
    }
    Ok(message)
}

/// True if the length that the message declares for itself is that of its octets.
fn is_whole(message: &KerberosMessage) -> bool {
    let octets = message.bytes();
    match message.kind() {
        Kind::AsReq => exactly(octets, application(10)).is_some(),
        Kind::TgsReq => exactly(octets, application(12)).is_some(),
        // RFC 3244 2: the frame begins with its own length.
        Kind::Kpasswd => octets
            .first_chunk()
            .is_some_and(|length| usize::from(u16::from_be_bytes(*length)) == octets.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::handmade::{ap_req, field, kdc_req, kpasswd_frame, message, sequence};
    use crate::wire::tests::handmade::{octets, string};

    const REALM: &str = "EXAMPLE.COM";

    fn posted(kerb_message: &[u8]) -> Result<Proxied, Unproxied> {
        read(&Bytes::from(sequence(&[
            &field(0, &octets(kerb_message)),
            &field(1, &string("Example.Com")),
        ])))
    }

    fn change() -> Vec<u8> {
        let ap_req = ap_req(REALM, &["kadmin", "changepw"]);
        kpasswd_frame(1, &ap_req, &message(21, &[]))
    }

    #[test]
    fn the_octets_tell_which_service_is_asked() {
        for (kind, request) in [
            (Kind::AsReq, kdc_req(10, &[], REALM)),
            (Kind::TgsReq, kdc_req(12, &[], REALM)),
            (Kind::Kpasswd, change()),
        ] {
            for had_length in [true, false] {
                let kerb_message = if had_length {
                    Framed::wrap(&request).as_bytes().to_vec()
                } else {
                    request.clone()
                };
                let proxied = posted(&kerb_message).unwrap();
                assert_eq!(proxied.message.kind(), kind);
                assert_eq!(proxied.message.bytes(), &request);
                assert_eq!(proxied.had_length, had_length);
                assert_eq!(proxied.message.realm().as_str(), "Example.Com");
                assert!(proxied.other_realm.is_none(), "but for its case");
            }
        }
    }

    #[test]
    fn target_domain_decides_and_another_realm_inside_is_told() {
        let proxied = posted(&kdc_req(10, &[], "OTHER.EXAMPLE")).unwrap();
        assert_eq!(proxied.message.realm().as_str(), "Example.Com");
        assert_eq!(proxied.other_realm.unwrap().as_str(), "OTHER.EXAMPLE");
    }

    #[test]
    fn two_flags_ask_for_the_primary_and_one_for_another() {
        for (hint, primary, another) in [
            (None, false, false),
            (Some(0), false, false),
            (Some(0x80), true, false),
            (Some(0x1000), true, false),
            (Some(0x4000_0410), false, false),
            (Some(0x4000_0411), false, true),
            (Some(0x4000_1411), true, true),
        ] {
            let mut proxied = posted(&kdc_req(10, &[], REALM)).unwrap();
            proxied.dclocator_hint = hint;
            let wants = (proxied.wants_primary(), proxied.forces_rediscovery());
            assert_eq!(wants, (primary, another), "{hint:?}");
        }
    }

    #[test]
    fn what_has_no_realm_to_go_to_is_refused() {
        let kerb_message = field(0, &octets(&kdc_req(10, &[], REALM)));
        for body in [
            sequence(&[&kerb_message]),
            sequence(&[&kerb_message, &field(1, &string(""))]),
            sequence(&[&kerb_message, &field(1, &string("a\nb"))]),
        ] {
            assert_eq!(read(&body.into()).unwrap_err(), Unproxied::TargetDomain);
        }
    }

    #[test]
    fn what_is_not_exactly_one_request_is_refused() {
        let request = kdc_req(10, &[], REALM);
        let trailed = [&request[..], b"\0"].concat();
        let mut longer = Framed::wrap(&request).as_bytes().to_vec();
        longer[3] += 1;
        for kerb_message in [
            trailed.clone(),
            Framed::wrap(&trailed).as_bytes().to_vec(),
            longer,
            [&change()[..], b"\0"].concat(),
            kdc_req(11, &[], REALM),
            b"GET / HTTP/1.1".to_vec(),
            vec![],
        ] {
            let refused = posted(&kerb_message).unwrap_err();
            assert!(matches!(refused, Unproxied::KerbMessage(_)), "{refused}");
        }
        assert_eq!(read(&Bytes::new()).unwrap_err(), Unproxied::Envelope);
    }

    #[test]
    fn an_answer_is_framed_as_its_request_was() {
        let reply = Bytes::from_static(b"reply");
        for had_length in [true, false] {
            let body = answer(&reply, had_length);
            let decoded = kkdcp::decode(&body).unwrap();
            assert_eq!(decoded.message(), (&reply[..], had_length));
            assert_eq!(decoded.target_domain, None);
        }
    }
}
