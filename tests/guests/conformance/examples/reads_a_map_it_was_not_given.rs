//! Reads a map that it was not granted.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        Err(format!("{:?}", maps::lookup("secrets", b"key")))
    }
}
