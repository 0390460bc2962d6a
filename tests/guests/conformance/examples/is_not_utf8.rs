//! Its text is not UTF-8.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| values.bytes.fill(0xff));
    }
}
