//! Answers with errors whose text would colour the terminal and ring its bell.

conformance::guest! {
    fn decode(_: Vec<u8>, _: Vec<u32>) -> Result<Decoded, String> {
        Err(words())
    }

    fn decide(_: u32) -> Result<Decisions, String> {
        Err(words())
    }

    fn enrich(_: u32) -> Result<Vec<Column>, String> {
        Err(words())
    }
}

fn words() -> String {
    format!("\x1b[31mnot today\x07\r\n{}", "and so on ".repeat(1_000_000))
}
