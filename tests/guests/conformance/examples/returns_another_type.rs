//! Returns a column of another type than its schema says.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        let rows = decoded.rows as usize;
        decoded.columns.iter_mut().for_each(|column| *column = Column::U32(vec![0; rows]));
    }
}
