//! Takes all the memory there is in a call.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        hoard()
    }
}
