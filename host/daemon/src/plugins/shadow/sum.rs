//! The result of a candidate on all paths together.

use std::collections::BTreeMap;

use host_model::Comparison;

/// Returns the sums over paths. The cost is the mean of their medians, each weighted by the live plugin's time on its path.
#[allow(clippy::cast_precision_loss, reason = "nanoseconds below 2^53 are a hundred days")]
pub(super) fn sum(paths: &BTreeMap<String, Comparison>) -> Comparison {
    let mut sum = Comparison::default();
    for path in paths.values() {
        sum.batches += path.batches;
        sum.left_out += path.left_out;
        sum.dropped += path.dropped;
        sum.rows += path.rows;
        sum.differing += path.differing;
        sum.faults += path.faults;
        sum.live_rows += path.live_rows;
        sum.candidate_rows += path.candidate_rows;
        sum.timed_rows += path.timed_rows;
        sum.live_ns += path.live_ns;
        sum.candidate_ns += path.candidate_ns;
        join(&mut sum.missing_fields, &path.missing_fields);
        join(&mut sum.added_fields, &path.added_fields);
    }
    let weighted: f64 = paths.values().map(|path| path.cost * path.live_ns as f64).sum();
    sum.cost = if sum.live_ns == 0 { 0.0 } else { weighted / sum.live_ns as f64 };
    // One example of each path in turn, so that a path with many does not hide the others.
    let turns = (0..Comparison::EXAMPLES).flat_map(|turn| paths.values().filter_map(move |path| path.examples.get(turn)));
    sum.examples = turns.take(Comparison::EXAMPLES).cloned().collect();
    sum
}

fn join(all: &mut Vec<String>, names: &[String]) {
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use host_model::Example;

    use super::*;

    fn path(rows: u64, live_ns: u64, cost: f64, examples: usize) -> Comparison {
        let example = Example { live: rows.to_string(), ..Example::default() };
        let examples = vec![example; examples];
        let missing_fields = vec!["a".to_owned()];
        Comparison { rows, timed_rows: rows, differing: 1, live_ns, cost, examples, missing_fields, ..Comparison::default() }
    }

    #[test]
    fn a_busy_path_weighs_more_and_every_path_has_its_examples() {
        let paths = BTreeMap::from([("a".to_owned(), path(90, 900, 2.0, 10)), ("b".to_owned(), path(10, 100, 1.0, 2))]);
        let sum = sum(&paths);
        assert_eq!((sum.rows, sum.timed_rows, sum.differing, sum.cost), (100, 100, 2, 1.9));
        assert_eq!(sum.missing_fields, ["a"]);
        assert_eq!(sum.examples.len(), Comparison::EXAMPLES);
        assert_eq!(sum.examples.iter().filter(|example| example.live == "10").count(), 2);
    }

    #[test]
    fn nothing_costs_nothing() {
        assert_eq!(sum(&BTreeMap::new()), Comparison::default());
    }
}
