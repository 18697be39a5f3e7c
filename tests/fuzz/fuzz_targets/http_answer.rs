//! See `src/answer.rs`, which the tests of properties use, too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| loopkdc_fuzz::answer::check(data));
