//! A switch: plugins replaced between two batches, all or none.

use std::sync::Arc;

use host_model::{Decoder, Enricher, Input, Observer, Plugin, Sampler};

use crate::binding::Binding;
use crate::blueprint::StartError;
use crate::stages::BoundStages;

/// The plugins to replace. Where a member is None, the plugin stays.
#[derive(Default)]
pub struct Change {
    /// The new decoder. If its schema differs from the one before, sampler and enrichers must come with it.
    pub decoder: Option<Box<dyn Decoder>>,
    /// The new sampler. `Some(None)` removes the sampler: all rows are kept.
    pub sampler: Option<Option<Box<dyn Sampler>>>,
    /// All enrichers, in order.
    pub enrichers: Option<Vec<Box<dyn Enricher>>>,
}

/// The result of a switch.
pub struct Switched {
    /// The pause of the path, nanoseconds.
    pub pause_ns: u64,
    /// Number of rows between the request and the switch.
    pub rows_during: u64,
    /// The handover of each slot that was filled before and after.
    pub handovers: Vec<Handover>,
    /// The plugins that were replaced. Drop them off the hot path.
    pub retired: Vec<Box<dyn Plugin>>,
}

/// The handover of the state of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The slot.
    pub slot: String,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of a handover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// One of the two hands over no state.
    Stateless,
    /// The successor goes on from its predecessor's state.
    Warm,
    /// No state was handed over: it was missing, refused, too large, that of another plugin, or one of the two faulted over it. Holds the
    /// reason. The successor starts cold.
    Cold(String),
}

/// The reasons why nothing was switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The worker has ended.
    #[error("path {0} has ended")]
    Ended(Arc<str>),
    /// The new decoder's schema differs, and stages that were bound to the old one would remain.
    #[error("path {0}: the new decoder has another schema, so sampler and enrichers must be bound anew with it")]
    Unbound(Arc<str>),
    /// The new stages do not fit together.
    #[error(transparent)]
    Schema(#[from] StartError),
}

// === impl Change ===

impl Change {
    /// Replaces stages of `bound`. An error leaves everything unchanged.
    pub(crate) fn make(self, bound: &mut BoundStages) -> Result<Switched, SwitchError> {
        let stages = &mut bound.stages;
        let new_schema = self.decoder.as_ref().is_some_and(|new| new.schema() != stages.decoder.schema());
        let bound_to_old =
            (stages.sampler.is_some() && self.sampler.is_none()) || (!stages.enrichers.is_empty() && self.enrichers.is_none());
        if new_schema && bound_to_old {
            return Err(SwitchError::Unbound(Arc::clone(&bound.path)));
        }
        let binding = Binding::new(
            &bound.path,
            self.decoder.as_deref().unwrap_or(&*stages.decoder),
            self.enrichers.as_ref().unwrap_or(&stages.enrichers),
        )?;

        let mut replaced = Replaced { observer: &*bound.observer, handovers: Vec::new(), retired: Vec::new() };
        if let Some(new) = self.decoder {
            let old = std::mem::replace(&mut stages.decoder, new);
            replaced.hand_over(old, &mut *stages.decoder);
        }
        if let Some(new) = self.sampler {
            match (std::mem::replace(&mut stages.sampler, new), stages.sampler.as_deref_mut()) {
                (Some(old), Some(new)) => replaced.hand_over(old, new),
                (Some(old), None) => replaced.retired.push(old),
                (None, _) => {}
            }
        }
        if let Some(new) = self.enrichers {
            for old in std::mem::replace(&mut stages.enrichers, new) {
                let slot = Arc::clone(&old.id().slot);
                match stages.enrichers.iter_mut().find(|new| new.id().slot == slot) {
                    Some(new) => replaced.hand_over(old, &mut **new),
                    None => replaced.retired.push(old),
                }
            }
        }
        let Replaced { handovers, retired, .. } = replaced;
        bound.rebind(binding);
        // The worker fills in the rest, since it knows when the path stood still.
        Ok(Switched { pause_ns: 0, rows_during: 0, handovers, retired })
    }
}

/// Plugins that were replaced so far.
struct Replaced<'a> {
    observer: &'a dyn Observer,
    handovers: Vec<Handover>,
    retired: Vec<Box<dyn Plugin>>,
}

// === impl Replaced ===

impl Replaced<'_> {
    /// Gives the state of `old` to `new`; also if a plugin of the same digest is merely bound anew. Only to a plugin of the same name: a
    /// version number of one plugin's format means nothing to another.
    fn hand_over(&mut self, mut old: Box<dyn Plugin>, new: &mut dyn Plugin) {
        let name = Arc::clone(&old.id().name);
        let outcome = match old.export_state() {
            Ok(Some(_)) if name != new.id().name => {
                Ok(Outcome::Cold(format!("{} does not know the state of {name}", new.id().name)))
            }
            Ok(Some(state)) => new.import_state(&state).map(|taken| if taken { Outcome::Warm } else { Outcome::Stateless }),
            Ok(None) => Ok(Outcome::Stateless),
            Err(fault) => Err(fault),
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(fault) => {
                // A fault without a call of the predecessor is nothing new.
                if fault.kind.is_own() {
                    self.observer.fault(&fault, Input::Other);
                }
                Outcome::Cold(fault.to_string())
            }
        };
        self.handovers.push(Handover { slot: old.id().slot.to_string(), outcome });
        self.retired.push(old);
    }
}
