//! Ends one text and begins the next within a character.

conformance::guest! {
    fn lie(decoded: &mut Decoded) {
        texts(decoded).for_each(|values| {
            values.bytes = "ö".repeat(values.bytes.len()).into_bytes();
            *values.offsets.last_mut().unwrap() = values.bytes.len() as u32;
            values.offsets[1] = 1;
        });
    }
}
