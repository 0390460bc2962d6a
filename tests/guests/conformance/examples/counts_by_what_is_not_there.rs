//! Its metric has a condition on a field that is not there.

conformance::guest! {
    fn schema() -> EventSchema {
        let only = vec![Condition { field: u32::MAX, equals: 1 }];
        EventSchema { metrics: vec![Metric { only, ..good().metrics.remove(0) }], ..good() }
    }
}
