//! The name of a field would colour the terminal.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { fields: [good().fields, vec![field("\x1b[31mred", ColumnType::U64)]].concat(), ..good() }
    }
}
