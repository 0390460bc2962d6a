//! Returns a column less than it was asked for.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.columns.pop();
    }
}
