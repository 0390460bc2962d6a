//! Ends in a Rust panic whose message would move the cursor.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        panic!("\x1b[2J\x1b]0;owned\x07 all is lost")
    }
}
