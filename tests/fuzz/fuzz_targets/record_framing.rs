//! libFuzzer's door to `fuzz::record_framing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::record_framing::check(data));
