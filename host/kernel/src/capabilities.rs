//! What this process may do, what probes need, and giving it up.

use std::io;

const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// What every tracing probe needs: loading, and reading kernel memory.
const NEEDED: [(&str, u32); 2] = [("CAP_BPF", BPF), ("CAP_PERFMON", PERFMON)];

/// What the service takes, and why: packaging/host.service has exactly these. Without the last two the probes attach all the same, and
/// see less of processes of other users.
pub const SERVICE: [(&str, &str); 4] = [
    ("CAP_BPF", "to load programs and make maps"),
    ("CAP_PERFMON", "to attach them, and to read kernel memory"),
    ("CAP_SYS_PTRACE", "to see which files the processes of others run: names of programs, TLS libraries"),
    ("CAP_DAC_READ_SEARCH", "to open those files in folders that are closed to others"),
];

/// Capabilities that a probe's programs need, by the sections they are in (`tp_btf/...`, `kprobe/...`).
///
/// CAP_SYS_ADMIN stands for all of them. Tracepoints (`tp/...`) also take a readable tracefs.
#[must_use]
pub fn needed<'a>(hooks: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let mut needed: Vec<_> = NEEDED.iter().map(|&(name, _)| name).collect();
    for hook in hooks {
        let kind = hook.split(['/', '.']).next().unwrap_or(hook);
        let more = match kind {
            "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" | "uprobe" | "uretprobe" if !hook.contains(".multi") => {
                "CAP_SYS_ADMIN"
            }
            "xdp" | "tc" | "tcx" | "cgroup" | "sockops" | "sk_skb" | "sk_msg" | "sk_lookup" | "netfilter" => "CAP_NET_ADMIN",
            _ => continue,
        };
        if !needed.contains(&more) {
            needed.push(more);
        }
    }
    needed
}

/// Those of [`needed`] for the built-in probes that this thread does not have. Empty: it may load them.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let effective = effective();
    NEEDED.iter().filter(|&&(_, bit)| !holds(effective, bit)).map(|&(name, _)| name).collect()
}

/// Gives up every capability of the calling thread, and of the threads that it starts from now on; other threads keep theirs.
/// Probes that are attached go on, and their rings and maps stay readable; none can be loaded any more.
///
/// # Errors
/// The kernel's refusal.
pub fn drop_all() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: prctl with integers only.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    // SAFETY: version 3 reads a header and two data structs of three words, which both live until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The cure for EPERM and EACCES at `hook` (or at loading).
pub(crate) fn cure(hook: Option<&str>) -> String {
    let effective = effective();
    let bit = |name: &str| match name {
        "CAP_BPF" => BPF,
        "CAP_PERFMON" => PERFMON,
        "CAP_NET_ADMIN" => NET_ADMIN,
        _ => SYS_ADMIN,
    };
    let missing: Vec<_> = needed(hook).into_iter().filter(|name| !holds(effective, bit(name))).collect();
    if !missing.is_empty() {
        return format!("it takes {}; run as root or grant them", missing.join(" and "));
    }
    match hook.and_then(|hook| hook.split('/').next()) {
        Some("fentry" | "fexit" | "fmod_ret" | "lsm" | "freplace") => {
            "the capabilities are there, but this kernel refuses BPF trampolines; use tp_btf or raw_tp instead".into()
        }
        Some("tp" | "tracepoint") => {
            "tracefs is not readable, or kernel.perf_event_paranoid forbids it; grant CAP_SYS_ADMIN, or use raw_tp".into()
        }
        _ => "the capabilities are there, but the kernel refuses: lockdown, a security module or a container's seccomp filter"
            .into(),
    }
}

fn holds(effective: u64, bit: u32) -> bool {
    effective & (1 << bit) != 0 || (bit != NET_ADMIN && effective & (1 << SYS_ADMIN) != 0)
}

fn effective() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    parse(&status)
}

fn parse(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap_or_default();
    u64::from_str_radix(line.trim(), 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_admin_stands_for_bpf_and_perfmon() {
        let admin = parse("Name:\thost\nCapEff:\t0000000000200000\n");
        assert!(holds(admin, BPF) && holds(admin, PERFMON) && !holds(admin, NET_ADMIN));
        assert!(!holds(parse("CapEff:\t0000000000000000\n"), BPF));
    }

    #[test]
    fn the_service_has_what_it_takes_and_no_more() {
        let unit = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/host.service");
        let unit = std::fs::read_to_string(unit).unwrap();
        let taken = SERVICE.map(|(name, _)| name);
        for setting in ["CapabilityBoundingSet=", "AmbientCapabilities="] {
            let lines: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix(setting)).collect();
            assert_eq!(lines, [taken.join(" ")], "{setting}");
        }
        assert!(needed([]).iter().all(|name| taken.contains(name)));
    }

    #[test]
    fn single_uprobes_take_sys_admin_and_multi_uprobes_do_not() {
        assert!(needed(["uprobe/x:y"]).contains(&"CAP_SYS_ADMIN"));
        assert_eq!(needed(["uprobe.multi/x:y", "tp_btf/z"]), ["CAP_BPF", "CAP_PERFMON"]);
    }
}
