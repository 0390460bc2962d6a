//! Asks for its configuration for ever, by a key of 64 KiB.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        let key = "k".repeat(64 << 10);
        loop {
            config::get(&key);
        }
    }
}
