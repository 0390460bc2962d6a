//! The cost of the limits: the whole path with plugins that can be interrupted beside the same without, in turns. Only deadlines cost time
//! in every call: code checks the epoch in each loop. Memory and tables are checked only when they grow.

use std::sync::Arc;

use host_pipeline::Stages;
use host_plugin::Engine;
use serde_json::{Value, json};

use crate::whole::{WayOut, pass};
use crate::{ALL, ONE_IN_TEN, Workshop};

/// Number of pairs of passes, one of each side; the median of their ratios counts, so that a disturbed one does not.
const PAIRS: usize = 15;

/// Prints the table; returns the rows for the file.
pub(crate) fn measure(workshop: &Workshop) -> Vec<Value> {
    let endless = workshop.with(Engine::without_interruption().unwrap());
    println!("\n| limits on | rows | without ns | with ns | ratio |");
    println!("|---|---|---|---|---|");
    let mut rows = Vec::new();
    for (stage, config) in [("whole path", ONE_IN_TEN), ("whole path, all kept", ALL)] {
        for size in [64, 1024, 4096] {
            let tape = workshop.tape(size);
            let cost = |workshop: &Workshop| pass(stages(workshop, config), tape, size, &WayOut::Counted);
            // The first pass of each side warms up.
            cost(workshop);
            cost(&endless);
            let pairs: Vec<(f64, f64)> = (0..PAIRS)
                .map(|pair| match pair % 2 {
                    // Neither side is always first.
                    0 => (cost(&endless), cost(workshop)),
                    _ => {
                        let with = cost(workshop);
                        (cost(&endless), with)
                    }
                })
                .collect();
            let without = median(pairs.iter().map(|(without, _)| *without));
            let with = median(pairs.iter().map(|(_, with)| *with));
            let ratio = median(pairs.iter().map(|(without, with)| with / without));
            println!("| {stage} | {size} | {without:.1} | {with:.1} | {ratio:.3} |");
            rows.push(json!({"interruption": stage, "rows": size, "without_ns": without, "with_ns": with, "ratio": ratio}));
        }
    }
    rows
}

fn stages(workshop: &Workshop, config: &str) -> Stages {
    let decoder = workshop.decoder();
    let schema = Arc::clone(decoder.schema());
    Stages { decoder, sampler: Some(workshop.sampler(&schema, config)), enrichers: vec![workshop.enricher(&schema)] }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
