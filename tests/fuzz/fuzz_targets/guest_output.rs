//! libFuzzer's door to `fuzz::guest_output`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::guest_output::check(data));
