//! Behaves, and drops the first row of every hundred.

use std::cell::Cell;

thread_local! {
    static ROW: Cell<u32> = const { Cell::new(0) };
}

conformance::guest! {
    fn decide(rows: u32) -> Result<Decisions, String> {
        let first = ROW.get();
        ROW.set((first + rows) % 100);
        let threshold = |row| if row % 100 == 0 { 1 << 56 } else { 0 };
        Ok(Decisions { thresholds: (first..first + rows).map(threshold).collect(), randomness: Vec::new() })
    }
}
