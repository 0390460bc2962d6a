//! A shadow run: a candidate works on the same batches beside the live plugin, and its results are compared and thrown away.

use host_model::{Comparison, Decoder, Enricher, Sampler};

/// A plugin that is tried, bound as the live one in its slot is. `id().slot` names the slot.
pub enum Candidate {
    /// Bound to the same records; its schema may be another.
    Decoder(Box<dyn Decoder>),
    /// Bound to the schema that the live sampler is bound to.
    Sampler(Box<dyn Sampler>),
    /// Bound to the schema that the live enricher is bound to.
    Enricher(Box<dyn Enricher>),
}

/// A shadow run. Dropping it ends it.
pub struct Shadow {
    never: std::convert::Infallible,
}

// === impl Shadow ===

impl Shadow {
    /// What was compared so far.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        match self.never {}
    }

    /// Why it ended: its live plugin was replaced, or the path stopped. None while it goes on.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        match self.never {}
    }
}
