//! Sampler that keeps a share of the rows, and all that failed or were slow.

use plugin_sdk::{Columns, Config, Decisions, EventSchema, FieldUse, Sampler, threshold};
use serde::Deserialize;

/// The settings; see the README.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    ratio: f64,
    keep_failed: bool,
    slow_ms: u64,
}

/// The sampler.
pub struct Ratio {
    wanted: Vec<u32>,
    threshold: u64,
    failed: bool,
    slow_ns: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ratio: 1.0, keep_failed: true, slow_ms: 100 }
    }
}

impl Sampler for Ratio {
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        let settings: Settings = config.parse()?;
        let error = schema.used(FieldUse::Error).filter(|_| settings.keep_failed);
        let duration = schema.used(FieldUse::Duration).filter(|_| settings.slow_ms > 0);
        Ok(Self {
            wanted: error.into_iter().chain(duration).collect(),
            threshold: threshold(settings.ratio),
            failed: error.is_some(),
            slow_ns: duration.map(|_| settings.slow_ms * 1_000_000),
        })
    }

    fn wanted(&self) -> Vec<u32> {
        self.wanted.clone()
    }

    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String> {
        let mut thresholds = vec![self.threshold; columns.rows()];
        if self.failed {
            for (threshold, empty) in thresholds.iter_mut().zip(columns.text(0)?.empties()) {
                *threshold = if empty { *threshold } else { 0 };
            }
        }
        if let Some(slow) = self.slow_ns {
            for (threshold, &duration) in thresholds.iter_mut().zip(columns.u64(usize::from(self.failed))?) {
                *threshold = if duration < slow { *threshold } else { 0 };
            }
        }
        Ok(Decisions::each(thresholds))
    }
}

plugin_sdk::export!(sampler: Ratio);
