//! A probe: BPF programs with one ring, and their state on this kernel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

/// The processes whose events the kernel side passes; all conditions must hold. The host's own process is always excluded, or the export of
/// an event would be an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Process id (thread group).
    pub pid: Option<u32>,
    /// Id of a cgroup v2; its descendants pass as well.
    pub cgroup: Option<u64>,
    /// Command name, at most 15 bytes.
    pub comm: Option<String>,
}

/// The state of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "state", content = "reason")]
pub enum ProbeState {
    /// Its programs fire.
    Attached,
    /// This kernel cannot run it; the reason.
    Failed(String),
    /// Not asked for, or unloaded.
    Detached,
}

/// One probe as `host probe list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// The name: of the probe, its folder, its path and its decoder.
    pub name: String,
    /// True for the probes in the binary, false for an object loaded at run time.
    pub built_in: bool,
    /// Its state.
    #[serde(flatten)]
    pub state: ProbeState,
    /// The hooks its programs are attached to, such as `tp/syscalls/sys_enter_openat`.
    pub hooks: Vec<String>,
    /// Better hooks that this kernel does not have or does not allow, and why: `fexit/inet_sendmsg: this kernel has no such hook`.
    #[serde(default)]
    pub passed_over: Vec<String>,
    /// The record it writes.
    pub layout: Option<Layout>,
    /// Size of its ring, bytes.
    pub ring_bytes: u32,
    /// The capabilities that loading and attaching it takes.
    pub capabilities: Vec<String>,
}
