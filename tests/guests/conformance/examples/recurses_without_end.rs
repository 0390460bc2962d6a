//! Calls itself until there is no stack.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        Err(recurse(0).to_string())
    }
}
