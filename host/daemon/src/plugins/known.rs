//! The generations that have been bound, so that a fault can be traced to its component.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use host_model::{Lock, PluginId};

use super::slots::Generation;
use crate::config::KEPT;

/// The generations that have been bound to a path, so that a fault can be traced to its component before the slots know it.
#[derive(Default)]
pub(crate) struct Known(Lock<VecDeque<Weak<Generation>>>);

/// Generations that are remembered: those of a dozen slots.
const REMEMBERED: usize = 16 * KEPT;

// === impl Known ===

impl Known {
    /// Remembers a generation that is about to be bound.
    pub(crate) fn add(&self, generation: &Arc<Generation>) {
        let mut known = self.0.lock();
        let new = Arc::downgrade(generation);
        known.retain(|old| old.strong_count() > 0 && !old.ptr_eq(&new));
        known.push_back(new);
        if known.len() > REMEMBERED {
            known.pop_front();
        }
    }

    /// The generation of this identity, if it is still there.
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
