//! Its text has no offsets at all.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| values.offsets.clear());
    }
}
