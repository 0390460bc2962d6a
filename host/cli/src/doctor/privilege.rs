//! What this process may do: capabilities per probe, locked memory.

use host_kernel::{capabilities, catalog::catalog};
use rustix::process::{Resource, getrlimit};

use super::Finding;

/// Kernels before this one charge maps to the limit of locked memory.
const NOT_CHARGED_SINCE: (u32, u32) = (5, 11);

/// Looks at this process.
pub(super) fn findings() -> Vec<Finding> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![capability(&capabilities::missing()), memlock(&release, getrlimit(Resource::Memlock).current)]
}

/// The probes in the binary all take the same capabilities.
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

fn memlock(release: &str, limit: Option<u64>) -> Finding {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match limit {
        _ if version >= NOT_CHARGED_SINCE => Finding::ok("memlock", "not charged for BPF by this kernel"),
        None => Finding::ok("memlock", "unlimited"),
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
        assert_eq!(memlock("5.10.0-30", Some(65_536)).verdict, Verdict::Fault);
        assert_eq!(memlock("5.10.0-30", None).verdict, Verdict::Ok);
        assert_eq!(memlock("5.11.0", Some(65_536)).verdict, Verdict::Ok);
    }
}
