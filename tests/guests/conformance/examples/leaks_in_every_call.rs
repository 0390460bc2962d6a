//! Forgets 256 KiB in every call.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        std::mem::forget(std::hint::black_box(vec![1_u8; 256 << 10]));
        Ok(Decisions { thresholds: vec![0], randomness: Vec::new() })
    }
}
