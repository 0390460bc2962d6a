//! `export-state` never returns.

conformance::guest! {
    fn export_state() -> Result<State, String> {
        forever()
    }
}
