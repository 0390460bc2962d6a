//! The policy in Rust: keeps rows that failed or were slow, and one in N of the others.

use plugin_sdk::{ALWAYS, Columns, Config, Decisions, EventSchema, FieldUse, Sampler};

/// The settings of the operator.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// Slower rows are kept.
    slow_ms: u64,
    /// One in this many of the other rows is kept, by process.
    one_in: u32,
    /// Whether to never return, to show how the host reacts.
    spin: bool,
}

/// The sampler.
pub struct Policy {
    /// The fields duration, error, process.
    wanted: Vec<u32>,
    slow_ns: u64,
    /// Threshold of rows that neither failed nor were slow.
    threshold: u64,
    spin: bool,
}

// === impl Policy ===

impl Sampler for Policy {
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        let settings: Settings = config.parse()?;
        if settings.one_in == 0 {
            return Err("`one_in` is 0; it may be 1 to 4294967295".into());
        }
        let duration = schema.used(FieldUse::Duration).ok_or("this probe's events have no duration")?;
        let error = schema.used(FieldUse::Error).ok_or("this probe's events do not tell whether they failed")?;
        let process = schema.named("process.pid").ok_or("this probe's events have no `process.pid`")?;
        Ok(Self {
            wanted: vec![duration, error, process],
            slow_ns: settings.slow_ms.saturating_mul(1_000_000),
            threshold: ((1 << 32) - (1 << 32) / u64::from(settings.one_in)) << 24,
            spin: settings.spin,
        })
    }

    fn wanted(&self) -> Vec<u32> {
        self.wanted.clone()
    }

    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String> {
        if self.spin {
            loop {
                std::hint::spin_loop();
            }
        }
        let (durations, errors, processes) = (columns.u64(0)?, columns.text(1)?, columns.u32(2)?);
        let threshold =
            |(&duration, fine): (&u64, bool)| if duration > self.slow_ns || !fine { ALWAYS } else { self.threshold };
        Ok(Decisions {
            thresholds: durations.iter().zip(errors.empties()).map(threshold).collect(),
            randomness: processes.iter().map(|&process| u64::from(mix(process)) << 24).collect(),
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { slow_ms: 100, one_in: 10, spin: false }
    }
}

/// The finaliser of MurmurHash3: every bit of the input reaches every bit of the output.
const fn mix(mut word: u32) -> u32 {
    word = (word ^ word >> 16).wrapping_mul(0x85eb_ca6b);
    word = (word ^ word >> 13).wrapping_mul(0xc2b2_ae35);
    word ^ word >> 16
}

plugin_sdk::export!(sampler: Policy);
