//! Its schema has 100,000 fields.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { fields: [good().fields, fields(100_000)].concat(), ..good() }
    }
}
