//! Tickets in the clear part of an AP-REQ: whose realm a request belongs to when its body doesn't say.

use super::asn1::{application, elements, field, inside};
use super::realm::Realm;
use der::{Reader, SliceReader, Tag};

/// AP-REQ (RFC 4120 5.5.1).
pub(super) const AP_REQ: Tag = application(14);
/// Ticket (RFC 4120 5.3).
pub(super) const TICKET: Tag = application(1);

/// A ticket inside a message: its octets, and the fields that are not encrypted.
pub(super) struct Ticket<'a> {
    der: &'a [u8],
    fields: &'a [u8],
}

impl<'a> Ticket<'a> {
    /// The ticket of the AP-REQ that `input` begins with (`ticket [3]`, RFC 4120 5.5.1).
    pub(super) fn of_ap_req(input: &'a [u8]) -> Option<Self> {
        let ap_req = inside(inside(input, AP_REQ)?, Tag::Sequence)?;
        Self::read(field(ap_req, 3)?)
    }

    /// The ticket of the AS-REP or TGS-REP that `input` is (`ticket [5]`, RFC 4120 5.4.2).
    pub(super) fn of_kdc_rep(input: &'a [u8]) -> Option<Self> {
        let rep = inside(input, application(11)).or_else(|| inside(input, application(13)));
        Self::read(field(inside(rep?, Tag::Sequence)?, 5)?)
    }

    fn read(input: &'a [u8]) -> Option<Self> {
        let mut reader = SliceReader::new(input).ok()?;
        let der = reader.tlv_bytes().ok()?;
        let fields = inside(inside(der, TICKET)?, Tag::Sequence)?;
        Some(Self { der, fields })
    }

    /// The ticket's encoding, the same in each message that a client makes with it.
    pub(super) fn der(&self) -> &'a [u8] {
        self.der
    }

    /// The realm that issued the ticket and accepts it (`realm [1]`, RFC 4120 5.3).
    pub(super) fn realm(&self) -> Option<Realm> {
        let realm = inside(field(self.fields, 1)?, Tag::GeneralString)?;
        Some(Realm::of_request(realm))
    }

    /// The realm whose KDC reads this ticket: X for krbtgt/X (RFC 4120 7.3), else the ticket's own.
    pub(super) fn reader(&self) -> Option<Realm> {
        self.granting_realm().or_else(|| self.realm())
    }

    /// X of a ticket for krbtgt/X (`sname [2]`, its `name-string [1]`).
    fn granting_realm(&self) -> Option<Realm> {
        let sname = inside(field(self.fields, 2)?, Tag::Sequence)?;
        let names = inside(field(sname, 1)?, Tag::Sequence)?;
        let mut names = elements(names).map(|name| name?.inside(Tag::GeneralString));
        if names.next()?? != b"krbtgt" {
            return None;
        }
        Realm::parse(names.next()??).ok()
    }
}
