//! Writes to keys that it was not granted, in a map of which it was granted some.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        let outside = maps::update("rates", b"other key", b"value");
        let inside = maps::update("rates", b"mine", b"value");
        Err(format!("outside {outside:?}, inside {inside:?}"))
    }
}
