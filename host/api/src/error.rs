//! The answer of a host to a request that it refuses.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::step::Step;

/// The answer to what the daemon does not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// Why.
    pub error: Refusal,
}

/// Why something was not done: at which step, what is wrong, and the cure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, JsonSchema)]
#[error("{step}: {message}")]
pub struct Refusal {
    /// The step that failed: `inspect`, `grant`, `bind`.
    #[schemars(with = "String")]
    pub step: Step,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty if there is nothing to do.
    pub cure: String,
}

// === impl Refusal ===

impl Refusal {
    /// Makes a refusal at this step.
    #[must_use]
    pub fn new(step: Step, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { step, message: message.into(), cure: cure.into() }
    }
}
