//! Sampler that keeps a share of the rows, and all failed or slow ones.

mod budget;
mod settings;

pub use settings::Settings;

use budget::Budget;
use plugin_sdk::{
    Columns, Config, Decisions, EventSchema, FieldUse, Handover, KernelPlan, Sampler, State, Stats, hashes, threshold,
};

/// The sampler.
pub struct Ratio {
    wanted: Vec<u32>,
    /// The index of `error.type` among the wanted columns, if it is used.
    failed: Option<usize>,
    /// The index of the duration, and the number of nanoseconds from which a row is slow.
    slow: Option<(usize, u64)>,
    /// The index of the first hashed column; they are the last columns.
    hashed: usize,
    /// The threshold of rows that neither failed nor were slow.
    threshold: u64,
    budget: Option<Budget>,
}

/// Number of low bits of a hash that are not used: randomness has 56 bits.
const UNUSED_BITS: u32 = 8;

// === impl Ratio ===

impl Sampler for Ratio {
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        let settings = Settings::parse(config)?;
        let budget = settings.budget_per_second.map(|rows| Budget::new(rows, settings.ratio, settings.kernel));
        let mut ratio =
            Self { wanted: Vec::new(), failed: None, slow: None, hashed: 0, threshold: threshold(settings.ratio), budget };
        if ratio.threshold == 0 && ratio.budget.is_none() {
            return Ok(ratio);
        }
        if let Some(field) = schema.used(FieldUse::Error).filter(|_| settings.keep_failed) {
            ratio.failed = Some(ratio.want(field));
        }
        if let Some(field) = schema.used(FieldUse::Duration).filter(|_| settings.slow_ms > 0) {
            ratio.slow = Some((ratio.want(field), settings.slow_ms.saturating_mul(1_000_000)));
        }
        ratio.hashed = ratio.wanted.len();
        ratio.wanted.extend(settings.hash.iter().filter_map(|name| schema.named(name)));
        Ok(ratio)
    }

    fn wanted(&self) -> Vec<u32> {
        self.wanted.clone()
    }

    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String> {
        let mut decisions = Decisions::all(self.threshold);
        if self.threshold != 0 {
            self.spare_failed(columns, &mut decisions.thresholds)?;
            self.spare_slow(columns, &mut decisions.thresholds)?;
        }
        if let Some(budget) = &mut self.budget {
            budget.count(columns.rows(), &decisions.thresholds, self.threshold);
        }
        let hashed = self.hashed..self.wanted.len();
        if !hashed.is_empty() {
            decisions.randomness = hashes(columns, hashed)?.into_iter().map(|hash| hash >> UNUSED_BITS).collect();
        }
        Ok(decisions)
    }

    fn tune(&mut self, stats: Stats) -> Option<KernelPlan> {
        let budget = self.budget.as_mut()?;
        let plan = budget.tune(&stats);
        self.threshold = threshold(budget.ratio());
        plan
    }
}

impl Handover for Ratio {
    fn export_state(&mut self) -> Result<State, String> {
        Ok(self.budget.as_ref().map_or(State { version: budget::STATE_VERSION, bytes: Vec::new() }, Budget::state))
    }

    fn import_state(&mut self, state: State) -> Result<(), String> {
        if let Some(budget) = &mut self.budget {
            budget.resume(&state)?;
            self.threshold = threshold(budget.ratio());
        }
        Ok(())
    }
}

impl Ratio {
    /// Asks for a field; returns its index among the columns.
    fn want(&mut self, field: u32) -> usize {
        self.wanted.push(field);
        self.wanted.len() - 1
    }

    fn spare_failed(&self, columns: &Columns, thresholds: &mut Vec<u64>) -> Result<(), String> {
        let Some(column) = self.failed else { return Ok(()) };
        let errors = columns.text(column)?;
        if !errors.bytes.is_empty() {
            self.spare(columns.rows(), thresholds, errors.empties().map(|empty| !empty));
        }
        Ok(())
    }

    fn spare_slow(&self, columns: &Columns, thresholds: &mut Vec<u64>) -> Result<(), String> {
        let Some((column, slow)) = self.slow else { return Ok(()) };
        let durations = columns.u64(column)?;
        if durations.iter().fold(0, |longest, &duration| duration.max(longest)) >= slow {
            self.spare(columns.rows(), thresholds, durations.iter().map(|&duration| duration >= slow));
        }
        Ok(())
    }

    /// Keeps these rows whatever their randomness. From here on there is a threshold per row.
    fn spare(&self, rows: usize, thresholds: &mut Vec<u64>, spared: impl Iterator<Item = bool>) {
        if thresholds.len() == 1 {
            thresholds.resize(rows, self.threshold);
        }
        for (threshold, spared) in thresholds.iter_mut().zip(spared) {
            *threshold = if spared { 0 } else { *threshold };
        }
    }
}

plugin_sdk::export!(sampler: Ratio; handover);
