//! Its schema has 1000 metrics.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { metrics: vec![good().metrics.remove(0); 1000], ..good() }
    }
}
