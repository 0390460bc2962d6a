//! Reads a column that it was not granted.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        Err(format!("{:?}", tables::lookup("process", &[1], &["command_line".into()])))
    }
}
