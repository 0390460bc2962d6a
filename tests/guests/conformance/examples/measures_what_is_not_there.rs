//! Its metric measures a field that is not there.

conformance::guest! {
    fn schema() -> EventSchema {
        let metric = Metric { instrument: Instrument::Histogram, value: u32::MAX, ..good().metrics.remove(0) };
        EventSchema { metrics: vec![metric], ..good() }
    }
}
