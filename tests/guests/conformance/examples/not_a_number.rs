//! Its floats are NaN, infinity and the smallest there is.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        decoded.columns.iter_mut().for_each(|column| {
            if let Column::F64(values) = column {
                let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::from_bits(1), -0.0];
                values.iter_mut().zip(strange.iter().cycle()).for_each(|(value, strange)| *value = *strange);
            }
        });
    }
}
