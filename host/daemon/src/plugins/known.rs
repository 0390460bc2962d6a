//! The generations that have been bound, to find the component of a fault.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use host_model::{Lock, PluginId};

use super::slots::Generation;
use crate::config::KEPT;

/// The generations that have been bound to a path, to find the component of a fault before the slots list it.
#[derive(Default)]
pub(crate) struct Known(Lock<VecDeque<Weak<Generation>>>);

/// Maximum number of generations: those of a dozen slots.
const REMEMBERED: usize = 16 * KEPT;

// === impl Known ===

impl Known {
    /// Adds a generation that is about to be bound.
    pub(crate) fn add(&self, generation: &Arc<Generation>) {
        let mut known = self.0.lock();
        let new = Arc::downgrade(generation);
        known.retain(|old| old.strong_count() > 0 && !old.ptr_eq(&new));
        known.push_back(new);
        if known.len() > REMEMBERED {
            known.pop_front();
        }
    }

    /// Returns the generation with this identity, if it still exists.
    pub(crate) fn find(&self, id: &PluginId) -> Option<Arc<Generation>> {
        let known = self.0.lock();
        let is = |generation: &Arc<Generation>| {
            generation.number == id.generation
                && generation.inspection().digest == id.digest
                && generation.slot.to_string() == *id.slot
        };
        known.iter().rev().filter_map(Weak::upgrade).find(is)
    }
}
