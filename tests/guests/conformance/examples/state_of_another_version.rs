//! Hands over a state that nobody knows.

conformance::guest! {
    fn export_state() -> Result<State, String> {
        Ok(State { version: u32::MAX, bytes: b"\x1b[31m".to_vec() })
    }
}
