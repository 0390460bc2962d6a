//! Wants a field that the schema does not have.

conformance::guest! {
    fn bind_sampler(_: EventSchema) -> Result<Vec<u32>, String> {
        Ok(vec![u32::MAX])
    }
}
