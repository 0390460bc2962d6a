//! Asks a table for a million keys and a thousand columns at once.

conformance::guest! {
    fn decide(_: u32) -> Result<Decisions, String> {
        let columns: Vec<String> = (0..1000).map(|index| format!("column{index}")).collect();
        Err(format!("{:?}", tables::lookup("process", &vec![0; 1_000_000], &columns).map(|_| ())))
    }
}
