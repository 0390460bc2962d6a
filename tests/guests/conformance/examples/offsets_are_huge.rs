//! The offsets of its text do not fit into 31 bits.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| values.offsets[1..].fill(u32::MAX));
    }
}
