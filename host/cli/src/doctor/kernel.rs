//! Features of the kernel: version, BTF, tracefs, lockdown, cgroup v2, clock.

use std::fs;
use std::path::Path;

use super::Finding;

/// Minimum kernel on which the built-in probes load; bpf/README.md has that of each.
const LEAST: (u32, u32) = (5, 10);

/// Checks the kernel's files beneath `root`; `given` is a file that replaces its BTF.
pub(super) fn findings(root: &Path, given: Option<&Path>) -> Vec<Finding> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    vec![
        version(read("proc/sys/kernel/osrelease").trim()),
        btf(fs::metadata(root.join("sys/kernel/btf/vmlinux")).map(|file| file.len()).ok(), given),
        tracefs(root),
        lockdown(&read("sys/kernel/security/lockdown")),
        cgroup(&read("proc/self/mountinfo")),
        clock(read("sys/devices/system/clocksource/clocksource0/current_clocksource").trim()),
    ]
}

fn version(release: &str) -> Finding {
    match host_kernel::release::parse(release) {
        Some(version) if version >= LEAST => Finding::ok("kernel", release),
        Some(_) => Finding::fault(
            "kernel",
            format!("{release} is too old for the built-in probes"),
            format!("use Linux {}.{} or newer", LEAST.0, LEAST.1),
        ),
        None => Finding::note("kernel", format!("cannot tell the version from {release:?}"), "mount /proc"),
    }
}

fn btf(size: Option<u64>, given: Option<&Path>) -> Finding {
    match (size, given) {
        (_, Some(file)) if !file.is_file() => {
            Finding::fault("btf", format!("{} is not a file", file.display()), "give the BTF of the running kernel")
        }
        (Some(size), None) => Finding::ok("btf", format!("/sys/kernel/btf/vmlinux, {}", crate::output::bytes(size))),
        (Some(_), Some(file)) => Finding::ok("btf", format!("{}, and /sys/kernel/btf/vmlinux for hooks", file.display())),
        (None, Some(file)) => Finding::note(
            "btf",
            format!("{}; the kernel has none of its own, so probes use hooks that do without", file.display()),
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y for the better ones",
        ),
        (None, None) => Finding::fault(
            "btf",
            "/sys/kernel/btf/vmlinux is not there: probes cannot find the kernel's structs",
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or give its BTF as a file: --btf FILE; in a container mount /sys",
        ),
    }
}

/// Without tracefs the file probe mounts one of its own, or hooks every system call and checks which one it is.
fn tracefs(root: &Path) -> Finding {
    let places = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];
    let Some(place) = places.iter().find(|place| root.join(place).join("events").exists()) else {
        return Finding::note(
            "tracefs",
            "not mounted, or not readable: without CAP_SYS_ADMIN the file probe costs more",
            "mount -t tracefs tracefs /sys/kernel/tracing (as root)",
        );
    };
    if root.join(place).join("events/syscalls/sys_enter_openat").exists() {
        return Finding::ok("tracefs", format!("/{place}"));
    }
    Finding::note(
        "tracefs",
        format!("/{place} has no events/syscalls: the file probe costs more"),
        "use a kernel built with CONFIG_FTRACE_SYSCALLS=y",
    )
}

fn lockdown(state: &str) -> Finding {
    if state.contains("[confidentiality]") {
        Finding::fault(
            "lockdown",
            "confidentiality: the kernel lets no BPF program read its memory",
            "boot with lockdown=integrity or without lockdown",
        )
    } else {
        Finding::ok("lockdown", if state.contains("[integrity]") { "integrity, which BPF tracing may" } else { "none" })
    }
}

fn cgroup(mountinfo: &str) -> Finding {
    let mount = mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten()
    });
    match mount {
        Some(place) => Finding::ok("cgroup v2", place),
        None => Finding::note(
            "cgroup v2",
            "not mounted: --cgroup cannot work, and events carry no cgroup or container",
            "mount -t cgroup2 none /sys/fs/cgroup (as root)",
        ),
    }
}

fn clock(source: &str) -> Finding {
    match source {
        "" => Finding::note("clock", "the kernel does not tell its clock source", "mount /sys"),
        "hpet" | "acpi_pm" | "jiffies" => Finding::note(
            "clock",
            format!("{source}: every timestamp costs about a microsecond"),
            "let the kernel use tsc or the hypervisor's clock; dmesg says why it does not",
        ),
        source => Finding::ok("clock", source),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_kernel_that_is_too_old_is_a_fault() {
        assert_eq!(version("5.4.0-30-generic").verdict, Verdict::Fault);
        assert_eq!(version("5.10.0").verdict, Verdict::Ok);
        assert_eq!(version("6.18.44-fc").verdict, Verdict::Ok);
        assert_eq!(version("").verdict, Verdict::Note);
    }

    #[test]
    fn an_empty_machine_gets_a_cure_for_everything_it_lacks() {
        let findings = findings(Path::new("/nonexistent"), None);
        let lacking: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Ok).map(|f| f.check).collect();
        assert_eq!(lacking, ["kernel", "btf", "tracefs", "cgroup v2", "clock"]);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok || finding.cure.is_some()));
    }

    #[test]
    fn a_file_stands_in_for_missing_btf_with_a_note() {
        assert_eq!(btf(None, Some(Path::new("/proc/version"))).verdict, Verdict::Note);
        assert_eq!(btf(None, Some(Path::new("/nonexistent"))).verdict, Verdict::Fault);
        assert_eq!(btf(Some(1), Some(Path::new("/proc/version"))).verdict, Verdict::Ok);
    }

    #[test]
    fn lockdown_for_confidentiality_is_a_fault() {
        assert_eq!(lockdown("none integrity [confidentiality]").verdict, Verdict::Fault);
        assert_eq!(lockdown("none [integrity] confidentiality").verdict, Verdict::Ok);
        assert_eq!(lockdown("").verdict, Verdict::Ok);
    }

    #[test]
    fn the_cgroup_mount_is_found_by_its_type() {
        let mounts =
            "22 1 0:20 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup(mounts), Finding::ok("cgroup v2", "/sys/fs/cgroup"));
        assert_eq!(cgroup("22 1 0:20 / /proc rw - proc proc rw").verdict, Verdict::Note);
    }

    #[test]
    fn a_slow_clock_is_worth_a_note() {
        assert_eq!(clock("hpet").verdict, Verdict::Note);
        assert_eq!(clock("tsc").verdict, Verdict::Ok);
    }
}
