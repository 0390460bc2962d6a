//! Says that it made 2^32 - 1 rows, without a column to show for it.

conformance::guest! {
    fn decode(_: Vec<u8>, _: Vec<u32>) -> Result<Decoded, String> {
        Ok(Decoded { rows: u32::MAX, columns: Vec::new(), undecodable: Vec::new() })
    }
}
