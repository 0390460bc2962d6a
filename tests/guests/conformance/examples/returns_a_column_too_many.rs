//! Returns a column more than it was asked for.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.columns.push(Column::U32(vec![0; decoded.rows as usize]));
    }
}
