//! Any octets as the answer of a KDC proxy; `src/answer.rs` says what is asserted, as it is in `tests/properties.rs` too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| loopkdc_fuzz::answer::check(data));
