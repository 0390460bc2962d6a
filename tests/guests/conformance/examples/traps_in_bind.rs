//! `bind` traps, in every role.

conformance::guest! {
    fn schema() -> EventSchema {
        trap()
    }

    fn bind_sampler(_: EventSchema) -> Result<Vec<u32>, String> {
        trap()
    }

    fn added(_: EventSchema) -> Vec<Field> {
        trap()
    }
}
