//! Returns 10,000 columns.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.columns = vec![Column::U32(Vec::new()); 10_000];
    }
}
