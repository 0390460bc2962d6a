//! The records of probe `exec`: `struct exec_record` of `bpf/exec/record.h`.

use plugin_sdk::{Chars, Rest};

/// `EXEC_KIND_EXEC`
pub const EXEC: u32 = 1;
/// `EXEC_KIND_EXIT`
pub const EXIT: u32 = 2;

plugin_sdk::record! {
    /// One process that executed a program, or exited.
    pub struct ExecRecord = "exec_record" {
        /// CLOCK_MONOTONIC of the exec or the exit.
        time_ns: u64,
        /// Exit: since the process started.
        lifetime_ns: u64,
        /// cgroup v2 of the task.
        cgroup_id: u64,
        /// Of the kernel plan that let it through.
        threshold: u64,
        /// Thread group.
        pid: u32,
        /// Thread group of the real parent.
        parent_pid: u32,
        /// Real user.
        uid: u32,
        /// [`EXEC`] or [`EXIT`].
        kind: u32,
        /// Exit: 0 to 255.
        exit_code: i32,
        /// Exit: the signal that ended it, or 0.
        exit_signal: u32,
        /// Bytes of `data` that are the file name, its NUL included.
        filename_len: u32,
        /// Bytes that the arguments had.
        args_len: u32,
        /// Name of the thread group's leader.
        comm: Chars<16>,
        /// File name, NUL, then the arguments, each ended by a NUL.
        data: Rest,
    }
}

impl<'a> ExecRecord<'a> {
    /// The file name, its NUL included.
    #[must_use]
    pub fn filename(self) -> &'a [u8] {
        self.data().get(..self.filename_len() as usize).unwrap_or_default()
    }

    /// The arguments as far as they were captured, each ended by a NUL.
    #[must_use]
    pub fn args(self) -> &'a [u8] {
        self.data().get(self.filename_len() as usize..).unwrap_or_default()
    }

    /// Whether a program was executed; else one exited.
    #[must_use]
    pub fn is_exec(self) -> bool {
        self.kind() == EXEC
    }
}
