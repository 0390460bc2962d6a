//! The offsets of its text fall.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| values.offsets[1] = values.bytes.len() as u32 + 1);
    }
}
