//! Two of its fields have one name.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { fields: [good().fields, vec![field("time", ColumnType::U64)]].concat(), ..good() }
    }
}
