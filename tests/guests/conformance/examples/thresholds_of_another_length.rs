//! Returns three thresholds, however many rows there are.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        Ok(Decisions { thresholds: vec![0; 3], randomness: Vec::new() })
    }
}
