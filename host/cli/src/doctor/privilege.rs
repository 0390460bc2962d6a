//! Privileges of this process: capabilities per probe, locked memory.

use host_kernel::capabilities::{self, Capability, CapabilitySet};
use host_kernel::{catalog::catalog, release};
use rustix::process::{Resource, getrlimit};

use super::Finding;

/// First kernel that does not charge maps to the limit of locked memory.
const NOT_CHARGED_SINCE: (u32, u32) = (5, 11);

/// Checks this process.
pub(super) fn findings() -> Vec<Finding> {
    let may_lift = CapabilitySet::held().allows(Capability::SysResource);
    let memlock = memlock(release::running(), getrlimit(Resource::Memlock).current, may_lift);
    vec![capability(&capabilities::missing()), memlock]
}

/// One finding for all: the probes in the binary take the same capabilities.
fn capability(missing: &[&str]) -> Finding {
    let probes: Vec<&str> = catalog().iter().map(|probe| probe.name).collect();
    let probes = probes.join(", ");
    if missing.is_empty() {
        return Finding::ok("capabilities", format!("all that {probes} take"));
    }
    let missing = missing.join(" and ");
    Finding::fault(
        "capabilities",
        format!("{missing} missing: {probes} cannot be attached"),
        "run as root, or grant them: `host doctor --caps` prints how\nwithout them `host run` replays a capture",
    )
}

/// The limit matters only where libbpf cannot lift it.
fn memlock(version: Option<(u32, u32)>, limit: Option<u64>, may_lift: bool) -> Finding {
    match limit {
        _ if version.is_some_and(|version| version >= NOT_CHARGED_SINCE) => {
            Finding::ok("memlock", "not charged for BPF by this kernel")
        }
        None => Finding::ok("memlock", "unlimited"),
        Some(limit) if may_lift => {
            Finding::ok("memlock", format!("{}, which {} lifts", crate::output::bytes(limit), Capability::SysResource))
        }
        Some(limit) => Finding::fault(
            "memlock",
            format!("{} is too little for rings on this kernel", crate::output::bytes(limit)),
            "ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_missing_capability_is_named_with_the_probes_that_take_it() {
        let finding = capability(&["CAP_BPF"]);
        assert_eq!(finding.verdict, Verdict::Fault);
        assert_eq!(finding.detail, "CAP_BPF missing: exec, file, l7, tcp cannot be attached");
        assert_eq!(capability(&[]).verdict, Verdict::Ok);
    }

    #[test]
    fn locked_memory_counts_on_old_kernels_only() {
        let verdict = |version, limit, may_lift| memlock(Some(version), limit, may_lift).verdict;
        assert_eq!(verdict((5, 10), Some(65_536), false), Verdict::Fault);
        assert_eq!(verdict((5, 10), Some(65_536), true), Verdict::Ok);
        assert_eq!(verdict((5, 10), None, false), Verdict::Ok);
        assert_eq!(verdict((5, 11), Some(65_536), false), Verdict::Ok);
    }
}
