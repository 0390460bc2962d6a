//! Capabilities of a thread: which ones probes need, which ones it has, and how it gives up the rest.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{self, CapabilitySet as Bits, CapabilitySets};

use crate::tracepoint::Obstacle;
use crate::{release, tracepoint};

/// A Linux capability that the host may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Loading programs and creating maps.
    Bpf = 39,
    /// Attaching programs that trace, and reading kernel memory in them.
    Perfmon = 38,
    /// Reading the memory and files of other users' processes.
    SysPtrace = 19,
    /// Reading files and directories that are closed to this user.
    DacReadSearch = 2,
    /// Attaching programs to network devices, sockets and cgroups.
    NetAdmin = 12,
    /// Lifting the limit of locked memory, to which kernels before 5.11 charge maps.
    SysResource = 24,
    /// Attaching single uprobes, mounting tracefs where it is not mounted, and everything that `CAP_BPF` and `CAP_PERFMON` permit.
    SysAdmin = 21,
}

/// A set of capabilities as a bit mask, in the kernel's format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilitySet(u64);

/// The capabilities that every tracing probe needs.
pub const BASE: [Capability; 2] = [Capability::Bpf, Capability::Perfmon];

/// First kernel with multi-uprobe links. Before it each uprobe is attached alone, which takes [`Capability::SysAdmin`].
const UPROBE_MULTI_SINCE: (u32, u32) = (6, 6);
/// Value of `kernel.perf_event_paranoid` (Debian's default) from which on `perf_event_open` takes [`Capability::SysAdmin`].
const PARANOID: i32 = 3;

/// Whether the capabilities that only the start needs have been given up.
static SETTLED: AtomicBool = AtomicBool::new(false);

/// Returns the capabilities that a probe's programs need, by the sections they are in (`tp_btf/...`, `kprobe/...`).
///
/// CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON. Tracepoints (`tp/...`) also need a readable tracefs.
#[must_use]
pub fn needed<'a>(hooks: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let mut needed = BASE.to_vec();
    for capability in hooks.into_iter().filter_map(of_hook) {
        if !needed.contains(&capability) {
            needed.push(capability);
        }
    }
    needed.into_iter().map(Capability::name).collect()
}

/// Returns the capability that a hook needs on any kernel beside [`BASE`].
fn of_hook(hook: &str) -> Option<Capability> {
    match kind(hook) {
        "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" | "uprobe" | "uretprobe" if !hook.contains(".multi") => {
            Some(Capability::SysAdmin)
        }
        "xdp" | "tc" | "tcx" | "cgroup" | "sockops" | "sk_skb" | "sk_msg" | "sk_lookup" | "netfilter" => {
            Some(Capability::NetAdmin)
        }
        _ => None,
    }
}

/// Returns the capability that a hook needs beside [`BASE`] on this kernel as it is configured, and why; for a thread of this user.
#[must_use]
pub fn of_hook_here(hook: &str) -> Option<(Capability, &'static str)> {
    if let Some(capability) = of_hook(hook) {
        let why = if capability == Capability::NetAdmin { "programs of the network" } else { "a breakpoint of its own" };
        return Some((capability, why));
    }
    match kind(hook) {
        "tp" | "tracepoint" | "perf_event" if paranoid() >= PARANOID => {
            Some((Capability::SysAdmin, "kernel.perf_event_paranoid is 3 or more"))
        }
        "tp" | "tracepoint" => tracepoint::obstacle().map(|obstacle| match obstacle {
            Obstacle::NotMounted => (Capability::SysAdmin, "tracefs is not mounted"),
            Obstacle::Closed => (Capability::DacReadSearch, "tracefs is closed to this user"),
        }),
        _ => None,
    }
}

/// Whether this kernel requires [`Capability::SysAdmin`] for uprobes in libraries.
#[must_use]
pub fn breakpoints_take_sys_admin() -> bool {
    release::running().is_none_or(|running| running < UPROBE_MULTI_SINCE)
}

/// Returns those of [`BASE`] that this thread lacks. If empty, the thread may load the probes in the binary.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let held = CapabilitySet::held();
    BASE.into_iter().filter(|&capability| !held.allows(capability)).map(Capability::name).collect()
}

/// Whether the start is over and the capabilities that only it needed have been given up.
pub(crate) fn is_settled() -> bool {
    SETTLED.load(Ordering::Relaxed)
}

/// Records that the start is over.
pub(crate) fn set_settled() {
    SETTLED.store(true, Ordering::Relaxed);
}

/// Gives up every capability of the calling thread but these, for it and for the threads that it starts from now on; other threads keep
/// theirs. A capability that the thread lacks is not gained. Attached probes go on, and their rings stay readable.
///
/// # Errors
/// The kernel's refusal.
pub fn keep(kept: CapabilitySet) -> io::Result<()> {
    for bit in (0..64).filter(|bit| kept.0 & (1 << bit) == 0) {
        // A capability that cannot be dropped here, for lack of CAP_SETPCAP or because the kernel does not have it, cannot be gained
        // either: see `no_new_privileges`.
        let _ = thread::remove_capability_from_bounding_set(Bits::from_bits_retain(1 << bit));
    }
    let _ = thread::clear_ambient_capability_set();
    let kept = Bits::from_bits_retain(CapabilitySet::permitted().0 & kept.0);
    Ok(thread::set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: Bits::empty() })?)
}

/// Prevents programs that this thread, or one that it starts, executes from gaining privileges by setuid or by file capabilities.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    Ok(thread::set_no_new_privs(true)?)
}

/// Returns the cure for EPERM and EACCES at `hook`; None stands for loading.
pub(crate) fn cure(hook: Option<&str>) -> String {
    let held = CapabilitySet::held();
    let takes = BASE.into_iter().chain(hook.and_then(of_hook)).filter(|&capability| !held.allows(capability));
    let missing: Vec<_> = takes.map(Capability::name).collect();
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        return if is_settled() {
            format!(
                "it takes {missing}, which this host does not have, or gave up when it was ready; name it in the configuration, \
                     so that it is attached at the start"
            )
        } else {
            format!("it takes {missing}; run as root or grant them")
        };
    }
    match hook.map(kind) {
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

fn kind(hook: &str) -> &str {
    hook.split(['/', '.']).next().unwrap_or(hook)
}

fn paranoid() -> i32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

// === impl Capability ===

impl Capability {
    /// All of these capabilities, the most needed first.
    pub const ALL: [Self; 7] =
        [Self::Bpf, Self::Perfmon, Self::SysPtrace, Self::DacReadSearch, Self::NetAdmin, Self::SysResource, Self::SysAdmin];

    /// Name as in capabilities(7): `CAP_BPF`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl CapabilitySet ===

impl CapabilitySet {
    /// Returns the effective capabilities of this thread.
    #[must_use]
    pub fn held() -> Self {
        Self::of_this_thread(|sets| sets.effective)
    }

    fn permitted() -> Self {
        Self::of_this_thread(|sets| sets.permitted)
    }

    /// Whether the set permits what `capability` permits.
    #[must_use]
    pub fn allows(self, capability: Capability) -> bool {
        let by_admin = BASE.contains(&capability) && self.0 & (1 << Capability::SysAdmin as u8) != 0;
        by_admin || self.0 & (1 << capability as u8) != 0
    }

    fn of_this_thread(which: fn(CapabilitySets) -> Bits) -> Self {
        Self(thread::capabilities(None).map_or(0, |sets| which(sets).bits()))
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().fold(0, |set, capability| set | 1 << capability as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_admin_stands_for_bpf_and_perfmon_and_for_nothing_else() {
        let admin = CapabilitySet(0x20_0000);
        assert!(admin.allows(Capability::Bpf) && admin.allows(Capability::Perfmon));
        assert!(!admin.allows(Capability::NetAdmin) && !admin.allows(Capability::SysPtrace));
        assert!(!CapabilitySet::default().allows(Capability::Bpf));
    }

    #[test]
    fn single_uprobes_take_sys_admin_and_multi_uprobes_do_not() {
        assert!(needed(["uprobe/x:y"]).contains(&"CAP_SYS_ADMIN"));
        assert_eq!(needed(["uprobe.multi/x:y", "tp_btf/z"]), ["CAP_BPF", "CAP_PERFMON"]);
    }

    #[test]
    fn a_thread_that_keeps_nothing_has_nothing_and_the_others_keep_theirs() {
        let before = CapabilitySet::held();
        let after = std::thread::spawn(|| keep(CapabilitySet::default()).map(|()| CapabilitySet::held())).join();
        assert_eq!(after.unwrap().unwrap(), CapabilitySet::default());
        assert_eq!(CapabilitySet::held(), before);
    }

    #[test]
    fn a_capability_that_is_given_up_does_not_come_back_whatever_is_executed_needs_root() {
        if !rustix::process::geteuid().is_root() {
            return eprintln!(
                "SKIPPED a_capability_that_is_given_up_does_not_come_back_whatever_is_executed_needs_root: needs root"
            );
        }
        let of_this_thread = || std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let set = |status: &str, name: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(text.trim(), 16).unwrap()
        };
        let wanted: CapabilitySet = [Capability::Bpf].into_iter().collect();
        let before = of_this_thread();
        let after = std::thread::spawn(move || keep(wanted).map(|()| of_this_thread())).join().unwrap().unwrap();
        // Capabilities that this kernel has and rustix does not know are gone as well.
        assert_eq!(set(&after, "CapBnd:"), set(&before, "CapBnd:") & wanted.0);
        assert_eq!((set(&after, "CapInh:"), set(&after, "CapAmb:")), (0, 0));
    }

    #[test]
    fn what_is_kept_is_what_was_there_and_no_more() {
        let wanted: CapabilitySet = [Capability::Bpf, Capability::SysPtrace].into_iter().collect();
        let had = CapabilitySet::permitted();
        let after = std::thread::spawn(move || keep(wanted).map(|()| CapabilitySet::held())).join();
        assert_eq!(after.unwrap().unwrap().0, had.0 & wanted.0);
    }
}
