//! The records of probe `file`: `struct file_record` of `bpf/file/record.h`.

use plugin_sdk::{Chars, Rest};

plugin_sdk::record! {
    /// One openat or openat2 that returned.
    pub struct FileRecord = "file_record" {
        /// CLOCK_MONOTONIC when the call began.
        time_ns: u64,
        /// Until it returned.
        duration_ns: u64,
        /// cgroup v2 of the task.
        cgroup_id: u64,
        /// Of the kernel plan that let it through.
        threshold: u64,
        /// Thread group.
        pid: u32,
        /// Thread.
        tid: u32,
        /// Real user.
        uid: u32,
        /// File descriptor, or -errno.
        ret: i32,
        /// `O_*` as given.
        flags: u32,
        /// As given.
        mode: u32,
        /// Name of the thread.
        comm: Chars<16>,
        /// As given, NUL-terminated; empty if it could not be read.
        path: Rest,
    }
}
