//! Declares another schema whenever it is built, and traps so that it is built again.

conformance::guest! {
    fn schema() -> EventSchema {
        EventSchema { event: format!("test.event{}", clock::monotonic()), ..good() }
    }

    fn decode(_: Vec<u8>, _: Vec<u32>) -> Result<Decoded, String> {
        trap()
    }
}
