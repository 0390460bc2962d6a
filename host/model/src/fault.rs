//! A fault: what a plugin did instead of its work.

use crate::plugin::PluginId;

/// What kind of fault; counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It trapped. The instance is gone and is built again before the next call.
    Trap,
    /// It did not return in time. As a trap.
    Deadline,
    /// It returned something that the contract forbids: wrong lengths, offsets that run backwards, text that is not UTF-8.
    Contract,
    /// Its result is over the output cap.
    Output,
    /// It returned an error of its own. The instance lives on.
    Refused,
    /// It is not called for a while because of earlier faults.
    BackingOff,
}

/// A call that failed. The pipeline falls back by role and counts; nothing is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[error("plugin {plugin}: {step} failed ({kind}): {detail}")]
pub struct Fault {
    /// Who.
    pub plugin: PluginId,
    /// The exported function: `decode`, `decide`, `enrich`.
    pub step: &'static str,
    /// What kind.
    pub kind: FaultKind,
    /// In words, printable.
    pub detail: String,
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Contract => "contract",
            Self::Output => "output",
            Self::Refused => "refused",
            Self::BackingOff => "backing-off",
        })
    }
}
