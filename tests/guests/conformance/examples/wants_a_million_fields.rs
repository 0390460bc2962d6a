//! Wants a million fields.

conformance::guest! {
    fn bind_sampler(_: EventSchema) -> Result<Vec<u32>, String> {
        Ok(vec![0; 1_000_000])
    }
}
