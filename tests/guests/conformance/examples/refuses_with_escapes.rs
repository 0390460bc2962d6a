//! Refuses to be bound, with words that would colour the terminal.

conformance::guest! {
    fn bind_sampler(_: EventSchema) -> Result<Vec<u32>, String> {
        Err("\x1b[31m`ratio` is\x07 wrong\u{202e}".into())
    }
}
