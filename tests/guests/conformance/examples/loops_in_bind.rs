//! `bind` never returns.

conformance::guest! {
    fn bind_sampler(_: EventSchema) -> Result<Vec<u32>, String> {
        forever()
    }
}
