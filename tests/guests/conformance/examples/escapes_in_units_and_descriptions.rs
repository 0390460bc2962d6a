//! Units and descriptions would move the cursor.

conformance::guest! {
    fn schema() -> EventSchema {
        let mut schema = good();
        schema.fields.iter_mut().for_each(|field| field.unit = "\x1b[2J".repeat(1000));
        schema.metrics.iter_mut().for_each(|metric| metric.description = "\x1b[2J".repeat(1000));
        schema
    }
}
