//! libFuzzer's door to `fuzz::control_request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::control_request::check(data));
