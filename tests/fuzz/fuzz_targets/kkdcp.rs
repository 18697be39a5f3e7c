//! KDC-PROXY-MESSAGE: what decodes encodes to the same octets (DER has one encoding only), but for a hint of more than 32 bits,
//! and what is put in comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loopkdc_fuzz::wire::{Framed, IntegerFlags, kkdcp};

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = kkdcp::decode(data) {
        let encoded = kkdcp::encode(&message);
        let has_hint = message.dclocator_hint.is_some();
        assert!(encoded == data || has_hint && encoded.len() < data.len());
        assert_eq!(kkdcp::decode(&encoded).unwrap(), message);
        let (bare, had_length) = message.message();
        if had_length {
            assert_eq!(Framed::wrap(&bare).as_bytes(), message.kerb_message);
        } else {
            assert_eq!(bare, message.kerb_message);
        }
    }
    // Any octets as the message of a request, with a domain and a hint made of the same octets.
    let domain = String::from_utf8_lossy(data.get(..data.len().min(64)).unwrap_or_default());
    let hint = data.first_chunk().map(|octets| u32::from_be_bytes(*octets));
    let body = kkdcp::encode_request(&Framed::wrap(data), &domain, hint);
    let decoded = kkdcp::decode(&body).unwrap();
    assert_eq!(decoded.message(), (data, true));
    assert_eq!(decoded.target_domain.unwrap().as_bytes(), domain.as_bytes());
    assert_eq!(decoded.dclocator_hint, hint.map(IntegerFlags));
});
