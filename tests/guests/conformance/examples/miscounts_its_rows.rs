//! Says that there is one row more than its columns have.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.rows += 1;
    }
}
