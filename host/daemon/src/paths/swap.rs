//! A swap: brings every path in line with the next slots, or none.

use std::sync::Arc;

use host_api::{Refusal, Step};
use host_pipeline::{Outcome, SwitchError};

use crate::error::DaemonError;
use crate::paths::path::{MadeOf, Path};
use crate::plugins::bind::Binder;
use crate::plugins::slots::{Lineup, Slots};

/// The effect of a swap on the paths.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Swapped {
    /// The longest pause of a path.
    pub(crate) pause_ns: u64,
    /// Number of rows that passed the paths during the swap.
    pub(crate) rows_during: u64,
    /// The worst handover.
    pub(crate) handover: String,
    /// Number of paths that changed.
    pub(crate) paths: usize,
}

/// Switches every path to `next`. Blocks.
///
/// All new stages are built before the first path switches, so that a refusal on the last path leaves the first as it was.
pub(crate) fn swap(binder: &Binder, paths: &[Arc<Path>], next: &Slots) -> Result<Swapped, DaemonError> {
    let mut ready = Vec::new();
    for path in paths {
        let before = path.made_of();
        let lineup = next.lineup(path.name()).ok_or_else(|| {
            let message = format!("path {} would be without a decoder", path.name());
            DaemonError::new(Step::Bind, message, "load another decoder into its slot, or unload the probe")
        })?;
        let from = (&before.lineup, &before.cards, &before.schema);
        if let Some(rebound) = binder.change(&path.place, from, &lineup)? {
            ready.push((path, before, rebound, lineup));
        }
    }
    let mut swapped = Swapped::default();
    let mut done: Vec<(&Arc<Path>, MadeOf)> = Vec::new();
    for (path, before, rebound, lineup) in ready {
        match path.switch(rebound, lineup) {
            Ok(switched) => {
                swapped.pause_ns = swapped.pause_ns.max(switched.pause_ns);
                swapped.rows_during += switched.rows_during;
                swapped.paths += 1;
                for handover in &switched.handovers {
                    swapped.note(&handover.outcome);
                }
                done.push((path, before));
            }
            // The capture ended, or the probe was unloaded: there is nothing left to switch.
            Err(SwitchError::Ended(name)) => tracing::debug!(path = %name, "a path has ended and is not switched"),
            Err(error) => {
                done.into_iter().for_each(|(path, before)| restore(binder, path, &before.lineup));
                return Err(DaemonError::Switch(error));
            }
        }
    }
    Ok(swapped)
}

/// Switches a path back to its earlier plugins.
fn restore(binder: &Binder, path: &Arc<Path>, lineup: &Lineup) {
    let now = path.made_of();
    let restored = binder.change(&path.place, (&now.lineup, &now.cards, &now.schema), lineup).and_then(|rebound| {
        let Some(rebound) = rebound else { return Ok(()) };
        let switched = path.switch(rebound, lineup.clone());
        switched.map(|_| ()).map_err(DaemonError::Switch)
    });
    if let Err(error) = restored {
        tracing::error!(path = path.name(), error = %Refusal::from(error), "the plugins before could not be made live again on this path");
    }
}

// === impl Swapped ===

impl Swapped {
    fn note(&mut self, outcome: &Outcome) {
        let words = match outcome {
            Outcome::Stateless if self.handover.is_empty() => "stateless".to_owned(),
            Outcome::Warm if self.handover.is_empty() || self.handover == "stateless" => "warm".to_owned(),
            Outcome::Cold(reason) => format!("cold: {reason}"),
            Outcome::Stateless | Outcome::Warm => return,
        };
        self.handover = words;
    }
}
