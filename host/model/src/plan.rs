//! The kernel plan: the events that a sampler asks the kernel side to drop before the ring buffer.

use serde::{Deserialize, Serialize};

use crate::verdict::Threshold;

/// Maximum number of rules of a plan: the size of the map that holds them.
pub const MAX_RULES: usize = 1024;

/// The processes that a rule applies to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Process id (thread group).
    Pid(u32),
    /// Id of a cgroup v2.
    Cgroup(u64),
    /// Command name, 1 to 15 bytes.
    Comm(String),
}

/// A threshold for one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The processes that it applies to.
    pub subject: Subject,
    /// The threshold: 0 allows all, 2^56 denies all.
    pub threshold: Threshold,
}

/// A plan. It replaces the previous one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelPlan {
    /// The threshold of processes that no rule names.
    pub default_threshold: Threshold,
    /// The rules; pid comes before cgroup, and cgroup before comm.
    pub rules: Vec<Rule>,
    /// Minimum duration in nanoseconds: shorter events that did not fail are dropped; 0 for none.
    pub min_duration_ns: u64,
}

/// Measurements on one path since the sampler's last `tune`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Nanoseconds since the last call.
    pub elapsed_ns: u64,
    /// Records that passed the kernel-side filters.
    pub produced: u64,
    /// Those of them that did not fit into the ring.
    pub lost_in_ring: u64,
    /// Hits that the filters or the plan dropped.
    pub filtered_in_kernel: u64,
    /// Number of decoded rows.
    pub rows: u64,
    /// Number of kept rows.
    pub kept: u64,
    /// Number of bytes that wait for the collector.
    pub queue_bytes: u64,
    /// Maximum number of bytes that may wait.
    pub queue_cap_bytes: u64,
}

/// The reasons why a plan is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Too many rules.
    #[error("{0} rules; at most {MAX_RULES} fit into the kernel")]
    TooMany(usize),
    /// The comm is one that no task can have.
    #[error("{0:?} is not a command name: 1 to 15 bytes without NUL")]
    Comm(String),
    /// The probe has no such filter.
    #[error("probe `{probe}` cannot apply a plan: {reason}")]
    Unsupported {
        /// The probe.
        probe: String,
        /// The missing filter.
        reason: String,
    },
    /// The kernel refused a map update.
    #[error("probe `{probe}`: writing the plan failed: {reason}")]
    Kernel {
        /// The probe.
        probe: String,
        /// The error.
        reason: String,
    },
}

// === impl KernelPlan ===

impl KernelPlan {
    /// Checks the plan of a guest.
    ///
    /// # Errors
    /// A rule cannot be written; the error names the first.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.rules.len() > MAX_RULES {
            return Err(PlanError::TooMany(self.rules.len()));
        }
        for rule in &self.rules {
            if let Subject::Comm(comm) = &rule.subject
                && (comm.is_empty() || comm.len() > 15 || comm.contains('\0'))
            {
                return Err(PlanError::Comm(comm.chars().take(40).collect()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comm_longer_than_a_task_can_have_is_refused() {
        let plan = |comm: &str| KernelPlan {
            rules: vec![Rule { subject: Subject::Comm(comm.into()), threshold: Threshold::ALWAYS }],
            ..KernelPlan::default()
        };
        assert_eq!(plan("fifteen-bytes-x").check(), Ok(()));
        assert!(plan("sixteen-bytes-xx").check().is_err());
    }
}
