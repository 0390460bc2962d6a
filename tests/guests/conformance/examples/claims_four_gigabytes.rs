//! Returns a list of 2^29 numbers, 4 GiB, that it does not have.

conformance::guest! {
    #[allow(invalid_value)]
    fn decide(_: u32) -> Result<Decisions, String> {
        // Only its pointer and its length leave this function.
        let thresholds = unsafe { Vec::from_raw_parts(std::ptr::dangling_mut::<u64>(), 1 << 29, 1 << 29) };
        Ok(Decisions { thresholds, randomness: Vec::new() })
    }
}
