//! Requests: recognised once, read only as far as routing and repeating them needs.

use super::asn1::{application, field, inside};
use super::framed::Framed;
use super::realm::Realm;
use super::validation::{self, Invalid};
use super::{kpasswd, padata, principal};
use bytes::Bytes;
use der::Tag;
use std::fmt;

/// Most octets of a request, without its length: what krb5kdc takes too, but for that. A TGS-REQ may hold two tickets, and one
/// of Active Directory's has 64 KiB where its PAC is long.
pub const MAX_REQUEST: usize = 1024 * 1024;

/// Which of the two protocols a socket speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    /// The KDC's: AS and TGS exchanges (RFC 4120 3.1, 3.3), port 88.
    Kdc,
    /// Changing passwords (RFC 3244), port 464.
    Kpasswd,
}

/// One of a thing for each service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ByService<T> {
    /// The KDC's.
    pub kdc: T,
    /// The password service's.
    pub kpasswd: T,
}

impl<T> ByService<T> {
    /// The one of `service`.
    pub fn get(&self, service: Service) -> &T {
        match service {
            Service::Kdc => &self.kdc,
            Service::Kpasswd => &self.kpasswd,
        }
    }

    /// The one of `service`, to be changed.
    pub fn get_mut(&mut self, service: Service) -> &mut T {
        match service {
            Service::Kdc => &mut self.kdc,
            Service::Kpasswd => &mut self.kpasswd,
        }
    }
}

impl<T: Clone> ByService<T> {
    /// The same for both.
    pub fn both(one: T) -> Self {
        Self {
            kdc: one.clone(),
            kpasswd: one,
        }
    }
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

impl Kind {
    /// What the RFCs call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AsReq => "AS-REQ",
            Self::TgsReq => "TGS-REQ",
            Self::Kpasswd => "kpasswd",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a second copy of a request could do at another server.
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
            return Err(NotKerberos("the request is longer than 1 MiB"));
        }
        match service {
            Service::Kdc => Self::parse_kdc_req(bytes),
            Service::Kpasswd => Self::parse_kpasswd(bytes),
        }
    }

    fn parse_kdc_req(bytes: Bytes) -> Result<Self, NotKerberos> {
        let (kind, kdc_req) =
            read_kdc_req(&bytes).ok_or(NotKerberos("not an AS-REQ or TGS-REQ"))?;
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

    /// Checks the whole request, of which only the way to its realm has been read so far, against RFC 4120.
    ///
    /// # Errors
    /// The first place where it is not valid.
    pub fn validate(&self) -> Result<(), Invalid> {
        validation::check(self)
    }

    /// The same request, routed by `realm` instead: where an envelope says whom the message is for, that decides
    /// ([MS-KKDCP] 3.2.5.1).
    #[must_use]
    pub fn addressed_to(self, realm: Realm) -> Self {
        Self { realm, ..self }
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

    /// The realm whose KDC this is for, spelled as in the request or in the envelope that it came in.
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// What a second copy could do at another server.
    pub fn resend(&self) -> Resend {
        self.resend
    }

    /// The request as it came, without a stream's length.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The principal that an AS-REQ says it is from, without its realm (`cname [1]` of the body, RFC 4120 5.4.1): the only
    /// request that says so in clear. At most 255 octets, escaped as in RFC 1964 2.1.1; personal data.
    #[must_use]
    pub fn client_name(&self) -> Option<String> {
        if self.kind != Kind::AsReq {
            return None;
        }
        let (_, kdc_req) = read_kdc_req(&self.bytes)?;
        principal::text(field(body(kdc_req)?, 1)?)
    }

    /// The principal whose ticket a TGS-REQ asks for, without its realm (`sname [3]` of the body, RFC 4120 5.4.1). As
    /// [`KerberosMessage::client_name`] has it.
    #[must_use]
    pub fn service_name(&self) -> Option<String> {
        if self.kind != Kind::TgsReq {
            return None;
        }
        let (_, kdc_req) = read_kdc_req(&self.bytes)?;
        principal::text(field(body(kdc_req)?, 3)?)
    }

    /// The encoding of the ticket that a change of a password is made with: the same in copies that a
    /// client builds anew. `None` for other requests.
    pub fn ticket(&self) -> Option<&[u8]> {
        self.ticket.as_deref()
    }

    /// What all copies of the request have in common: every octet; of a change of a password its version and its AP-REQ alone. MIT
    /// krb5 sends one AP-REQ to each address of its server, and beside it a KRB-PRIV that names the address which that connection
    /// is from (`s-address`, RFC 4120 5.7.1). The AP-REQ holds the time of the request and a key for it.
    pub fn identity(&self) -> &[u8] {
        let is_change = self.kind == Kind::Kpasswd;
        let change = is_change.then(|| kpasswd::version_and_ap_req(&self.bytes));
        change.flatten().unwrap_or(&self.bytes)
    }

    /// The request behind its length.
    pub fn framed(&self) -> Framed {
        Framed::wrap(&self.bytes)
    }
}

/// The fields of the KDC-REQ that `input` begins with (RFC 4120 5.4.1).
pub(super) fn read_kdc_req(input: &[u8]) -> Option<(Kind, &[u8])> {
    let as_req = inside(input, application(10)).map(|content| (Kind::AsReq, content));
    let kdc_req = || inside(input, application(12)).map(|content| (Kind::TgsReq, content));
    let (kind, content) = as_req.or_else(kdc_req)?;
    Some((kind, inside(content, Tag::Sequence)?))
}

/// The fields of `req-body [4]` (RFC 4120 5.4.1).
pub(super) fn body(kdc_req: &[u8]) -> Option<&[u8]> {
    inside(field(kdc_req, 4)?, Tag::Sequence)
}

/// `realm [2]` of the body (RFC 4120 5.4.1): in an AS-REQ the client's, in a TGS-REQ the
/// server's, and in both the one whose KDC is asked.
fn body_realm(kdc_req: &[u8]) -> Result<Realm, NotKerberos> {
    let body = body(kdc_req).ok_or(NotKerberos("the request has no body"))?;
    let realm = field(body, 2).and_then(|realm| inside(realm, Tag::GeneralString));
    let realm = realm.ok_or(NotKerberos("the request's body has no realm"))?;
    Ok(Realm::of_request(realm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::handmade::{
        ap_req, field, fx_fast, integer, kdc_req, message, octets, pa_data, principal, sequence,
        string,
    };

    fn kdc(bytes: Vec<u8>) -> Result<KerberosMessage, NotKerberos> {
        KerberosMessage::parse(Service::Kdc, bytes.into())
    }

    fn realm_of(bytes: Vec<u8>) -> String {
        kdc(bytes).unwrap().realm().to_string()
    }

    #[test]
    fn a_request_is_known_by_its_tag_and_its_realm_by_its_body() {
        let as_req = kdc(kdc_req(10, &[], "Example.COM")).unwrap();
        assert_eq!(as_req.kind(), Kind::AsReq);
        assert_eq!(as_req.service(), Service::Kdc);
        assert_eq!(as_req.realm().as_str(), "Example.COM");
        assert_eq!(as_req.ticket(), None);
        let tgs_req = kdc(kdc_req(12, &[], "EXAMPLE.COM")).unwrap();
        assert_eq!(tgs_req.kind(), Kind::TgsReq);
        assert!(kdc(kdc_req(11, &[], "EXAMPLE.COM")).is_err());
    }

    #[test]
    fn kinds_are_called_as_in_the_rfcs() {
        let names = [Kind::AsReq, Kind::TgsReq, Kind::Kpasswd].map(|kind| kind.to_string());
        assert_eq!(names, ["AS-REQ", "TGS-REQ", "kpasswd"]);
    }

    #[test]
    fn only_the_way_to_the_realm_is_read() {
        // Each of these breaks a rule that KDCs don't enforce, or that they are the ones to enforce.
        let body = sequence(&[&field(2, &string("EXAMPLE.COM")), b"\xff\xff"]);
        let odd = message(
            10,
            &[&field(1, b"odd"), &field(2, b""), &field(4, &body), b"\x1f"],
        );
        let trailed = [odd, b"octets after it".to_vec()].concat();
        let parsed = kdc(trailed.clone()).unwrap();
        assert_eq!(parsed.realm().as_str(), "EXAMPLE.COM");
        assert_eq!(&parsed.bytes()[..], &trailed[..]);
        assert_eq!(parsed.framed().message(), &trailed[..]);
    }

    #[test]
    fn what_has_no_realm_is_not_a_request() {
        let no_body = message(10, &[&field(1, &integer(5))]);
        let no_realm = message(10, &[&field(4, &sequence(&[&field(0, &[])]))]);
        let other_type = message(
            10,
            &[&field(4, &sequence(&[&field(2, &octets(b"EXAMPLE.COM"))]))],
        );
        for bytes in [no_body, no_realm, other_type, vec![]] {
            assert!(kdc(bytes).is_err());
        }
        let cut = kdc_req(10, &[], "EXAMPLE.COM");
        for end in 0..cut.len() {
            assert!(kdc(cut[..end].to_vec()).is_err(), "{end}");
        }
    }

    #[test]
    fn a_request_for_what_is_no_realm_is_one_for_nobodys() {
        for realm in ["", "A\nB", &"A".repeat(256)] {
            let request = kdc(kdc_req(10, &[], realm)).unwrap();
            assert!(request.realm().key().is_nobodys(), "{realm:?}");
        }
    }

    #[test]
    fn a_request_has_at_most_1_mib() {
        let mut bytes = kdc_req(10, &[], "EXAMPLE.COM");
        bytes.resize(MAX_REQUEST, 0);
        assert!(kdc(bytes.clone()).is_ok());
        bytes.push(0);
        assert!(kdc(bytes).is_err());
    }

    #[test]
    fn preauthentication_of_any_unknown_kind_is_sent_once() {
        let resend = |padata: &[Vec<u8>]| kdc(kdc_req(10, padata, "A")).unwrap().resend();
        let harmless = [3, 10, 11, 19, 128, 149, 150, 165, 167];
        for kind in -5..700 {
            let expected = if harmless.contains(&kind) {
                Resend::Harmless
            } else {
                Resend::Once
            };
            assert_eq!(
                resend(&[pa_data(149, b""), pa_data(kind, b"")]),
                expected,
                "{kind}"
            );
        }
        assert_eq!(resend(&[]), Resend::Harmless);
        assert_eq!(resend(&[b"\x30\x80".to_vec()]), Resend::Once, "not DER");
        assert_eq!(resend(&[pa_data(149, b""), vec![0]]), Resend::Once);
        assert_eq!(resend(&[sequence(&[])]), Resend::Once, "no type");
        let too_big = sequence(&[&field(1, b"\x02\x05\x01\x00\x00\x00\x03")]);
        assert_eq!(resend(&[too_big]), Resend::Once);
    }

    #[test]
    fn padata_that_is_no_sequence_is_sent_once() {
        let body = field(4, &sequence(&[&field(2, &string("A"))]));
        let odd = message(10, &[&field(3, &octets(b"")), &body]);
        assert_eq!(kdc(odd).unwrap().resend(), Resend::Once);
    }

    #[test]
    fn a_tgs_req_may_be_sent_again_whatever_it_carries() {
        let tgs_req = kdc_req(12, &[pa_data(1, b""), pa_data(136, b"")], "A");
        assert_eq!(kdc(tgs_req).unwrap().resend(), Resend::Harmless);
    }

    #[test]
    fn only_an_as_req_says_whom_it_is_from() {
        let name = |number, cname: &[u8]| {
            let body = [field(1, cname), field(2, &string("A"))].concat();
            let bytes = message(number, &[&field(4, &sequence(&[&body]))]);
            kdc(bytes).unwrap().client_name()
        };
        let alice = principal(1, &["alice", "admin"]);
        assert_eq!(name(10, &alice).as_deref(), Some("alice/admin"));
        assert_eq!(name(12, &alice), None);
        assert_eq!(name(10, b"odd"), None);
        assert_eq!(kdc(kdc_req(10, &[], "A")).unwrap().client_name(), None);
    }

    #[test]
    fn a_tgs_req_says_whose_ticket_it_asks_for() {
        let name = |number, sname: &[u8]| {
            let body = [field(2, &string("A")), field(3, sname)].concat();
            let bytes = message(number, &[&field(4, &sequence(&[&body]))]);
            kdc(bytes).unwrap().service_name()
        };
        let web = principal(2, &["HTTP", "www.example.com"]);
        assert_eq!(name(12, &web).as_deref(), Some("HTTP/www.example.com"));
        assert_eq!(name(10, &web), None);
        assert_eq!(name(12, b"odd"), None);
        assert_eq!(kdc(kdc_req(12, &[], "A")).unwrap().service_name(), None);
    }

    const ANONYMOUS: &str = "WELLKNOWN:ANONYMOUS";

    #[test]
    fn an_anonymous_request_goes_where_its_armor_ticket_is_read() {
        let fast = |number, armor: &[u8]| {
            let fx_fast = pa_data(136, &fx_fast(1, Some(armor)));
            realm_of(kdc_req(number, &[pa_data(2, b""), fx_fast], ANONYMOUS))
        };
        assert_eq!(
            fast(10, &ap_req("A.EXAMPLE", &["krbtgt", "B.EXAMPLE"])),
            "B.EXAMPLE"
        );
        assert_eq!(
            fast(12, &ap_req("A.EXAMPLE", &["krbtgt", "B.EXAMPLE"])),
            "B.EXAMPLE"
        );
        assert_eq!(
            fast(10, &ap_req("A.EXAMPLE", &["host", "www"])),
            "A.EXAMPLE"
        );
        assert_eq!(fast(10, &ap_req("A.EXAMPLE", &["krbtgt"])), "A.EXAMPLE");
        assert_eq!(fast(10, b"no AP-REQ"), ANONYMOUS);
    }

    #[test]
    fn an_anonymous_tgs_req_without_armor_goes_where_its_own_ticket_is_read() {
        let own = pa_data(1, &ap_req("A.EXAMPLE", &["krbtgt", "B.EXAMPLE"]));
        let armor = ap_req("A.EXAMPLE", &["krbtgt", "C.EXAMPLE"]);
        let request = |fx_fast: Vec<u8>| {
            let padata = [own.clone(), pa_data(136, &fx_fast)];
            realm_of(kdc_req(12, &padata, ANONYMOUS))
        };
        assert_eq!(request(fx_fast(0, None)), "B.EXAMPLE");
        assert_eq!(
            request(fx_fast(2, Some(&armor))),
            "B.EXAMPLE",
            "not an AP-REQ's armor"
        );
        assert_eq!(request(fx_fast(1, Some(&armor))), "C.EXAMPLE");
    }

    #[test]
    fn an_anonymous_request_without_a_ticket_stays_anonymous() {
        assert_eq!(realm_of(kdc_req(10, &[], ANONYMOUS)), ANONYMOUS);
        let fast = pa_data(136, &fx_fast(0, None));
        assert_eq!(realm_of(kdc_req(10, &[fast], ANONYMOUS)), ANONYMOUS);
    }

    #[test]
    fn a_realm_in_the_body_wins_over_any_ticket() {
        let fast = pa_data(136, &fx_fast(1, Some(&ap_req("B", &["krbtgt", "C"]))));
        assert_eq!(realm_of(kdc_req(10, &[fast], "A")), "A");
    }
}
