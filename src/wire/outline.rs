//! What a policy looks at in an AS-REQ or TGS-REQ: who asks, for what, and how it is proved outside of FAST.
//!
//! Under FAST the KDC acts on an encrypted body and on encrypted padata (RFC 6113 5.4.2), which nobody sees on the way: what
//! stands outside of them is what MIT's clients and Windows write into both, and what Heimdal leaves out.

use super::asn1::{field, well_ordered};
use super::message::{KerberosMessage, Kind, body, read_kdc_req};
use super::{padata, principal};

/// What a client says outside of FAST.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outline {
    /// Which request it is.
    pub kind: Kind,
    /// `cname [1]` of the body; in no TGS-REQ.
    pub client: OuterName,
    /// `sname [3]` of the body.
    pub service: OuterName,
    /// The preauthentication of an AS-REQ.
    pub preauth: OuterPreauth,
    /// FAST is there, and with it another body.
    pub is_armored: bool,
}

/// A principal's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OuterName {
    /// There is none.
    Absent,
    /// None that can be read for sure, or of more than 255 octets.
    Unreadable,
    /// Its components with slashes between them, not escaped.
    Text(String),
}

/// How a client proves itself outside of FAST.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OuterPreauth {
    /// Not at all, as in the first AS-REQ of a login.
    None,
    /// By an encrypted timestamp (RFC 4120 5.2.7.2), from which a password can be guessed by whoever has it. What can't be
    /// read may be one.
    Timestamp,
    /// In another way, such as a certificate, or a round of SPAKE.
    Other,
}

impl KerberosMessage {
    /// What a policy looks at. Nothing of a change of a password, which says in clear for which realm it is and no more.
    #[must_use]
    pub fn outline(&self) -> Option<Outline> {
        if self.kind() == Kind::Kpasswd {
            return None;
        }
        let (kind, kdc_req) = read_kdc_req(self.bytes())?;
        let body = body(kdc_req)?;
        // Where a KDC might read another of two fields than is read here, nothing counts as read.
        let is_clear = well_ordered(kdc_req) && well_ordered(body);
        let name = |number| match field(body, number) {
            _ if !is_clear => OuterName::Unreadable,
            None => OuterName::Absent,
            Some(name) => principal::unescaped(name).map_or(OuterName::Unreadable, OuterName::Text),
        };
        let (preauth, is_armored) = padata::outer(kdc_req);
        Some(Outline {
            kind,
            client: name(1),
            service: name(3),
            preauth: if is_clear {
                preauth
            } else {
                OuterPreauth::Timestamp
            },
            is_armored,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Service;
    use crate::wire::tests::handmade::{
        ap_req, field, kpasswd_frame, message, octets, pa_data, principal, sequence, string,
    };

    fn outline(number: u8, parts: &[&[u8]], padata: &[Vec<u8>]) -> Outline {
        let padata: Vec<_> = padata.iter().map(Vec::as_slice).collect();
        let (padata, body) = (field(3, &sequence(&padata)), field(4, &sequence(parts)));
        let bytes = message(number, &[&padata, &body]);
        let message = KerberosMessage::parse(Service::Kdc, bytes.into()).unwrap();
        message.outline().unwrap()
    }

    fn names(cname: &[u8], sname: &[u8]) -> (OuterName, OuterName) {
        let parts = [&field(1, cname), &field(2, &string("A")), &field(3, sname)];
        let outline = outline(10, &parts.map(Vec::as_slice), &[]);
        (outline.client, outline.service)
    }

    fn text(text: &str) -> OuterName {
        OuterName::Text(text.to_owned())
    }

    #[test]
    fn names_are_told_as_they_are() {
        let (client, service) = (
            principal(10, &["jürgen@example.com"]),
            principal(2, &["HTTP", "www/x"]),
        );
        assert_eq!(
            names(&client, &service),
            (text("jürgen@example.com"), text("HTTP/www/x"))
        );
    }

    #[test]
    fn what_may_be_read_in_another_way_is_not_read() {
        let good = principal(1, &["a"]);
        for odd in [
            // Heimdal reads as far as the NUL.
            principal(1, &["a\0"]),
            principal(1, &["a", "b\u{7f}"]),
            principal(1, &[&"a".repeat(256)]),
            principal(1, &[]),
            sequence(&[&field(1, &sequence(&[&octets(b"a")]))]),
            string("a"),
        ] {
            assert_eq!(names(&odd, &good), (OuterName::Unreadable, text("a")));
        }
        let latin_1 = b"\x30\x0a\xa1\x08\x30\x06\x1b\x04j\xfcrg";
        assert_eq!(names(latin_1, &good).0, OuterName::Unreadable);
        let (first, second) = (field(1, &good), field(1, &principal(1, &["b"])));
        let twice = outline(10, &[&first, &second, &field(2, &string("A"))], &[]);
        assert_eq!(twice.client, OuterName::Unreadable);
        assert_eq!(twice.preauth, OuterPreauth::Timestamp);
    }

    #[test]
    fn what_is_not_there_is_absent() {
        let nobody = outline(12, &[&field(2, &string("A"))], &[pa_data(1, b"")]);
        assert_eq!(nobody.kind, Kind::TgsReq);
        assert_eq!(
            (nobody.client, nobody.service),
            (OuterName::Absent, OuterName::Absent)
        );
        let ap = ap_req("A", &["kadmin", "changepw"]);
        let frame = kpasswd_frame(1, &ap, &message(21, &[]));
        let change = KerberosMessage::parse(Service::Kpasswd, frame.into());
        assert_eq!(change.unwrap().outline(), None);
    }

    #[test]
    fn preauthentication_is_told_as_it_stands_outside_of_fast() {
        let of = |kinds: &[i32]| {
            let padata: Vec<_> = kinds.iter().map(|kind| pa_data(*kind, b"")).collect();
            let outline = outline(10, &[&field(2, &string("A"))], &padata);
            (outline.preauth, outline.is_armored)
        };
        assert_eq!(of(&[149, 128]), (OuterPreauth::None, false));
        assert_eq!(of(&[149, 136]), (OuterPreauth::None, true));
        assert_eq!(of(&[133, 2, 149]), (OuterPreauth::Timestamp, false));
        // A KDC without FAST takes the timestamp.
        assert_eq!(of(&[136, 2]), (OuterPreauth::Timestamp, true));
        assert_eq!(of(&[2, 136]), (OuterPreauth::Timestamp, true));
        assert_eq!(of(&[136, 16]), (OuterPreauth::Other, true));
        assert_eq!(of(&[133, 151]), (OuterPreauth::Other, false));
        for odd in [b"\x30\x80".to_vec(), sequence(&[])] {
            let outline = outline(10, &[&field(2, &string("A"))], &[pa_data(149, b""), odd]);
            assert_eq!(outline.preauth, OuterPreauth::Timestamp);
        }
    }
}
