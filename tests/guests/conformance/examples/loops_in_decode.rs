//! `decode` never returns.

conformance::guest! {
    fn decode(_: Vec<u8>, _: Vec<u32>) -> Result<Decoded, String> {
        forever()
    }
}
