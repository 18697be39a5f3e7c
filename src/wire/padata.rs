//! Pre-authentication data: what may be repeated, and whose realm an anonymous FAST request means.

use super::asn1::{Element, elements, field, inside};
use super::message::Resend;
use super::outline::OuterPreauth;
use super::realm::Realm;
use super::ticket::Ticket;
use der::{Decode, Tag};

/// PA-TGS-REQ, an AP-REQ (RFC 4120 5.2.7.1).
pub(super) const PA_TGS_REQ: i32 = 1;
/// PA-ENC-TIMESTAMP (RFC 4120 5.2.7.2).
const PA_ENC_TIMESTAMP: i32 = 2;
/// PA-FX-FAST, a PA-FX-FAST-REQUEST (RFC 6113 5.4.2).
pub(super) const PA_FX_FAST: i32 = 136;
/// FX_FAST_ARMOR_AP_REQUEST: the armor is an AP-REQ (RFC 6113 5.4.1.1).
const ARMOR_AP_REQUEST: i32 = 1;

/// The types that prove nothing about the client, so that a KDC may see them twice: PA-PW-SALT,
/// PA-ETYPE-INFO and PA-ETYPE-INFO2 (RFC 4120 5.2.7), PA-PAC-REQUEST and PA-PAC-OPTIONS ([MS-KILE]
/// 2.2.3, 2.2.10), PA-REQ-ENC-PA-REP (RFC 6806 11), PA-AS-FRESHNESS (RFC 8070 2), and 165,
/// PA-SUPPORTED-ENCTYPES ([MS-KILE] 2.2.8).
///
/// Whatever isn't here counts as pre-authentication: a password tried twice locks accounts, a
/// one-time code works once, and a cookie belongs to one KDC.
const HARMLESS: [i32; 9] = [3, 10, 11, 19, 128, 149, 150, 165, 167];

/// One PA-DATA (RFC 4120 5.2.7); `None` for a half that can't be read.
pub(super) struct PaData<'a> {
    pub(super) kind: Option<i32>,
    pub(super) value: Option<&'a [u8]>,
}

/// The PA-DATA of a KDC-REQ (`padata [3]`, RFC 4120 5.4.1); one that can't be read ends them.
pub(super) fn padata<'a>(kdc_req: &'a [u8]) -> impl Iterator<Item = PaData<'a>> {
    let unreadable = PaData {
        kind: None,
        value: None,
    };
    let (list, broken) = match field(kdc_req, 3).map(|list| inside(list, Tag::Sequence)) {
        None => (&[][..], None),
        Some(None) => (&[][..], Some(unreadable)),
        Some(Some(list)) => (list, None),
    };
    let items = elements(list).map(|item| {
        let fields = item.and_then(|item| item.inside(Tag::Sequence));
        let fields = fields.unwrap_or_default();
        PaData {
            kind: field(fields, 1)
                .and_then(|kind| Element::whole(kind)?.integer()?.try_into().ok()),
            value: field(fields, 2).and_then(|value| inside(value, Tag::OctetString)),
        }
    });
    items.chain(broken)
}

/// What a copy of this AS-REQ could do at another server.
pub(super) fn resend(as_req: &[u8]) -> Resend {
    let harmless = |kind| HARMLESS.contains(&kind);
    if padata(as_req).all(|item| item.kind.is_some_and(harmless)) {
        Resend::Harmless
    } else {
        Resend::Once
    }
}

/// How an AS-REQ proves who it is from outside of FAST, and if there is FAST. All of it counts, as a KDC that knows no FAST
/// goes by what stands beside it.
pub(super) fn outer(kdc_req: &[u8]) -> (OuterPreauth, bool) {
    let (mut preauth, mut is_armored) = (OuterPreauth::None, false);
    for item in padata(kdc_req) {
        match item.kind {
            Some(PA_FX_FAST) => is_armored = true,
            Some(kind) if HARMLESS.contains(&kind) => {}
            None | Some(PA_ENC_TIMESTAMP) => preauth = OuterPreauth::Timestamp,
            Some(_) if preauth == OuterPreauth::None => preauth = OuterPreauth::Other,
            Some(_) => {}
        }
    }
    (preauth, is_armored)
}

/// The realm of a request whose body says WELLKNOWN:ANONYMOUS, as Heimdal's FAST requests do: the
/// body there is not what the KDC acts on (RFC 6113 5.4.2: the armored req-body replaces it).
///
/// The armor's ticket is one for the KDC that shall read it; a TGS-REQ without armor of its own is
/// armored by the ticket in its PA-TGS-REQ (RFC 6113 5.4.2).
pub(super) fn realm_by_ticket(kdc_req: &[u8]) -> Option<Realm> {
    let value = |kind| padata(kdc_req).find(|item| item.kind == Some(kind))?.value;
    let reader = |ap_req| Ticket::of_ap_req(ap_req)?.reader();
    let by_armor = value(PA_FX_FAST).and_then(armor_ap_req).and_then(reader);
    by_armor.or_else(|| value(PA_TGS_REQ).and_then(reader))
}

/// The AP-REQ that armors a PA-FX-FAST-REQUEST: `armored-data [0]`, in it `armor [0]`, and in that
/// `armor-type [0]` and `armor-value [1]` (RFC 6113 5.4.1, 5.4.2).
pub(super) fn armor_ap_req(fx_fast: &[u8]) -> Option<&[u8]> {
    let armored = inside(field(fx_fast, 0)?, Tag::Sequence)?;
    let armor = inside(field(armored, 0)?, Tag::Sequence)?;
    if i32::from_der(field(armor, 0)?) != Ok(ARMOR_AP_REQUEST) {
        return None;
    }
    inside(field(armor, 1)?, Tag::OctetString)
}
