//! AS-REQs without preauthentication (RFC 4120 5.4.1): no password is tried by one and no account is locked, and any number
//! of copies are harmless.

use der::asn1::{ApplicationRef, BitStringRef, GeneralizedTime};
use der::{DateTime, Encode, Sequence, TagMode, TagNumber};

use super::asn1::GeneralString;
use super::message::Service;
use super::principal::{NT_PRINCIPAL, PrincipalName, server_name};
use super::realm::Realm;

/// AS-REQ (RFC 4120 5.10).
const NUMBER: u8 = 10;
/// AES (RFC 3962, RFC 8009), and what old domain controllers are left with (RFC 4757).
const ETYPES: [i32; 5] = [18, 17, 20, 19, 23];

#[derive(Sequence)]
struct AsReq<'a> {
    #[asn1(context_specific = "1")]
    pvno: u8,
    #[asn1(context_specific = "2")]
    msg_type: u8,
    #[asn1(context_specific = "4")]
    req_body: AsReqBody<'a>,
}

#[derive(Sequence)]
struct AsReqBody<'a> {
    #[asn1(context_specific = "0", type = "BIT STRING")]
    kdc_options: BitStringRef<'a>,
    #[asn1(context_specific = "1")]
    cname: PrincipalName<'a>,
    #[asn1(context_specific = "2")]
    realm: GeneralString<'a>,
    #[asn1(context_specific = "3")]
    sname: PrincipalName<'a>,
    #[asn1(context_specific = "5")]
    till: GeneralizedTime,
    #[asn1(context_specific = "7")]
    nonce: u32,
    #[asn1(context_specific = "8")]
    etype: Vec<i32>,
}

/// The request of `client`, a name of one component, for a ticket for krbtgt/REALM or, at the password service,
/// kadmin/changepw (RFC 3244 2). Of the nonce 31 bits are sent, as old KDCs read it as a signed number.
pub(crate) fn encode(client: &str, realm: &Realm, service: Service, nonce: u32) -> Vec<u8> {
    // Fails on lengths beyond 32 bits only.
    to_der(client, realm.as_str().as_bytes(), service, nonce).unwrap_or_default()
}

fn to_der(client: &str, realm: &[u8], service: Service, nonce: u32) -> der::Result<Vec<u8>> {
    let request = AsReq {
        pvno: 5,
        msg_type: NUMBER,
        req_body: AsReqBody {
            kdc_options: BitStringRef::from_bytes(&[0; 4])?,
            cname: PrincipalName::new(NT_PRINCIPAL, &[client.as_bytes()]),
            realm: GeneralString::new(realm),
            sname: server_name(service, realm),
            // As late as 32 bits can say: for as long as the KDC likes.
            till: GeneralizedTime::from_date_time(DateTime::new(2037, 9, 13, 2, 48, 5)?),
            nonce: nonce & 0x7fff_ffff,
            etype: ETYPES.to_vec(),
        },
    };
    let message = ApplicationRef {
        tag_number: TagNumber(NUMBER.into()),
        tag_mode: TagMode::Explicit,
        value: &request,
    };
    message.to_der()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{KerberosMessage, Kind, Resend};

    #[test]
    fn it_is_a_harmless_as_req_of_the_realm_it_is_for() {
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        for (service, sname) in [
            (Service::Kdc, &b"\x1b\x06krbtgt\x1b\x0bEXAMPLE.COM"[..]),
            (Service::Kpasswd, b"\x1b\x06kadmin\x1b\x08changepw"),
        ] {
            let octets = encode("somebody", &realm, service, u32::MAX);
            assert!(octets.windows(sname.len()).any(|octets| octets == sname));
            let request = KerberosMessage::parse(Service::Kdc, octets.into()).unwrap();
            assert_eq!(request.kind(), Kind::AsReq);
            assert_eq!(request.realm().as_str(), "EXAMPLE.COM");
            assert_eq!(request.resend(), Resend::Harmless);
            assert_eq!(request.client_name().as_deref(), Some("somebody"));
            assert_eq!(request.validate(), Ok(()));
        }
    }
}
