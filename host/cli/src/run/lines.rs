//! Output without a terminal: a line per path at intervals.

use std::time::Duration;

use super::rates::PathRate;
use crate::output::{grouped, short};
use crate::printable::clipped;

/// Interval of the summaries.
pub(super) const EVERY: Duration = Duration::from_secs(10);

/// Formats one path as one line.
pub(super) fn summary(rate: &PathRate) -> String {
    let cost = rate.plugin_ns_per_row.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.0}"));
    format!(
        "path {}: {} events/s, {} kept/s, {} out/s, lost {}, dropped {}, plugins {cost} ns/row, traps {}",
        clipped(&rate.probe, 32),
        short(rate.produced),
        short(rate.kept),
        short(rate.exported),
        grouped(rate.lost),
        grouped(rate.dropped),
        grouped(rate.traps)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_summed_up_in_one_line() {
        let rate = PathRate {
            probe: "file".into(),
            produced: 48_200.0,
            kept: 2_410.0,
            exported: 2_410.0,
            lost: 5,
            dropped: 0,
            plugin_ns_per_row: Some(41.4),
            traps: 1,
        };
        assert_eq!(
            summary(&rate),
            "path file: 48.2k events/s, 2.41k kept/s, 2.41k out/s, lost 5, dropped 0, plugins 41 ns/row, traps 1"
        );
    }
}
