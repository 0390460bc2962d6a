//! Its boolean is 2.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.columns.iter_mut().for_each(|column| {
            if let Column::Boolean(values) = column {
                values.fill(2);
            }
        });
    }
}
