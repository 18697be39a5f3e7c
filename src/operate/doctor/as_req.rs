//! AS-REQs (RFC 4120 5.4.1) in the name of nobody: no preauthentication, so that no password is tried and no account is
//! locked, and any number of copies are harmless.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use der::asn1::{ApplicationRef, BitStringRef, GeneralizedTime};
use der::{DateTime, Encode, Sequence, TagMode, TagNumber};

use crate::wire::{GeneralString, KerberosMessage, NotKerberos, Realm, Service};

/// Who asks: a name that nobody has, and that tells whoever reads the KDC's log what it was.
pub(super) const NOBODY: &str = "loopkdc-doctor";

/// NT-PRINCIPAL and NT-SRV-INST (RFC 4120 6.2).
const NT_PRINCIPAL: i32 = 1;
const NT_SRV_INST: i32 = 2;
/// AES (RFC 3962, RFC 8009), and what old domain controllers are left with (RFC 4757).
const ETYPES: [i32; 5] = [18, 17, 20, 19, 23];

/// What a ticket is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// What `kinit` asks for: krbtgt/REALM.
    Tgt,
    /// What `kpasswd` asks for: kadmin/changepw (RFC 3244 2).
    ChangePw,
}

#[derive(Sequence)]
struct PrincipalName<'a> {
    #[asn1(context_specific = "0")]
    name_type: i32,
    #[asn1(context_specific = "1")]
    name_string: Vec<GeneralString<'a>>,
}

#[derive(Sequence)]
struct Body<'a> {
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

#[derive(Sequence)]
struct KdcReq<'a> {
    #[asn1(context_specific = "1")]
    pvno: u8,
    #[asn1(context_specific = "2")]
    msg_type: u8,
    #[asn1(context_specific = "4")]
    req_body: Body<'a>,
}

/// A new request to the KDC of `realm`: its nonce keeps every lookaside on the way from taking it for another.
///
/// # Errors
/// None is known: what is written here is what is read there.
pub(super) fn new(realm: &Realm, target: Target) -> Result<KerberosMessage, NotKerberos> {
    let der = encode(realm, target, nonce()).unwrap_or_default();
    KerberosMessage::parse(Service::Kdc, Bytes::from(der))
}

fn encode(realm: &Realm, target: Target, nonce: u32) -> der::Result<Vec<u8>> {
    let sname = match target {
        Target::Tgt => ["krbtgt", realm.as_str()],
        Target::ChangePw => ["kadmin", "changepw"],
    };
    let request = KdcReq {
        pvno: 5,
        msg_type: 10,
        req_body: Body {
            kdc_options: BitStringRef::from_bytes(&[0; 4])?,
            cname: principal(NT_PRINCIPAL, &[NOBODY]),
            realm: GeneralString::new(realm.as_str().as_bytes()),
            sname: principal(NT_SRV_INST, &sname),
            // As late as 32 bits can say: for as long as the KDC likes.
            till: GeneralizedTime::from_date_time(DateTime::new(2037, 9, 13, 2, 48, 5)?),
            nonce,
            etype: ETYPES.to_vec(),
        },
    };
    let message = ApplicationRef {
        tag_number: TagNumber(10),
        tag_mode: TagMode::Explicit,
        value: &request,
    };
    message.to_der()
}

fn principal<'a>(name_type: i32, names: &[&'a str]) -> PrincipalName<'a> {
    let names = names.iter().map(|name| GeneralString::new(name.as_bytes()));
    PrincipalName {
        name_type,
        name_string: names.collect(),
    }
}

/// 31 bits, as old KDCs read the number as a signed one.
fn nonce() -> u32 {
    let drawn = RandomState::new().hash_one(0) & 0x7fff_ffff;
    u32::try_from(drawn).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Kind, Resend};

    #[test]
    fn it_is_a_harmless_as_req_of_the_realm_it_is_for() {
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        for target in [Target::Tgt, Target::ChangePw] {
            let request = new(&realm, target).unwrap();
            assert_eq!(request.kind(), Kind::AsReq);
            assert_eq!(request.realm().as_str(), "EXAMPLE.COM");
            assert_eq!(request.resend(), Resend::Harmless);
            assert_eq!(request.client_name().as_deref(), Some(NOBODY));
            let other = new(&realm, target).unwrap();
            assert_ne!(request.bytes(), other.bytes(), "{target:?}");
        }
    }

    #[test]
    fn it_asks_for_what_the_clients_ask_for() {
        let realm = Realm::parse(b"EXAMPLE.COM").unwrap();
        let has = |target, word: &[u8]| {
            let request = encode(&realm, target, 1).unwrap();
            request.windows(word.len()).any(|octets| octets == word)
        };
        assert!(has(Target::Tgt, b"\x1b\x06krbtgt\x1b\x0bEXAMPLE.COM"));
        assert!(has(Target::ChangePw, b"\x1b\x06kadmin\x1b\x08changepw"));
    }
}
