//! The name of its event would set the title of the terminal.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { event: "\x1b]0;owned\x07".into(), ..good() }
    }
}
