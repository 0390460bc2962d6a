//! Every third call of `decide` traps.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        if nth(3) {
            trap();
        }
        Ok(Decisions { thresholds: vec![0], randomness: Vec::new() })
    }
}
