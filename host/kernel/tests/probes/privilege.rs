//! The operations that need privilege, and those that do not.

use std::fs::File;

use host_kernel::capabilities::{self, CapabilitySet};
use host_kernel::{KernelError, LoadOptions, catalog};

use crate::reading::{by_comm, on_thread, start};

#[test]
fn without_capabilities_reading_goes_on_and_loading_says_what_is_missing_needs_root() {
    needs_root!();
    let mut probe = start("file", &by_comm("load-dropped"));
    assert!(capabilities::missing().is_empty());
    // Capabilities belong to threads: the other threads of this test keep theirs.
    let (mut probe, refusal) = std::thread::spawn(move || {
        capabilities::keep(CapabilitySet::default()).unwrap();
        on_thread("load-dropped", || drop(File::open("/proc/version").unwrap()));
        assert_eq!(capabilities::missing(), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(probe.drain().len(), 1);
        assert_eq!(probe.counters(1).produced, 1);
        let object = catalog::find("file").unwrap().object;
        (probe, host_kernel::load("file", object, &LoadOptions::default()).unwrap_err())
    })
    .join()
    .unwrap();
    assert!(matches!(refusal, KernelError::Permission { .. }), "{refusal}");
    assert!(refusal.to_string().contains("CAP_BPF and CAP_PERFMON"), "{refusal}");
    on_thread("load-dropped", || drop(File::open("/proc/version").unwrap()));
    assert_eq!(probe.drain().len(), 1);
}
