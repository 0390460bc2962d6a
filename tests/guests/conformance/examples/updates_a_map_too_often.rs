//! Writes to a map that it was granted, a hundred times a call.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        let written = (0..100).filter(|_| maps::update("rates", b"mine", b"value").is_ok()).count();
        let refused = maps::update("rates", b"mine", b"value");
        Err(format!("{written} written, then {refused:?}"))
    }
}
