//! Sampler that keeps a maximum number of rows per second for each value of a field.

mod keys;
mod settings;
mod window;

pub use settings::Settings;

use keys::Keys;
use plugin_sdk::{Columns, Config, Decisions, EventSchema, FieldUse, Handover, Sampler, State, hashes};

/// The sampler.
pub struct Rate {
    wanted: Vec<u32>,
    /// The hash of the key's name, which identifies the state.
    field: u64,
    per_second: u64,
    /// The range of the key among the wanted columns; the time is the first. Empty if the path does not have the key.
    key: std::ops::Range<usize>,
    /// The index of `error.type`, if it is used.
    failed: Option<usize>,
    /// The index of the duration, and the number of nanoseconds from which a row is slow.
    slow: Option<(usize, u64)>,
    keys: Keys,
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

// === impl Rate ===

impl Sampler for Rate {
    fn bind(schema: &EventSchema, config: Config<'_>) -> Result<Self, String> {
        let settings = Settings::parse(config)?;
        let mut wanted = vec![schema.used(FieldUse::Time).ok_or("the schema has no time")?];
        wanted.extend(schema.named(&settings.key).filter(|&field| Some(&field) != wanted.first()));
        let key = 1..wanted.len();
        let mut want = |field: Option<u32>| {
            wanted.push(field.filter(|field| !wanted.contains(field))?);
            Some(wanted.len() - 1)
        };
        let failed = settings.keep_failed.then(|| want(schema.used(FieldUse::Error))).flatten();
        let slow = (settings.slow_ms > 0).then(|| want(schema.used(FieldUse::Duration))).flatten();
        Ok(Self {
            field: name(&settings.key),
            per_second: settings.per_second,
            key,
            failed,
            slow: slow.map(|column| (column, settings.slow_ms.saturating_mul(1_000_000))),
            keys: Keys::new(settings.max_keys),
            wanted,
        })
    }

    fn wanted(&self) -> Vec<u32> {
        self.wanted.clone()
    }

    fn decide(&mut self, columns: &Columns) -> Result<Decisions, String> {
        let hashes = hashes(columns, self.key.clone())?;
        let spared = self.spared(columns)?;
        let mut decide = |((&time, &key), spared): ((&u64, &u64), bool)| {
            let second = time / SECOND;
            if spared { 0 } else { self.keys.window(key, second).decide(second, self.per_second) }
        };
        let rows = columns.u64(0)?.iter().zip(&hashes);
        Ok(Decisions::each(match spared {
            None => rows.map(|row| decide((row, false))).collect(),
            Some(spared) => rows.zip(spared).map(decide).collect(),
        }))
    }
}

impl Handover for Rate {
    fn export_state(&mut self) -> Result<State, String> {
        Ok(self.keys.state(self.field))
    }

    fn import_state(&mut self, state: State) -> Result<(), String> {
        self.keys.resume(self.field, &state)
    }
}

impl Rate {
    /// Returns which rows are kept whatever their key; None if there is no such row.
    fn spared(&self, columns: &Columns) -> Result<Option<Vec<bool>>, String> {
        let mut spared = None;
        if let Some(column) = self.failed {
            let errors = columns.text(column)?;
            if !errors.bytes.is_empty() {
                spared = Some(errors.empties().map(|empty| !empty).collect());
            }
        }
        if let Some((column, slow)) = self.slow {
            let durations = columns.u64(column)?;
            if durations.iter().any(|&duration| duration >= slow) {
                let spared = spared.get_or_insert_with(|| vec![false; columns.rows()]);
                spared.iter_mut().zip(durations).for_each(|(spared, &duration)| *spared |= duration >= slow);
            }
        }
        Ok(spared)
    }
}

/// Returns the hash of a field's name.
fn name(field: &str) -> u64 {
    let mut text = plugin_sdk::Text::with_capacity(1, field.len());
    text.push(field);
    hashes(&Columns::new(1, vec![text.finish()]), 0..1).ok().and_then(|hashes| hashes.first().copied()).unwrap_or_default()
}

plugin_sdk::export!(sampler: Rate; handover);
