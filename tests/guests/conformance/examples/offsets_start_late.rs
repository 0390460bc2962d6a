//! The first offset of its text is not 0.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| values.offsets[0] = 1);
    }
}
