//! The running kernel's BTF, and the features that it shows.

use std::path::Path;
use std::slice;

use libbpf_rs::AsRawLibbpf;
use libbpf_rs::btf::{Btf, types};

use crate::error::KernelError;
use crate::{regular, sound, talk};

/// Path of the kernel's own BTF.
pub(crate) const OWN: &str = "/sys/kernel/btf/vmlinux";

/// Features of this kernel. Without any BTF all are assumed: the kernel then reports what it lacks when a program is loaded.
pub(crate) struct Kernel {
    btf: Option<Btf<'static>>,
    /// Whether hooks that need the kernel's own BTF are available: a BTF file serves relocations only.
    own: bool,
}

// === impl Kernel ===

impl Kernel {
    /// Reads the features of the running kernel, from its own BTF or from the file that replaces it.
    ///
    /// # Errors
    /// The file is not BTF.
    pub(crate) fn read(probe: &str, file: Option<&Path>) -> Result<Self, KernelError> {
        let own = Path::new(OWN).exists();
        let failed = |reason: String| KernelError::Btf { probe: probe.into(), reason };
        let btf = match file {
            Some(file) => {
                regular::open(file).map_err(|error| failed(format!("{}: {error}", file.display())))?;
                let (btf, _) = talk::listen(|| Btf::from_path(file));
                let btf = btf.map_err(|_| failed(format!("{} holds no BTF", file.display())))?;
                sound::check(raw(&btf)).map_err(|reason| failed(format!("{}: {reason}", file.display())))?;
                Some(btf)
            }
            None => talk::listen(Btf::from_vmlinux).0.ok(),
        };
        Ok(Self { btf, own })
    }

    /// Whether the kernel has BTF of its own.
    pub(crate) const fn describes_itself(&self) -> bool {
        self.own
    }

    /// Whether the kernel has what came with Linux 5.13, such as storage in tasks and sockets for tracing programs.
    pub(crate) fn has_storage(&self) -> bool {
        // This helper came with that version.
        self.known(|btf| {
            let helpers = btf.type_by_name::<types::Enum<'_>>("bpf_func_id");
            helpers.is_some_and(|all| all.iter().any(|it| it.name.is_some_and(|name| name == "BPF_FUNC_for_each_map_elem")))
        })
    }

    /// Whether programs at any hook may use hash maps that allocate elements at run time: Linux 6.1.
    pub(crate) fn allocates_elements(&self) -> bool {
        self.known(|btf| btf.type_by_name::<types::Struct<'_>>("bpf_mem_alloc").is_some())
    }

    /// Whether the kernel has the hook of a section, as far as its BTF shows.
    pub(crate) fn has_hook(&self, section: &str) -> bool {
        self.known(|btf| match section.split_once('/') {
            Some(("tp_btf", name)) => btf.type_by_name::<types::Typedef<'_>>(&format!("btf_trace_{name}")).is_some(),
            Some(("fentry" | "fexit" | "fmod_ret", name)) => btf.type_by_name::<types::Func<'_>>(name).is_some(),
            _ => true,
        })
    }

    fn known(&self, has: impl Fn(&Btf<'_>) -> bool) -> bool {
        self.btf.as_ref().is_none_or(has)
    }
}

/// Returns the bytes of the BTF, in this machine's byte order.
fn raw<'a>(btf: &'a Btf<'_>) -> &'a [u8] {
    let mut size = 0;
    // SAFETY: the pointer is that of a BTF that lives, and what comes back is its own and lives as long.
    unsafe {
        let bytes = libbpf_sys::btf__raw_data(btf.as_libbpf_object().as_ptr(), &raw mut size);
        if bytes.is_null() { &[] } else { slice::from_raw_parts(bytes.cast(), size as usize) }
    }
}

/// Whether the programs of a section need the kernel's own BTF.
pub(crate) fn is_of_own_btf(section: &str) -> bool {
    let kind = section.split(['/', '.']).next().unwrap_or_default();
    ["tp_btf", "fentry", "fexit", "fmod_ret", "iter", "lsm"].contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stands_in_for_relocations_only() {
        assert!(["tp_btf/sched_switch", "fentry/f", "iter/task_file", "iter.s/task", "lsm/x"].into_iter().all(is_of_own_btf));
        assert!(!["raw_tp/sched_switch", "tp/syscalls/x", "uprobe.multi", "usdt/x"].into_iter().any(is_of_own_btf));
    }

    #[test]
    fn what_is_not_btf_is_refused_by_name() {
        let read = |file| Kernel::read("mine", Some(Path::new(file))).err().unwrap().to_string();
        assert!(read("/proc/version").starts_with("probe `mine`: /proc/version holds no BTF; `--btf` takes"));
        assert!(read("/no/such/file").contains("/no/such/file: No such file"));
    }
}
