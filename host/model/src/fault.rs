//! Faults: a plugin's call that failed, and the observer of it.

use crate::batch::Batch;
use crate::plugin::PluginId;
use crate::run::Run;

/// The kind of a fault; each is counted apart.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// It trapped. The instance is gone and is built again before the next call.
    Trap,
    /// It did not return in time. As a trap.
    Deadline,
    /// It called the host more often than one call may. As a trap.
    HostCalls,
    /// It returned something that the contract forbids: wrong lengths, offsets that run backwards, text that is not UTF-8.
    Contract,
    /// Its result is over the output cap.
    Output,
    /// It returned an error of its own. The instance lives on.
    Refused,
    /// It is not called for a while because of earlier faults.
    BackingOff,
    /// It is not called any more because of earlier faults.
    Quarantined,
}

/// A call that failed. The pipeline falls back by role and counts; nothing is lost.
#[derive(Debug, Clone, thiserror::Error)]
#[error("plugin {plugin}: {step} failed ({kind}): {detail}")]
pub struct Fault {
    /// The plugin.
    pub plugin: PluginId,
    /// The name of the exported function: `decode`, `decide`, `enrich`.
    pub step: &'static str,
    /// The kind.
    pub kind: FaultKind,
    /// The details, printable.
    pub detail: String,
}

/// The fallback for a batch whose plugin failed. It is marked either way, and every row is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// It goes on: records as raw events, all rows kept, without the columns of the enricher.
    #[default]
    Pass,
    /// It ends here, and counts as sampled out.
    Drop,
}

/// The input of a call that failed.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Records, and the fields that were requested.
    Run(Run<'a>, &'a [usize]),
    /// Rows, with the columns that they had.
    Batch(&'a Batch),
    /// An input that is not kept: statistics, state, rows of an earlier run.
    Other,
}

/// Observes every fault on a path, on its worker: must be fast, and must not wait.
pub trait Observer: Send + Sync {
    /// Handles a fault. Also called for each batch that a plugin missed because it is backing off or quarantined.
    fn fault(&self, fault: &Fault, input: Input<'_>);
}

// === impl FaultKind ===

impl FaultKind {
    /// All kinds, in the order of [`FaultKind::index`].
    pub const ALL: [Self; 8] = [
        Self::Trap,
        Self::Deadline,
        Self::HostCalls,
        Self::Contract,
        Self::Output,
        Self::Refused,
        Self::BackingOff,
        Self::Quarantined,
    ];

    /// Returns its index in [`FaultKind::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether it happened in a call of the plugin, which was not merely skipped for an earlier fault.
    #[must_use]
    pub const fn is_own(self) -> bool {
        !matches!(self, Self::BackingOff | Self::Quarantined)
    }

    /// Whether the plugin broke a limit or the contract: backing off and quarantine count these. An error of its own is an answer.
    #[must_use]
    pub const fn is_offence(self) -> bool {
        self.is_own() && !matches!(self, Self::Refused)
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::HostCalls => "host-calls",
            Self::Contract => "contract",
            Self::Output => "output",
            Self::Refused => "refused",
            Self::BackingOff => "backing-off",
            Self::Quarantined => "quarantined",
        })
    }
}

/// An observer that does nothing: for paths whose faults need no more than the counters.
impl Observer for () {
    fn fault(&self, _fault: &Fault, _input: Input<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_place_it_says() {
        FaultKind::ALL.iter().enumerate().for_each(|(index, kind)| assert_eq!(kind.index(), index, "{kind}"));
    }
}
