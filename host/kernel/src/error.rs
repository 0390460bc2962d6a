//! Errors of probes: the step, the reason and the cure.

use crate::layout::LayoutError;

/// An error of a probe: which probe, at what step, why, and the cure.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The file is not a BPF object.
    #[error("probe `{probe}`: not a BPF object: {reason}; compile it with `clang -g -O2 -target bpf -c`")]
    NotAnObject {
        /// The probe.
        probe: String,
        /// Why it is not.
        reason: String,
    },
    /// The object has no ring, or more than one.
    #[error(
        "probe `{probe}`: an object needs exactly one map of type BPF_MAP_TYPE_RINGBUF, this one has {found}; including ring.h declares it"
    )]
    Rings {
        /// The probe.
        probe: String,
        /// Number of ring buffers in it.
        found: usize,
    },
    /// The record cannot be described.
    #[error("probe `{probe}`: {reason}")]
    Layout {
        /// The probe.
        probe: String,
        /// Why its layout cannot be described.
        reason: LayoutError,
    },
    /// A section shared with BPF programs has another layout than this host expects.
    #[error(
        "probe `{probe}`: its {section} has {found}, this host expects {expected}; compile it with this version's bpf/include"
    )]
    Headers {
        /// The probe.
        probe: String,
        /// The section.
        section: &'static str,
        /// Size or version found.
        found: String,
        /// Size or version that this host expects.
        expected: String,
    },
    /// A filter was given, but the object has no code that applies it.
    #[error(
        "probe `{probe}`: it cannot filter; include filter.h and ask its conditions, or run it without --pid, --cgroup, --comm"
    )]
    NoFilter {
        /// The probe.
        probe: String,
    },
    /// A condition of the filter is invalid.
    #[error("filter: {0}")]
    Filter(String),
    /// `max_entries` is given for a map that the object does not have.
    #[error("probe `{probe}`: it has no map `{map}`; it has {have}")]
    NoMap {
        /// The probe.
        probe: String,
        /// The map asked for.
        map: String,
        /// The maps that it has.
        have: String,
    },
    /// The object does not support an option, or its value is invalid.
    #[error("probe `{probe}`: option `{option}`: {reason}")]
    Option {
        /// The probe.
        probe: String,
        /// Name of the option in [`LoadOptions`](crate::LoadOptions).
        option: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// The kernel denies permission.
    #[error("probe `{probe}`: {step} is not permitted: {cure}")]
    Permission {
        /// The probe.
        probe: String,
        /// The step: loading, or attaching to a hook.
        step: String,
        /// How to get the permission.
        cure: String,
    },
    /// The kernel has no BTF.
    #[error(
        "probe `{probe}`: this kernel has no BTF (/sys/kernel/btf/vmlinux), so nobody knows where its structs have their members; use one built with CONFIG_DEBUG_INFO_BTF, or give its BTF as a file: `--btf FILE`"
    )]
    NoKernelBtf {
        /// The probe.
        probe: String,
    },
    /// The BTF file that replaces the kernel's own is not enough for this probe.
    #[error(
        "probe `{probe}`: {hook} takes the kernel's own BTF (/sys/kernel/btf/vmlinux), for which a file cannot stand in; hooks that can do without are raw_tp/ and tp/"
    )]
    OwnBtf {
        /// The probe.
        probe: String,
        /// The first hook that needs the kernel's own.
        hook: String,
    },
    /// The BTF file that is to replace the kernel's own cannot be used.
    #[error("probe `{probe}`: {reason}; `--btf` takes the BTF of the running kernel, raw or in its vmlinux")]
    Btf {
        /// The probe.
        probe: String,
        /// Path of the file, and why it is refused.
        reason: String,
    },
    /// The kernel refused the object.
    #[error("probe `{probe}`: the kernel refused to load it: {reason}")]
    Load {
        /// The probe.
        probe: String,
        /// The end of the verifier's log, or libbpf's last messages.
        reason: String,
    },
    /// The kernel refused to attach a program.
    #[error("probe `{probe}`: attaching to {hook} failed: {reason}")]
    Attach {
        /// The probe.
        probe: String,
        /// The hook, such as `tp_btf/sched_process_exec`.
        hook: String,
        /// Why, and the cure if there is one.
        reason: String,
    },
    /// The ring cannot be mapped, or already has a reader.
    #[error("probe `{probe}`: its ring cannot be read: {reason}")]
    Ring {
        /// The probe.
        probe: String,
        /// Why it cannot be read.
        reason: String,
    },
}

// === impl KernelError ===

impl KernelError {
    /// Returns why hooks, of which this is the first, were passed over: without the probe's name, and on one line.
    pub(crate) fn passes_over(&self, hook: &str) -> String {
        let (hook, reason) = match self {
            Self::Attach { hook, reason, .. } => (hook.as_str(), reason.clone()),
            Self::Load { reason, .. } => (hook, format!("the kernel refused to load it: {reason}")),
            Self::Permission { step, cure, .. } => (hook, format!("{step} is not permitted: {cure}")),
            other => (hook, other.to_string()),
        };
        format!("{hook}: {}", reason.lines().map(str::trim).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_over_begins_with_its_hook_and_has_one_line() {
        let attach = KernelError::Attach { probe: "l7".into(), hook: "fexit/f".into(), reason: "no trampolines".into() };
        assert_eq!(attach.passes_over("fexit/e"), "fexit/f: no trampolines");
        let load = KernelError::Load { probe: "l7".into(), reason: "the verifier rejects p:\n  R1 is bad".into() };
        assert_eq!(load.passes_over("fexit/e"), "fexit/e: the kernel refused to load it: the verifier rejects p:; R1 is bad");
    }
}
