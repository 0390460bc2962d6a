//! `decide` never returns.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        forever()
    }
}
