//! libFuzzer's door to `fuzz::component_inspection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::component_inspection::check(data));
