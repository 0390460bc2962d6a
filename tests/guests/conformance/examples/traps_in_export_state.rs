//! Traps when it is asked for its state.

conformance::guest! {
    fn export_state() -> Result<State, String> {
        trap()
    }
}
