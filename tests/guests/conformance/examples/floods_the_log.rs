//! Writes 10,000 lines in every call, each of 64 KiB and with escapes.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        let line = "\x1b[2Jlook at me\n".repeat(4096);
        (0..10_000).for_each(|_| log::write(Level::Error, &line));
        Ok(Decisions { thresholds: vec![0], randomness: Vec::new() })
    }
}
