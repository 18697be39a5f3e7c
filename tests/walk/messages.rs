//! Requests and replies, built by hand, so that what the program reads is not what it wrote itself.
//!
//! Each request is a new one, as a client's nonce makes it; a clone is a retransmit.

use std::sync::atomic::{AtomicU32, Ordering};

use loopkdc::wire::Service;

use crate::der::{
    application, bits, dig, field, integer, number, octets, principal, sequence, text, time,
};

pub const REALM: &str = "EXAMPLE.COM";
/// Who asks, and who is to be found in no log.
pub const USER: &str = "jane.q.public";

/// PA-ENC-TIMESTAMP (RFC 4120 5.2.7.2): a password is being tried.
pub const PA_ENC_TIMESTAMP: i32 = 2;
/// PA-REQ-ENC-PA-REP (RFC 6806 11), as in every first AS-REQ of MIT's.
pub const PA_REQ_ENC_PA_REP: i32 = 149;

/// A request, and the service that it is for.
#[derive(Clone, Debug)]
pub struct Request {
    pub service: Service,
    pub bytes: Vec<u8>,
}

/// The four kinds of requests that the resend rule tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// AS-REQ without preauthentication.
    Plain,
    /// AS-REQ with preauthentication.
    Preauth,
    Tgs,
    /// A change of a password.
    Change,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Plain, Self::Preauth, Self::Tgs, Self::Change];

    /// A new request of this kind.
    pub fn request(self, realm: &str) -> Request {
        match self {
            Self::Plain => as_req(realm, &[PA_REQ_ENC_PA_REP]),
            Self::Preauth => as_req(realm, &[PA_REQ_ENC_PA_REP, PA_ENC_TIMESTAMP]),
            Self::Tgs => tgs_req(realm),
            Self::Change => change(realm, &new_ticket()),
        }
    }

    /// What a KDC that is content with the request says to it.
    pub fn reply(self) -> Vec<u8> {
        match self {
            Self::Plain | Self::Preauth => as_rep(),
            Self::Tgs => tgs_rep(),
            Self::Change => changed(),
        }
    }
}

/// A number that no other call in this process gets.
fn nonce() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0x1000_0000);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// AS-REQ with padata of these types (RFC 4120 5.4.1).
pub fn as_req(realm: &str, padata: &[i32]) -> Request {
    as_req_of(&[USER], &["krbtgt", realm], realm, padata)
}

/// The same from this client, for a ticket to this service.
pub fn as_req_of(client: &[&str], service: &[&str], realm: &str, padata: &[i32]) -> Request {
    let item = |kind: &i32| {
        sequence(&[
            field(1, &integer((*kind).into())),
            field(2, &octets(&[0xa5; 40])),
        ])
    };
    let padata: Vec<_> = padata.iter().map(item).collect();
    Request {
        service: Service::Kdc,
        bytes: kdc_req(10, &padata, client, service, realm),
    }
}

/// TGS-REQ with an AP-REQ as its padata.
pub fn tgs_req(realm: &str) -> Request {
    tgs_req_for(&["krbtgt", realm], realm)
}

/// The same for a ticket to this service.
pub fn tgs_req_for(service: &[&str], realm: &str) -> Request {
    let pa_tgs_req = sequence(&[
        field(1, &integer(1)),
        field(2, &octets(&ap_req(realm, &new_ticket()))),
    ]);
    Request {
        service: Service::Kdc,
        bytes: kdc_req(12, &[pa_tgs_req], &[USER], service, realm),
    }
}

/// What a KDC-REQ asks, of whoever `cname` says.
pub fn req_body(cname: &[u8], service: &[&str], realm: &str) -> Vec<u8> {
    sequence(&[
        field(0, &bits()),
        field(1, cname),
        field(2, &text(realm)),
        field(3, &principal(service)),
        field(5, &time()),
        field(7, &integer(nonce().into())),
        field(8, &sequence(&[integer(18), integer(17)])),
    ])
}

fn kdc_req(
    kind: u8,
    padata: &[Vec<u8>],
    client: &[&str],
    service: &[&str],
    realm: &str,
) -> Vec<u8> {
    let body = req_body(&principal(client), service, realm);
    let request = sequence(&[
        field(1, &integer(5)),
        field(2, &integer(kind.into())),
        field(3, &sequence(padata)),
        field(4, &body),
    ]);
    application(kind, &request)
}

/// What stands for the encrypted part of a ticket that no other call gets.
pub fn new_ticket() -> Vec<u8> {
    nonce().to_be_bytes().repeat(8)
}

/// EncryptedData (RFC 4120 5.2.9).
fn encrypted(content: &[u8]) -> Vec<u8> {
    sequence(&[field(0, &integer(18)), field(2, &octets(content))])
}

/// AP-REQ (RFC 4120 5.5.1) with a new authenticator.
fn ap_req(realm: &str, ticket: &[u8]) -> Vec<u8> {
    let ticket = application(
        1,
        &sequence(&[
            field(0, &integer(5)),
            field(1, &text(realm)),
            field(2, &principal(&["kadmin", "changepw"])),
            field(3, &encrypted(ticket)),
        ]),
    );
    let ap_req = sequence(&[
        field(0, &integer(5)),
        field(1, &integer(14)),
        field(2, &bits()),
        field(3, &ticket),
        field(4, &encrypted(&nonce().to_be_bytes())),
    ]);
    application(14, &ap_req)
}

/// A change of a password (RFC 3244 2), version 1. A second call with the same ticket is what Heimdal sends as a
/// retransmit: new octets all over, but for the ticket.
pub fn change(realm: &str, ticket: &[u8]) -> Request {
    let krb_priv = application(
        21,
        &sequence(&[
            field(0, &integer(5)),
            field(1, &integer(21)),
            field(3, &encrypted(&nonce().to_be_bytes())),
        ]),
    );
    Request {
        service: Service::Kpasswd,
        bytes: kpasswd_frame(1, &ap_req(realm, ticket), &krb_priv),
    }
}

/// The same as version 0xff80 (RFC 3244 2).
pub fn set_version(request: &Request, version: u16) -> Request {
    let mut bytes = request.bytes.clone();
    bytes[2..4].copy_from_slice(&version.to_be_bytes());
    Request { bytes, ..*request }
}

fn kpasswd_frame(version: u16, ap: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = (6 + ap.len() + rest.len()) as u16;
    let mut frame = [length, version, ap.len() as u16]
        .map(u16::to_be_bytes)
        .concat();
    frame.extend(ap);
    frame.extend(rest);
    frame
}

/// AS-REP (RFC 4120 5.4.2), told from others by its time.
pub fn as_rep() -> Vec<u8> {
    kdc_rep(11, 40)
}

pub fn tgs_rep() -> Vec<u8> {
    kdc_rep(13, 40)
}

/// AS-REP of about `size` octets.
pub fn as_rep_of(size: usize) -> Vec<u8> {
    kdc_rep(11, size)
}

fn kdc_rep(kind: u8, size: usize) -> Vec<u8> {
    let mut encrypted = nonce().to_be_bytes().to_vec();
    encrypted.resize(size.max(encrypted.len()), 0x5a);
    let rep = sequence(&[
        field(0, &integer(5)),
        field(1, &integer(kind.into())),
        field(6, &octets(&encrypted)),
    ]);
    application(kind, &rep)
}

/// The reply to a change that was carried out: what it says is encrypted.
pub fn changed() -> Vec<u8> {
    let encrypted = nonce().to_be_bytes();
    let ap_rep = application(
        15,
        &sequence(&[field(0, &integer(5)), field(2, &octets(&encrypted))]),
    );
    let krb_priv = application(
        21,
        &sequence(&[field(0, &integer(5)), field(3, &octets(&encrypted))]),
    );
    kpasswd_frame(1, &ap_rep, &krb_priv)
}

/// KRB-ERROR (RFC 4120 5.9.1).
pub fn krb_error(code: i32, e_data: Option<&[u8]>) -> Vec<u8> {
    let e_data = e_data.map(|e_data| field(12, &octets(e_data)));
    error(REALM, code, None, e_data)
}

/// KDC_ERR_WRONG_REALM, or what some of Active Directory's KDCs say instead: the client is in this realm (RFC 6806 7).
pub fn referral(code: i32, realm: &str) -> Vec<u8> {
    error(REALM, code, Some(field(7, &text(realm))), None)
}

/// KRB-ERROR of the KDC of `realm`.
pub fn krb_error_of(realm: &str, code: i32) -> Vec<u8> {
    error(realm, code, None, None)
}

fn error(
    realm: &str,
    code: i32,
    client_realm: Option<Vec<u8>>,
    e_data: Option<Vec<u8>>,
) -> Vec<u8> {
    let mut parts = vec![
        field(0, &integer(5)),
        field(1, &integer(30)),
        field(4, &time()),
        field(5, &integer(nonce().into())),
        field(6, &integer(code.into())),
    ];
    parts.extend(client_realm);
    parts.extend([
        field(9, &text(realm)),
        field(10, &principal(&["krbtgt", realm])),
    ]);
    parts.extend(e_data);
    application(30, &sequence(&parts))
}

/// A kpasswd reply that tells a result in the clear.
pub fn kpasswd_error(result: u16, words: &str) -> Vec<u8> {
    let e_data = [&result.to_be_bytes()[..], words.as_bytes()].concat();
    kpasswd_frame(1, &[], &krb_error(60, Some(&e_data)))
}

/// KDC-PROXY-MESSAGE ([MS-KKDCP] 2.2.2).
pub fn envelope(kerb_message: &[u8], target_domain: Option<&str>) -> Vec<u8> {
    let mut parts = vec![field(0, &octets(kerb_message))];
    parts.extend(target_domain.map(|domain| field(1, &text(domain))));
    sequence(&parts)
}

/// `message` behind its length.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// What a KRB-ERROR says.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i64,
    pub words: String,
}

/// Reads a KRB-ERROR; anything else fails the test.
pub fn said(message: &[u8]) -> Said {
    let part = |number: u8| dig(message, &[0x7e, 0x30, 0xa0 | number]);
    let code = part(6).and_then(|code| dig(code, &[0x02]));
    let code = number(code.unwrap_or_else(|| panic!("not a KRB-ERROR: {message:02x?}")));
    let words = part(11)
        .and_then(|words| dig(words, &[0x1b]))
        .unwrap_or_default();
    let words = String::from_utf8(words.to_vec()).unwrap();
    Said { code, words }
}

/// What a kpasswd error says.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub version: u16,
    pub result: u16,
    pub code: i64,
    pub words: String,
}

/// Reads an error in kpasswd's frame (RFC 3244 2), as strictly as a client could.
pub fn told(reply: &[u8]) -> Told {
    let word = |at: usize| u16::from_be_bytes([reply[at], reply[at + 1]]);
    assert_eq!(usize::from(word(0)), reply.len(), "the length in the frame");
    assert_eq!(word(4), 0, "an error has no AP-REP");
    let error = &reply[6..];
    let e_data = dig(error, &[0x7e, 0x30, 0xac, 0x04]).expect("e-data");
    let (result, words) = e_data.split_first_chunk().expect("a result code");
    Told {
        version: word(2),
        result: u16::from_be_bytes(*result),
        code: said(error).code,
        words: String::from_utf8(words.to_vec()).unwrap(),
    }
}
