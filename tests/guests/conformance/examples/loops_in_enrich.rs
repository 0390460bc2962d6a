//! `enrich` never returns.

conformance::guest! {
    fn enrich(_: u32) -> Result<Vec<Column>, String> {
        forever()
    }
}
