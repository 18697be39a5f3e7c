//! Messages made by hand, for what no client at hand sends.

/// One element: a tag's octet, the length of `parts` together, and `parts`.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut element = vec![tag];
    match content.len() {
        short @ 0..=0x7f => element.push(short as u8),
        long @ 0x80..=0xff => element.extend([0x81, long as u8]),
        long @ 0x100..=0xffff => element.extend([0x82, (long >> 8) as u8, long as u8]),
        long => element.extend([0x83, (long >> 16) as u8, (long >> 8) as u8, long as u8]),
    }
    element.extend(content);
    element
}

/// `[number]`, EXPLICIT, around `content`.
pub(crate) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xa0 | number, &[content])
}

/// SEQUENCE.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

/// `[APPLICATION number]` around a SEQUENCE of `parts`.
pub(crate) fn message(number: u8, parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x60 | number, &[&sequence(parts)])
}

/// GeneralString.
pub(crate) fn string(text: &str) -> Vec<u8> {
    tlv(0x1b, &[text.as_bytes()])
}

/// INTEGER.
pub(crate) fn integer(value: i32) -> Vec<u8> {
    der::Encode::to_der(&value).unwrap()
}

/// OCTET STRING.
pub(crate) fn octets(content: &[u8]) -> Vec<u8> {
    tlv(0x04, &[content])
}

/// One PA-DATA.
pub(crate) fn pa_data(kind: i32, value: &[u8]) -> Vec<u8> {
    sequence(&[&field(1, &integer(kind)), &field(2, &octets(value))])
}

/// What no other field may be left out beside, in a req-body that says `realm`.
pub(crate) fn body(realm: &str) -> Vec<u8> {
    sequence(&[
        &field(0, &tlv(0x03, &[&[0, 0, 0, 0, 0]])),
        &field(2, &string(realm)),
        &field(5, &tlv(0x18, &[b"20370913024805Z"])),
        &field(7, &integer(1)),
        &field(8, &sequence(&[&integer(18)])),
    ])
}

/// An AS-REQ (10) or TGS-REQ (12) with `padata`, if any, whose body says `realm`.
pub(crate) fn kdc_req(number: u8, padata: &[Vec<u8>], realm: &str) -> Vec<u8> {
    let padata = match padata {
        [] => vec![],
        some => field(3, &sequence(&[&some.concat()])),
    };
    let parts = [
        field(1, &integer(5)),
        field(2, &integer(number.into())),
        padata,
        field(4, &body(realm)),
    ];
    message(number, &[&parts.concat()])
}

/// PrincipalName.
pub(crate) fn principal(kind: i32, names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|name| string(name)).collect();
    sequence(&[
        &field(0, &integer(kind)),
        &field(1, &sequence(&[&names.concat()])),
    ])
}

/// EncryptedData.
pub(crate) fn encrypted() -> Vec<u8> {
    sequence(&[&field(0, &integer(18)), &field(2, &octets(b"secret"))])
}

/// A ticket for `sname` that `realm` issued.
pub(crate) fn ticket(realm: &str, sname: &[&str]) -> Vec<u8> {
    let parts = [
        field(0, &integer(5)),
        field(1, &string(realm)),
        field(2, &principal(2, sname)),
        field(3, &encrypted()),
    ];
    message(1, &[&parts.concat()])
}

/// An AP-REQ with a ticket for `sname` that `realm` issued.
pub(crate) fn ap_req(realm: &str, sname: &[&str]) -> Vec<u8> {
    let parts = [
        field(0, &integer(5)),
        field(1, &integer(14)),
        field(2, &tlv(0x03, &[&[0, 0, 0, 0, 0]])),
        field(3, &ticket(realm, sname)),
        field(4, &encrypted()),
    ];
    message(14, &[&parts.concat()])
}

/// A KRB-PRIV.
pub(crate) fn krb_priv() -> Vec<u8> {
    let parts = [
        field(0, &integer(5)),
        field(1, &integer(21)),
        field(3, &encrypted()),
    ];
    message(21, &[&parts.concat()])
}

/// The value of a PA-FX-FAST in a request, armored by `ap_req` or by the TGS-REQ's own ticket.
pub(crate) fn fx_fast(armor_type: i32, ap_req: Option<&[u8]>) -> Vec<u8> {
    let armor = ap_req.map(|ap_req| {
        let parts = [field(0, &integer(armor_type)), field(1, &octets(ap_req))];
        field(0, &sequence(&[&parts.concat()]))
    });
    let checksum = sequence(&[&field(0, &integer(16)), &field(1, &octets(b"sum"))]);
    let parts = [
        armor.unwrap_or_default(),
        field(1, &checksum),
        field(2, &encrypted()),
    ];
    field(0, &sequence(&[&parts.concat()]))
}

/// kpasswd's frame around two parts.
pub(crate) fn kpasswd_frame(version: u16, ap: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(6 + ap.len() + rest.len()).unwrap();
    let ap_length = u16::try_from(ap.len()).unwrap();
    let head = [length, version, ap_length].map(u16::to_be_bytes).concat();
    [&head, ap, rest].concat()
}
