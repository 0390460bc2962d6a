//! `import-state` never returns.

conformance::guest! {
    fn import_state(_: State) -> Result<(), String> {
        forever()
    }
}
