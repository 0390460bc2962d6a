//! `expects` never returns.

conformance::guest! {
    fn expects() -> Option<RecordLayout> {
        forever()
    }
}
