//! Asks the time for ever.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        loop {
            clock::monotonic();
        }
    }
}
