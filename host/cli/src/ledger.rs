//! The ledger as a table: a stage per line, a path per column, so that each sum stands above its parts.

use host_api::PathStatus;
use host_model::Ledger;

use crate::output::{Align, columns, grouped, since};
use crate::printable::clipped;

/// The label of a line, its sum, and whether it is shown when zero.
type Line = (&'static str, fn(&Ledger) -> u64, Zero);

/// Whether a line is shown when it is zero for all paths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    Shown,
    Left,
}

/// The stages in the order of the path. An indented line is a part of the sum above it.
const LINES: &[Line] = &[
    ("filtered in kernel", |l| l.filtered_in_kernel, Zero::Left),
    ("missed in kernel", |l| l.missed_in_kernel, Zero::Left),
    ("unread in kernel", |l| l.unread_in_kernel, Zero::Left),
    ("produced", |l| l.produced, Zero::Shown),
    ("  lost in ring", |l| l.lost_in_ring, Zero::Shown),
    ("  in ring", |l| l.in_ring, Zero::Left),
    ("  received", |l| l.received, Zero::Shown),
    ("    undecodable", |l| l.undecodable, Zero::Shown),
    ("    decoded", |l| l.decoded, Zero::Shown),
    ("    given back", |l| l.given_back, Zero::Left),
    ("    unrouted", |l| l.unrouted, Zero::Left),
    ("    held", |l| l.held, Zero::Left),
    ("    routed", |l| l.routed, Zero::Left),
    ("    lost in change", |l| l.lost_in_change, Zero::Left),
    ("    less taken back", |l| l.taken_back, Zero::Left),
    ("    less doubled", |l| l.doubled, Zero::Left),
    ("handed to protocols", |l| l.handed, Zero::Left),
    ("  notes", |l| l.notes, Zero::Left),
    ("  retired", |l| l.retired, Zero::Left),
    ("rows", |l| l.rows, Zero::Shown),
    ("raw events", |l| l.raw, Zero::Left),
    ("  sampled out", |l| l.sampled_out, Zero::Shown),
    ("  kept", |l| l.kept, Zero::Shown),
    ("    dropped at export", |l| l.dropped_at_export, Zero::Shown),
    ("      queue full", |l| l.dropped_queue_full, Zero::Left),
    ("      refused", |l| l.dropped_rejected, Zero::Left),
    ("      at shutdown", |l| l.dropped_at_shutdown, Zero::Left),
    ("    in flight", |l| l.in_flight, Zero::Left),
    ("    exported", |l| l.exported, Zero::Shown),
];

/// Maximum number of paths side by side in 80 columns.
const PATHS_PER_TABLE: usize = 4;

/// Returns the ledgers of these paths, and a last line for those that do not balance.
pub(crate) fn table<'a>(paths: impl IntoIterator<Item = (&'a str, &'a Ledger)>) -> String {
    let paths: Vec<_> = paths.into_iter().collect();
    let mut tables = Vec::new();
    for group in paths.chunks(PATHS_PER_TABLE) {
        let names: Vec<String> = group.iter().map(|(name, _)| clipped(name, 12)).collect();
        let mut headings = vec![("LEDGER", Align::Left)];
        headings.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
        let lines = LINES.iter().filter_map(|(label, value, zero)| {
            let values: Vec<u64> = group.iter().map(|(_, ledger)| value(ledger)).collect();
            if *zero == Zero::Left && values.iter().all(|value| *value == 0) {
                return None;
            }
            Some(std::iter::once((*label).to_owned()).chain(values.into_iter().map(grouped)).collect())
        });
        tables.push(columns(&headings, lines));
    }
    let mut text = tables.join("\n");
    for (name, _) in paths.iter().filter(|(_, ledger)| !ledger.balanced()) {
        text.push_str(&format!("UNBALANCED {}: a sum above does not hold; please report this\n", clipped(name, 40)));
    }
    text
}

/// Returns the ledgers of a status.
pub(crate) fn of_paths(paths: &[PathStatus]) -> String {
    let mut text = table(paths.iter().map(|path| (path.probe.as_str(), &path.ledger)));
    for path in paths.iter().filter(|path| path.ledger_age_ms > 0) {
        let (name, age) = (clipped(&path.probe, 40), since(path.ledger_age_ms));
        text.push_str(&format!("{name}: sums of {age} ago; its thread is busy with one batch\n"));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const FILE: Ledger = Ledger {
        produced: 201_000,
        filtered_in_kernel: 40,
        missed_in_kernel: 0,
        unread_in_kernel: 0,
        lost_in_ring: 5,
        in_ring: 0,
        received: 200_995,
        decoded: 200_994,
        undecodable: 1,
        routed: 0,
        unrouted: 0,
        held: 0,
        given_back: 0,
        taken_back: 0,
        lost_in_change: 0,
        doubled: 0,
        notes: 0,
        handed: 0,
        retired: 0,
        rows: 200_994,
        raw: 1,
        sampled_out: 180_000,
        kept: 20_995,
        exported: 20_990,
        dropped_at_export: 0,
        dropped_queue_full: 0,
        dropped_rejected: 0,
        dropped_at_shutdown: 0,
        in_flight: 5,
    };

    #[test]
    fn each_sum_stands_above_its_parts() {
        let exec = Ledger { produced: 4, received: 4, decoded: 4, rows: 4, kept: 4, exported: 4, ..Ledger::default() };
        let expected = "\
LEDGER                 exec     file
filtered in kernel        0       40
produced                  4  201,000
  lost in ring            0        5
  received                4  200,995
    undecodable           0        1
    decoded               4  200,994
rows                      4  200,994
raw events                0        1
  sampled out             0  180,000
  kept                    4   20,995
    dropped at export     0        0
    in flight             0        5
    exported              4   20,990
";
        assert_eq!(table([("exec", &exec), ("file", &FILE)]), expected);
    }

    #[test]
    fn what_is_routed_has_lines_where_something_is() {
        let trunk = Ledger { produced: 9, received: 9, routed: 7, handed: 7, unrouted: 2, ..Ledger::default() };
        let text = table([("l7", &trunk), ("file", &FILE)]);
        let has = |wanted: [&str; 3]| text.lines().any(|line| line.split_whitespace().eq(wanted));
        assert!(has(["unrouted", "2", "0"]) && has(["routed", "7", "0"]) && !text.contains("held"), "{text}");
    }

    #[test]
    fn a_sum_that_does_not_hold_is_said_in_words() {
        let ledger = Ledger { kept: 1, ..Ledger::default() };
        assert!(table([("exec", &ledger)]).ends_with("UNBALANCED exec: a sum above does not hold; please report this\n"));
    }

    #[test]
    fn a_fifth_path_starts_a_second_table() {
        let ledger = Ledger::default();
        let names = ["a", "b", "c", "d", "e"];
        let text = table(names.iter().map(|name| (*name, &ledger)));
        assert_eq!(text.matches("LEDGER").count(), 2);
        assert!(text.lines().all(|line| line.len() <= 80));
    }
}
