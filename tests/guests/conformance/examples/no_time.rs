//! None of its fields is the time.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { fields: fields(3), ..good() }
    }
}
