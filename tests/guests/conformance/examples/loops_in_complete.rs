//! `complete` never returns.

conformance::guest! {
    fn complete(_: Vec<u32>, _: Vec<u32>) -> Result<Vec<Column>, String> {
        forever()
    }
}
