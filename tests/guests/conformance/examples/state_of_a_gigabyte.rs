//! Hands over a state of 1 GiB that it does not have.

conformance::guest! {
    fn export_state() -> Result<State, String> {
        // Only its pointer and its length leave this function.
        let bytes = unsafe { Vec::from_raw_parts(std::ptr::dangling_mut::<u8>(), 1 << 30, 1 << 30) };
        Ok(State { version: 1, bytes })
    }
}
