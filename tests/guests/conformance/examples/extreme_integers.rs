//! Its times and durations are 2^64 - 1, its signed numbers -2^63.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        numbers(decoded).for_each(|values| values.fill(u64::MAX));
        decoded.columns.iter_mut().for_each(|column| {
            if let Column::I64(values) = column {
                values.fill(i64::MIN);
            }
        });
    }
}
