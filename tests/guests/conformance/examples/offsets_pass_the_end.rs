//! The last offset of its text is behind the end of the bytes.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| *values.offsets.last_mut().unwrap() += 1000);
    }
}
