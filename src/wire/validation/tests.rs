use super::*;
use crate::wire::Service;
use crate::wire::tests::handmade::{
    ap_req, body, encrypted, field, fx_fast, integer, kdc_req, kpasswd_frame, krb_priv, message,
    octets, pa_data, principal, sequence, string, ticket, tlv,
};

const REALM: &str = "EXAMPLE.COM";

/// What is wrong with a message whose outline can be read.
fn invalid(octets: Vec<u8>) -> String {
    checked(Service::Kdc, octets).unwrap_err().to_string()
}

fn checked(service: Service, octets: Vec<u8>) -> Result<(), Invalid> {
    check(&KerberosMessage::parse(service, octets.into()).unwrap())
}

fn valid(octets: Vec<u8>) {
    assert_eq!(checked(Service::Kdc, octets), Ok(()));
}

fn time() -> Vec<u8> {
    tlv(0x18, &[b"20370913024805Z"])
}

fn flags() -> Vec<u8> {
    tlv(0x03, &[&[0, 0, 0, 0, 0]])
}

/// Every field of a req-body, as Windows fills them: a nonce below zero, NetBIOS names, all options.
fn all_fields() -> Vec<Vec<u8>> {
    let netbios = sequence(&[
        &field(0, &integer(20)),
        &field(1, &octets(b"LAPTOP          ")),
    ]);
    let rodc = sequence(&[
        &field(0, &integer(18)),
        &field(1, &integer(-65_536)),
        &field(2, &octets(b"secret")),
    ]);
    let ticket = ticket(REALM, &["krbtgt", REALM]);
    vec![
        field(0, &tlv(0x03, &[&[0, 0x40, 0x81, 0, 0x10]])),
        field(1, &principal(10, &["alice@corp.example"])),
        field(2, &string(REALM)),
        field(3, &principal(2, &["krbtgt", REALM])),
        field(4, &time()),
        field(5, &time()),
        field(6, &time()),
        field(7, &integer(-1_847_299_402)),
        field(8, &sequence(&[&integer(18), &integer(-128), &integer(24)])),
        field(9, &sequence(&[&netbios])),
        field(10, &rodc),
        field(11, &sequence(&[&ticket, &ticket])),
    ]
}

fn as_req(body: &[Vec<u8>]) -> Vec<u8> {
    as_req_of(&[
        field(1, &integer(5)),
        field(2, &integer(10)),
        field(4, &sequence(&[&body.concat()])),
    ])
}

fn as_req_of(fields: &[Vec<u8>]) -> Vec<u8> {
    message(10, &[&fields.concat()])
}

fn with(number: usize, content: &[u8]) -> Vec<u8> {
    let mut fields = all_fields();
    fields[number] = field(number as u8, content);
    as_req(&fields)
}

#[test]
fn what_rfc_4120_has_is_valid() {
    valid(as_req(&all_fields()));
    valid(kdc_req(10, &[], REALM));
    valid(kdc_req(10, &[pa_data(-1, b"\x30\x80 anything")], REALM));
    for nonce in [
        &b"\x02\x05\x00\xff\xff\xff\xff"[..],
        b"\x02\x04\x80\x00\x00\x00",
        b"\x02\x01\x00",
    ] {
        valid(with(7, nonce));
    }
    valid(with(6, &tlv(0x18, &[b"16010101000000Z"])));
    for optional in [1, 3, 4, 6, 9, 10, 11] {
        let mut fields = all_fields();
        fields.remove(optional);
        valid(as_req(&fields));
    }
}

#[test]
fn a_field_that_must_be_there_is_missed() {
    for (number, name) in [
        (0, "kdc-options"),
        (2, "realm"),
        (5, "till"),
        (7, "nonce"),
        (8, "etype"),
    ] {
        let mut fields = all_fields();
        fields.remove(number);
        // Without a realm there is no outline either.
        if number != 2 {
            let missing = format!("{name} is missing, or not in its place");
            assert_eq!(invalid(as_req(&fields)), missing);
        }
    }
}

#[test]
fn fields_come_once_and_in_order_and_no_others() {
    const UNKNOWN: &str = "req-body has a field that is unknown, out of order, or there twice";
    for number in 0..12 {
        let mut fields = all_fields();
        fields.insert(number, fields[number].clone());
        assert!(checked(Service::Kdc, as_req(&fields)).is_err(), "{number}");
        if number != 11 {
            let mut fields = all_fields();
            fields.swap(number, number + 1);
            assert!(checked(Service::Kdc, as_req(&fields)).is_err(), "{number}");
        }
    }
    for unknown in [
        field(12, &integer(1)),
        integer(1),
        vec![0],
        vec![0xac, 0x80, 0, 0],
    ] {
        let fields = [all_fields(), vec![unknown]].concat();
        assert_eq!(invalid(as_req(&fields)), UNKNOWN);
    }
}

#[test]
fn each_field_has_its_type() {
    const NAMES: [&str; 12] = [
        "kdc-options",
        "cname",
        "realm",
        "sname",
        "from",
        "till",
        "rtime",
        "nonce",
        "etype",
        "addresses",
        "enc-authorization-data",
        "additional-tickets",
    ];
    for (number, name) in NAMES.into_iter().enumerate() {
        if name == "realm" {
            continue;
        }
        let right = all_fields()[number][2..].to_vec();
        let twice = [&right[..], &right].concat();
        for content in [&b""[..], b"\x05\x00", b"\x30\x03\x02\x01", &twice] {
            let told = invalid(with(number, content));
            assert_eq!(told, format!("{name} is not what the specification says"));
        }
    }
}

#[test]
fn numbers_and_times_are_what_they_can_be() {
    let etype = |integer: &[u8]| invalid(with(8, &sequence(&[integer])));
    let broken = |name| format!("{name} is not what the specification says");
    assert_eq!(etype(b"\x02\x05\x00\xff\xff\xff\xff"), broken("etype"));
    assert_eq!(etype(b"\x02\x02\x00\x01"), broken("etype"));
    assert_eq!(etype(b"\x02\x00"), broken("etype"));
    for nonce in [
        &b"\x02\x05\x01\x00\x00\x00\x00"[..],
        b"\x02\x05\xff\x00\x00\x00\x00",
    ] {
        assert_eq!(invalid(with(7, nonce)), broken("nonce"));
    }
    for time in [
        "2037091302480Z",
        "20370913024805",
        "20370913024805.5Z",
        "2037-09-1302480Z",
        "20370913024805+00",
    ] {
        let time = tlv(0x18, &[time.as_bytes()]);
        assert_eq!(invalid(with(5, &time)), broken("till"));
    }
    for bits in [&b"\x03\x00"[..], b"\x03\x01\x01", b"\x03\x02\x08\x00"] {
        assert_eq!(invalid(with(0, bits)), broken("kdc-options"));
    }
}

/// What went through to KDCs before anything but the outline was looked at.
#[test]
fn what_is_broken_inside_is_not_valid() {
    let (pvno, msg_type) = (field(1, &integer(5)), field(2, &integer(10)));
    let (body, other) = (field(4, &body(REALM)), field(4, &body("OTHER.LAB")));
    let padata = |list: &[u8]| {
        let fields = [pvno.clone(), msg_type.clone(), field(3, list), body.clone()];
        invalid(as_req_of(&fields))
    };
    assert_eq!(
        padata(&octets(b"")),
        "padata is not what the specification says"
    );
    assert_eq!(
        padata(&sequence(&[&octets(b"")])),
        "padata is not what the specification says"
    );
    assert_eq!(
        padata(&sequence(&[&sequence(&[&field(1, &integer(2))])])),
        "padata-value is missing, or not in its place"
    );
    assert_eq!(
        invalid(as_req_of(&[msg_type.clone(), body.clone()])),
        "pvno is missing, or not in its place"
    );
    let mut cname = principal(1, &["alice"]);
    cname[1] += 1;
    assert_eq!(
        invalid(with(1, &cname)),
        "cname is not what the specification says"
    );
    let two = as_req_of(&[pvno.clone(), msg_type.clone(), body.clone(), other]);
    let unknown = "AS-REQ has a field that is unknown, out of order, or there twice";
    assert_eq!(invalid(two), unknown);
    let nine = field(9, &integer(1));
    let nine = as_req_of(&[pvno.clone(), msg_type.clone(), body.clone(), nine]);
    assert_eq!(invalid(nine), unknown);
    let four = as_req_of(&[field(1, &integer(4)), msg_type.clone(), body.clone()]);
    assert_eq!(invalid(four), "pvno is not what the specification says");
    let text = sequence(&[&field(1, &integer(2)), &field(2, &string("no octets"))]);
    assert_eq!(
        padata(&sequence(&[&text])),
        "padata-value is not what the specification says"
    );
    let thirty = as_req_of(&[pvno.clone(), field(2, &integer(30)), body.clone()]);
    assert_eq!(
        invalid(thirty),
        "msg-type is not what the specification says"
    );
    let nested = (0..2000).fold(vec![], |inner, _| sequence(&[&inner]));
    for number in [1, 3, 8, 9, 10, 11] {
        assert!(checked(Service::Kdc, with(number, &nested)).is_err());
    }
    padata(&nested);
}

#[test]
fn a_tgs_req_holds_an_ap_req() {
    let tgs_req = |padata: &[Vec<u8>]| kdc_req(12, padata, REALM);
    let ap_req = ap_req(REALM, &["krbtgt", REALM]);
    valid(tgs_req(&[pa_data(1, &ap_req), pa_data(129, b"anything")]));
    for padata in [&[][..], &[pa_data(2, &ap_req)]] {
        let told = "PA-TGS-REQ is missing, or not in its place";
        assert_eq!(invalid(tgs_req(padata)), told);
    }
    for value in [&b""[..], &ap_req[..9], &[&ap_req[..], b"\0"].concat()] {
        let told = "PA-TGS-REQ is not what the specification says";
        assert_eq!(invalid(tgs_req(&[pa_data(1, value)])), told);
    }
    // In an AS-REQ it says nothing.
    valid(kdc_req(10, &[pa_data(1, b"")], REALM));
}

#[test]
fn armor_is_looked_at_as_far_as_it_is_known() {
    let fast = |value: &[u8]| kdc_req(10, &[pa_data(136, value)], REALM);
    let ap_req = ap_req(REALM, &["krbtgt", REALM]);
    valid(fast(&fx_fast(1, Some(&ap_req))));
    valid(fast(&fx_fast(0, None)));
    valid(fast(&fx_fast(7, Some(b"of a kind to come"))));
    let told = "armor-value is not what the specification says";
    assert_eq!(invalid(fast(&fx_fast(1, Some(b"no AP-REQ")))), told);
    let missing = "armored-data is missing, or not in its place";
    assert_eq!(invalid(fast(b"")), missing);
    let extended = |more: &[u8]| {
        let whole = fx_fast(0, None);
        let fields = [&whole[4..], more].concat();
        fast(&field(0, &sequence(&[&fields])))
    };
    valid(extended(&field(3, b"of a version to come")));
    let told = "armored-data is not what the specification says";
    assert_eq!(invalid(extended(b"\xa3\x80")), told);
}

#[test]
fn a_change_of_a_password_is_an_ap_req_and_a_krb_priv() {
    let ap_req = ap_req(REALM, &["kadmin", "changepw"]);
    let checked = |ap_req: &[u8], krb_priv: &[u8]| {
        let frame = kpasswd_frame(1, ap_req, krb_priv);
        checked(Service::Kpasswd, frame).map_err(|invalid| invalid.to_string())
    };
    assert_eq!(checked(&ap_req, &krb_priv()), Ok(()));
    let broken = |name| Err(format!("{name} is not what the specification says"));
    let missing = |name| Err(format!("{name} is missing, or not in its place"));
    assert_eq!(checked(&ap_req, &message(21, &[])), missing("pvno"));
    let trailed = [krb_priv(), vec![0]].concat();
    assert_eq!(checked(&ap_req, &trailed), broken("KRB-PRIV"));
    let trailed = [&ap_req[..], b"\0"].concat();
    assert_eq!(checked(&trailed, &krb_priv()), broken("AP-REQ"));
    let bare = ticket(REALM, &["kadmin", "changepw"]);
    let no_authenticator = message(
        14,
        &[
            &field(0, &integer(5)),
            &field(1, &integer(14)),
            &field(2, &flags()),
            &field(3, &bare),
        ],
    );
    let told = checked(&no_authenticator, &krb_priv());
    assert_eq!(told, missing("authenticator"));
    let other = message(
        14,
        &[
            &field(0, &integer(4)),
            &field(3, &bare),
            &field(4, &encrypted()),
        ],
    );
    assert_eq!(checked(&other, &krb_priv()), broken("pvno"));
}
