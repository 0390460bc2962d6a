//! Traps when it is given a state.

conformance::guest! {
    fn import_state(_: State) -> Result<(), String> {
        trap()
    }
}
