//! Takes all the memory there is while it is bound.

conformance::guest! {
    fn bind_sampler(_: EventSchema) -> Result<Vec<u32>, String> {
        hoard()
    }
}
