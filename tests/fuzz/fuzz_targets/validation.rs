//! Any octets as a request: what a gateway takes for valid, the decoders of MIT krb5's own KDC take, too, and neither more nor
//! less of the same octets is valid.
#![no_main]

use std::ffi::{c_char, c_uint, c_void};
use std::ptr::null_mut;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use loopkdc_fuzz::wire::{KerberosMessage, Kind, Service};

/// krb5_data.
#[repr(C)]
struct Data {
    magic: i32,
    length: c_uint,
    data: *const c_char,
}

type Decoder = unsafe extern "C" fn(*const Data, *mut *mut c_void) -> i32;
type Freer = unsafe extern "C" fn(*mut c_void, *mut c_void);

// libkrb5 exports them, and no header that is installed declares them.
#[link(name = "krb5")]
unsafe extern "C" {
    fn decode_krb5_as_req(data: *const Data, message: *mut *mut c_void) -> i32;
    fn decode_krb5_tgs_req(data: *const Data, message: *mut *mut c_void) -> i32;
    fn decode_krb5_ap_req(data: *const Data, message: *mut *mut c_void) -> i32;
    fn decode_krb5_priv(data: *const Data, message: *mut *mut c_void) -> i32;
    fn krb5_free_kdc_req(context: *mut c_void, message: *mut c_void);
    fn krb5_free_ap_req(context: *mut c_void, message: *mut c_void);
    fn krb5_free_priv(context: *mut c_void, message: *mut c_void);
}

/// ASN1_OVERFLOW (`asn1_err.et`): a nonce or a kvno above 2^31, which RFC 4120 allows and libkrb5 does not hold.
const OVERFLOW: i32 = 1_859_794_436;

fuzz_target!(|data: &[u8]| {
    for service in [Service::Kdc, Service::Kpasswd] {
        let Some(kind) = valid(service, data) else {
            continue;
        };
        let longer = [data, &[0]].concat();
        for other in [&longer[..], &data[..data.len() - 1]] {
            assert_eq!(valid(service, other), None);
        }
        match kind {
            Kind::AsReq => check(data, decode_krb5_as_req, krb5_free_kdc_req),
            Kind::TgsReq => check(data, decode_krb5_tgs_req, krb5_free_kdc_req),
            Kind::Kpasswd => {
                let ap_length = usize::from(u16::from_be_bytes([data[4], data[5]]));
                let (ap_req, krb_priv) = data[6..].split_at(ap_length);
                check(ap_req, decode_krb5_ap_req, krb5_free_ap_req);
                check(krb_priv, decode_krb5_priv, krb5_free_priv);
            }
        }
    }
});

fn valid(service: Service, octets: &[u8]) -> Option<Kind> {
    let message = KerberosMessage::parse(service, Bytes::copy_from_slice(octets)).ok()?;
    message.validate().ok()?;
    Some(message.kind())
}

fn check(octets: &[u8], decode: Decoder, release: Freer) {
    let data = Data {
        magic: 0,
        length: octets.len().try_into().unwrap(),
        data: octets.as_ptr().cast(),
    };
    let mut message = null_mut();
    // Both only read `data`; what was decoded is freed once, for which no context is needed.
    unsafe {
        let code = decode(&data, &mut message);
        assert!(code == 0 || code == OVERFLOW, "{code}");
        if code == 0 {
            release(null_mut(), message);
        }
    }
}
