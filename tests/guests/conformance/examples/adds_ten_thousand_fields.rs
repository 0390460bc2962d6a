//! Adds 10,000 fields.

conformance::guest! {
    fn added(_: EventSchema) -> Vec<Field> {
        fields(10_000)
    }
}
