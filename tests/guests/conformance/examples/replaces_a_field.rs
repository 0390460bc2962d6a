//! Adds a field that is there already.

conformance::guest! {
    fn added(schema: EventSchema) -> Vec<Field> {
        schema.fields
    }
}
