//! Hands over a state of 8 MiB.

conformance::guest! {
    fn export_state() -> Result<State, String> {
        Ok(State { version: 1, bytes: vec![7; 8 << 20] })
    }
}
