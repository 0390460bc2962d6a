//! Adds a second time to the schema.

conformance::guest! {
    fn added(_: EventSchema) -> Vec<Field> {
        vec![Field { use_: FieldUse::Time, ..field("guest.time", ColumnType::U64) }]
    }
}
